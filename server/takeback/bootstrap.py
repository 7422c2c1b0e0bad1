"""The composition root: the only place where ledger, tools, compensations, guard and faces meet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_state_path
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from takeback.core.pins.judge import pin_scope
from takeback.core.policy.extending import Base, named_base
from takeback.core.policy.load import Policy, load
from takeback.core.policy.schema import Upstream
from takeback.extensions import compensations, connector
from takeback.guard.attending import attending
from takeback.guard.breaking import breaking
from takeback.guard.catalog import Catalog
from takeback.guard.code_tools import CodeTools, coded
from takeback.guard.keeping import Keeper
from takeback.guard.pinning import pinned
from takeback.guard.services import Services
from takeback.guard.use_cases import UseCases
from takeback.ledger.store import SqlLedger, open_ledger
from takeback.ports import Bridge, Downstream, LedgerFailure, ToolClient, ToolFailure
from takeback.processes import LocalProcesses
from takeback.system import RandomIds, SystemClock


class StartFailure(Exception):
    """The guard cannot start; the message says why and what to do."""


def state_folder(env: Mapping[str, str]) -> Path:
    """Where ledger and drafted policies lie: `TAKEBACK_STATE`, else the user's state directory."""
    return Path(env["TAKEBACK_STATE"]) if env.get("TAKEBACK_STATE") else user_state_path("takeback")


def read_policy(path: Path, env: Mapping[str, str]) -> Policy:
    """Load a policy file, and the one that it extends where it names one (a path from its own folder).

    Raises:
        StartFailure: one of them cannot be read.
        PolicyMistakes: it has mistakes; all of them.
    """
    text = _text_of(path)
    name = named_base(text)
    base = Base(name, _text_of(path.parent / name)) if name is not None else None
    loaded = load(text, env={"STATE": str(state_folder(env)), **env}, source=path.name, base=base)
    return replace(loaded, place=str(path.resolve()))


def _text_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartFailure(f"cannot read the policy {path}: {error.strerror}") from None


def client_of(name: str, upstream: Upstream, tenant: str) -> ToolClient:
    """The client of one upstream, by the connector that is installed for its kind, with the tenant's credentials."""
    return connector(upstream.kind)(name, upstream, tenant)


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard that runs: its use cases, and the upstreams that cannot be used, with the reason."""

    use_cases: UseCases
    ledger: SqlLedger
    clients: tuple[ToolClient, ...]
    failed: Mapping[str, str]


@asynccontextmanager
async def ledger_of(policy: Policy) -> AsyncIterator[SqlLedger]:
    """The ledger of a policy, opened, migrated and closed again.

    Raises:
        LedgerFailure: it cannot be used; the message says why, and which one it is.
    """
    url = policy.file.ledger.url
    try:
        ledger = await open_ledger(url)
    except LedgerFailure as failure:
        raise LedgerFailure(f"{failure}{_address(url)}. Nothing was started or changed.") from failure
    try:
        yield ledger
    finally:
        await ledger.close()


def _address(url: str) -> str:
    """Which ledger it is, for people: without a password, wherever in the url one may stand."""
    try:
        shown = make_url(url).set(query={}).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return ""
    return f" (ledger: {shown})"


@asynccontextmanager
async def running(
    policy: Policy,
    *,
    upstreams: bool = True,
    one_must_start: bool = False,
    tenant: str | None = None,
    only: Downstream | None = None,
    works: bool = False,
) -> AsyncIterator[Guard]:
    """A guard with its ledger and its upstreams, stopped in the right order at the end.

    It signs in to the upstreams as `tenant` (the policy's default where none is named). An upstream that cannot be used
    is named in `failed`; the others serve. With `one_must_start`, a policy of which no upstream starts is a
    StartFailure: a guard without a single tool looks like one that works. `only` is the one client that will be served,
    where that is known already: the upstreams are told at once what it can do. One that `works` also takes up what
    other guards left behind.

    Raises:
        LedgerFailure, StartFailure, CatalogError: it cannot start; nothing is left running.
    """
    async with ledger_of(policy) as ledger:
        whom = tenant or policy.file.defaults.tenant
        clients = _clients(policy, ledger, whom) if upstreams else ()
        if only is not None:
            for bridge in (client for client in clients if isinstance(client, Bridge)):
                bridge.meet(only)
        try:
            failed = await _start(clients)
            if one_must_start and clients and len(failed) == len(clients):
                raise StartFailure("no upstream can be used. " + " ".join(f"{n}: {why}." for n, why in failed.items()))
            services = await _services(policy, ledger, clients)
            await services.catalog.refresh()
            async with attending(services, whom, works=works):
                use_cases = UseCases(services)
                if only is not None:
                    use_cases.offers.meet(only)
                yield Guard(use_cases, ledger, clients, failed)
        finally:
            await asyncio.gather(*(client.close() for client in clients))


def _clients(policy: Policy, ledger: SqlLedger, tenant: str) -> tuple[ToolClient, ...]:
    """The clients of all upstreams, each held to its pinned definitions as the policy says."""
    clock, scope = SystemClock(), pin_scope(policy.place)
    return tuple(
        pinned(breaking(client_of(name, upstream, tenant), upstream.breaker, clock), upstream.pin, ledger, clock, scope)
        for name, upstream in policy.file.upstream.items()
    )


async def _start(clients: tuple[ToolClient, ...]) -> dict[str, str]:
    """Start all; those that failed, with the reason."""
    reasons = await asyncio.gather(*(_started(client) for client in clients))
    return {client.name: why for client, why in zip(clients, reasons, strict=True) if why is not None}


async def _started(client: ToolClient) -> str | None:
    """Start one upstream and ask for its tools: one that starts and then offers none for a fault has failed, too."""
    try:
        await client.start()
        await client.tools()
    except ToolFailure as failure:
        return reason(client.name, failure)
    return None


def reason(name: str, failure: ToolFailure) -> str:
    """Why an upstream cannot be used, for a sentence that has named it already."""
    return str(failure).removeprefix(f"upstream {name} does not start: ").removeprefix(f"upstream {name} ")


async def _services(policy: Policy, ledger: SqlLedger, clients: tuple[ToolClient, ...]) -> Services:
    visible = {name: (upstream.tools, upstream.exclude) for name, upstream in policy.file.upstream.items()}
    catalog = Catalog(clients, visible)
    found = compensations()
    catalog.hide(CodeTools(coded(found)).entries())
    processes, ids = LocalProcesses(), RandomIds()
    return Services(
        policy=policy,
        ledger=ledger,
        catalog=catalog,
        compensations=found,
        clock=SystemClock(),
        ids=ids,
        redaction_key=await ledger.secret("redaction"),
        keeper=Keeper(ledger, SystemClock(), policy.file.ledger.lease),
        processes=processes,
        instance=processes.me() or ids.new("g"),
        advisory=is_advisory(policy.file.ledger.url),
    )


def is_advisory(url: str) -> bool:
    """Whether an agent with a shell under this user could approve by itself: it can, where it can write the ledger."""
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return True
    path = Path(parsed.database or "")
    return os.access(path if path.exists() else path.parent, os.W_OK)
