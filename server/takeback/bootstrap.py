"""The composition root: the only place where ledger, tools, compensations, guard and faces meet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from platformdirs import user_state_path
from sqlalchemy.engine import make_url

from takeback.core.policy.load import Policy, load
from takeback.core.policy.schema import Upstream
from takeback.extensions import compensations
from takeback.guard.catalog import Catalog
from takeback.guard.code_tools import CodeTools, coded
from takeback.guard.services import Services
from takeback.guard.use_cases import UseCases
from takeback.ledger.store import SqlLedger, open_ledger
from takeback.ports import ToolClient, ToolFailure
from takeback.system import RandomIds, SystemClock
from takeback_tools.mcp.connector import connect
from takeback_tools.mcp.settings import McpSettings

DRAIN: Final = 20.0
"""Seconds that a guard which stops waits for what is in flight."""


class StartFailure(Exception):
    """The guard cannot start; the message says why and what to do."""


def state_folder(env: Mapping[str, str]) -> Path:
    """Where ledger and drafted policies lie: `TAKEBACK_STATE`, else the user's state directory."""
    return Path(env["TAKEBACK_STATE"]) if env.get("TAKEBACK_STATE") else user_state_path("takeback")


def read_policy(path: Path, env: Mapping[str, str]) -> Policy:
    """Load a policy file.

    Raises:
        StartFailure: it cannot be read.
        PolicyMistakes: it has mistakes; all of them.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StartFailure(f"cannot read the policy {path}: {error.strerror}") from None
    return load(text, env={"STATE": str(state_folder(env)), **env}, source=path.name)


def client_of(name: str, upstream: Upstream) -> ToolClient:
    """The connector for one upstream."""
    transport = upstream.transport or ("stdio" if upstream.command else "http")
    return connect(
        name,
        McpSettings(
            command=upstream.command,
            args=upstream.args,
            env=dict(upstream.env),
            cwd=upstream.cwd,
            url=upstream.url,
            transport=transport,
            headers=dict(upstream.headers),
            timeout=(upstream.timeout.total_seconds() if upstream.timeout else 30.0),
            start_timeout=upstream.start_timeout.total_seconds(),
            stateful=upstream.stateful,
        ),
    )


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard that runs: its use cases, and what did not start."""

    use_cases: UseCases
    ledger: SqlLedger
    clients: tuple[ToolClient, ...]
    failed: tuple[str, ...]


@asynccontextmanager
async def ledger_of(policy: Policy) -> AsyncIterator[SqlLedger]:
    """The ledger of a policy, opened, migrated and closed again.

    Raises:
        LedgerFailure: it cannot be used; the message says why.
    """
    ledger = await open_ledger(policy.file.ledger.url)
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def running(policy: Policy, *, upstreams: bool = True, strict: bool = False) -> AsyncIterator[Guard]:
    """A guard with its ledger and its upstreams, stopped in the right order at the end.

    An upstream that does not start is named in `failed`; the others serve. `strict` makes it a StartFailure.

    Raises:
        LedgerFailure, StartFailure, CatalogError: it cannot start; nothing is left running.
    """
    async with ledger_of(policy) as ledger:
        clients = (
            tuple(client_of(name, upstream) for name, upstream in policy.file.upstream.items()) if upstreams else ()
        )
        try:
            failed = await _start(clients, strict=strict)
            services = await _services(policy, ledger, clients)
            await services.catalog.refresh()
            yield Guard(UseCases(services), ledger, clients, failed)
            await services.tasks.drain(DRAIN)
        finally:
            await asyncio.gather(*(client.close() for client in clients))


async def _start(clients: tuple[ToolClient, ...], *, strict: bool) -> tuple[str, ...]:
    results = await asyncio.gather(*(client.start() for client in clients), return_exceptions=True)
    failed = []
    for client, result in zip(clients, results, strict=True):
        if isinstance(result, ToolFailure):
            failed.append(f"{client.name}: {result}")
        elif isinstance(result, BaseException):
            raise result
    if strict and failed:
        raise StartFailure("; ".join(failed))
    return tuple(failed)


async def _services(policy: Policy, ledger: SqlLedger, clients: tuple[ToolClient, ...]) -> Services:
    visible = {name: (upstream.tools, upstream.exclude) for name, upstream in policy.file.upstream.items()}
    catalog = Catalog(clients, visible)
    found = compensations()
    catalog.hide(CodeTools(coded(found)).entries())
    return Services(
        policy=policy,
        ledger=ledger,
        catalog=catalog,
        compensations=found,
        clock=SystemClock(),
        ids=RandomIds(),
        redaction_key=await ledger.secret("redaction"),
        advisory=is_advisory(policy.file.ledger.url),
    )


def is_advisory(url: str) -> bool:
    """Whether an agent with a shell under this user could approve by itself: it can, where it can write the ledger."""
    parsed = make_url(url)
    if not parsed.drivername.startswith("sqlite"):
        return True
    path = Path(parsed.database or "")
    return os.access(path if path.exists() else path.parent, os.W_OK)
