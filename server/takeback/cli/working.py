"""`worker`: settle what guards left, and go on with it, without serving anybody."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from takeback.bootstrap import Guard, StartFailure, running
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, Tenant, policy_at, tenant_of, with_guard
from takeback.cli.output import Exit, emit, fail, say
from takeback.cli.stopping import Stop, tell, until_told
from takeback.core.policy.load import Policy
from takeback.guard.catalog import CatalogError
from takeback.guard.worker import Swept, Worker
from takeback.ports import LedgerFailure


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(worker)


def worker(
    policy: PolicyPath = DEFAULT_POLICY,
    once: Annotated[bool, typer.Option("--once", help="One round, and say what it came to.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Work beside the guards of a ledger: settle, go on with plans, let approvals expire, prune. Guards do so, too."""
    loaded = policy_at(policy)
    if once:
        _report(with_guard(policy, lambda guard: _round(guard, tenant), upstreams=True, policy=loaded), as_json)
        return
    try:
        asyncio.run(until_told(lambda stop: _work(stop, loaded, tenant)))
    except (LedgerFailure, StartFailure, CatalogError) as error:
        fail(f"Not started: {error}", Exit.NOT_STARTED)


async def _round(guard: Guard, tenant: str | None) -> Swept:
    services = guard.use_cases.services
    swept = await Worker(services, tenant_of(guard, tenant)).sweep()
    await services.tasks.done()
    return swept


async def _work(stop: Stop, policy: Policy, tenant: str | None) -> None:
    async with running(policy, tenant=tenant, works=True) as guard:
        for name, why in guard.failed.items():
            tell(f"takeback: upstream {name} did not start, and nothing of it can be settled: {why}")
        tell(f"takeback: working for {tenant_of(guard, tenant)}")
        try:
            await asyncio.Event().wait()
        finally:
            stop.ending = True  # what is in flight is finished when this block ends


def _report(swept: Swept, as_json: bool) -> None:
    if as_json:
        emit({**asdict(swept), "pruned": asdict(swept.pruned)})
        return
    parts = [
        (swept.settled, "settled or gone on with"),
        (swept.left, "cannot be decided yet"),
        (swept.verified, "read back as expected after all"),
        (swept.unverified, "still not read back as expected"),
        (swept.expired, "approvals expired"),
    ]
    lines = [f"{len(ids)} {what}: {', '.join(ids)}." for ids, what in parts if ids]
    say("\n".join(lines) or "Nothing was left to do.")
