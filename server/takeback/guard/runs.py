"""Runs: opened once, with what a run may take over from one that broke off.

A guard or a client that was started again opens another run. So that it recognises its own retries and inherits nothing
else, it joins of the run before only what is unsettled, and that whose answer its client provably may not have had:
nothing was asked for after it in the run, or it came when the connection had ended.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from takeback.core.action import Action
from takeback.core.operation import logical_operation
from takeback.core.run import Run
from takeback.core.states import UNSETTLED
from takeback.core.vocabulary import Status
from takeback.guard.services import Services, Work
from takeback.ports import Approach, Caller, HistoryQuery, NotFound, Standing

BROKEN_OFF_WITHIN: Final = timedelta(minutes=10)
"""For how long a run that broke off waits for its client to come back."""

_LONGEST_RUN: Final = timedelta(days=1)
_MOST_RUNS: Final = 10_000
_GUARD: Final = "guard:"


async def in_run(services: Services, work: Work) -> Work:
    """The work, once the ledger knows its run: with what its operation was called in the run before, if any."""
    before = await opened(services, work.caller)
    if before is None or work.meant is None:
        return work
    inherits = logical_operation(
        tenant=work.caller.tenant,
        run=before,
        tool=work.entry.policy_name,
        targets=work.decision.targets,
        operation=work.meant,
    )
    return replace(work, inherits=inherits)


async def opened(services: Services, caller: Caller, *, again: bool = False) -> str | None:
    """Make sure that the ledger knows the run, once for each run and guard (or `again`). Returns its predecessor."""
    key = caller.tenant, caller.run
    if again or key not in services.known_runs:
        if len(services.known_runs) >= _MOST_RUNS:
            services.known_runs.clear()
        services.known_runs[key] = await _open(services, caller)
    return services.known_runs[key]


async def _open(services: Services, caller: Caller) -> str | None:
    now = services.clock.now()
    run = Run(
        id=caller.run,
        tenant=caller.tenant,
        principal=caller.principal,
        opened_at=now,
        active_at=now,
        client=caller.client,
        trace=caller.trace,
        owner=services.instance if caller.connected else None,
    )
    for before in await _broken_off(services, caller, now) if caller.connected else ():
        await services.ledger.open_run(replace(run, predecessor=before.id))
        try:
            return (await services.ledger.run(caller.tenant, caller.run)).predecessor
        except NotFound:  # another run was quicker to go on from that one
            continue
    await services.ledger.open_run(run)
    return (await services.ledger.run(caller.tenant, caller.run)).predecessor if caller.connected else None


async def _broken_off(services: Services, caller: Caller, now: datetime) -> list[Run]:
    """Runs of the same client whose connection or guard is no more, and that were active a few minutes ago."""
    found = await services.ledger.broken_off(
        caller.tenant, caller.principal, caller.client, owner=services.instance, since=now - _LONGEST_RUN
    )
    return [run for run in found if await _is_over(services, run, now) and await _was_active(services, run, now)]


async def _is_over(services: Services, run: Run, now: datetime) -> bool:
    owner = run.owner or ""
    if run.ended_at is not None or services.processes.is_gone(owner):
        return True
    return not await services.ledger.is_held(f"{_GUARD}{owner}", now)


async def _was_active(services: Services, run: Run, now: datetime) -> bool:
    page = await services.ledger.history(HistoryQuery(tenant=run.tenant, run=run.id, limit=1))
    last = max([run.opened_at, *(action.updated_at for action in page.actions)])
    return now - last <= BROKEN_OFF_WITHIN


async def inheriting(services: Services, standing: Standing) -> Standing:
    """What the ledger says, with the run before's action in the place of an own one where this call may join it."""
    found = standing.inherited
    if standing.earlier is not None or found is None or not await _may_be_joined(services, found):
        return standing
    return replace(standing, earlier=found)


async def _may_be_joined(services: Services, action: Action) -> bool:
    if action.status in UNSETTLED:
        return True
    if action.status is not Status.SUCCEEDED or action.settled_at is None:
        return False
    run = await services.ledger.run(action.tenant, action.run)
    if run.ended_at is not None:
        return action.settled_at > run.ended_at
    return not await services.ledger.went_on(action.tenant, action.run, action.settled_at)


async def presence(services: Services, tenant: str) -> Standing:
    """A lease that says that this guard is there, for as long as it is kept."""
    return await services.ledger.approach(
        Approach(
            tenant=tenant,
            run="",
            operation="",
            holder=services.holder(),
            lease_names=(f"{_GUARD}{services.instance}",),
            lease_for=services.keeper.lease,
            now=services.clock.now(),
        )
    )
