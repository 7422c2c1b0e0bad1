"""A paused run, where calls meet it: something that it did is in doubt or did not verify, so its other writes wait.

What is under way goes on, what was done can be taken back, and an equal call is answered as always: so what is in doubt
is settled in a paused run, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from takeback.core.action import Action
from takeback.core.pausing import PAUSES, Concern, pausing, worries
from takeback.core.pausing import paused as paused_text
from takeback.core.queue import Cause
from takeback.core.run import Run
from takeback.core.run_state import RunState, state_of
from takeback.core.vocabulary import COMPENSATIONS, RetryLayer, Status
from takeback.guard.replies import Reply, own_word
from takeback.guard.services import Services, Work
from takeback.ports import Caller, NotFound, Standing


def paused(services: Services, work: Work, standing: Standing) -> tuple[Concern, ...]:
    """What keeps a piece of work from being begun, by what the ledger said when it approached."""
    return () if work.origin in COMPENSATIONS or work.on_a_word else pausing_now(services, standing)


def pausing_now(services: Services, standing: Standing) -> tuple[Concern, ...]:
    """What pauses a run, by what the ledger said when something in it approached."""
    return pausing(standing.concerns, services.policy.file.defaults.pause)


async def until_looked_at(
    services: Services, work: Work, standing: Standing, concerns: Sequence[Concern]
) -> Reply | None:
    """Where the guard itself still looks, wait a little; where a person must, refuse. None: look again."""
    await services.ledger.release(standing.leases)
    if concerns[0].item is None:
        doubtful = await services.ledger.action(work.caller.tenant, concerns[0].action)
        within = services.join_within.total_seconds()
        await services.ledger.wait_for_change(doubtful.tenant, doubtful.id, doubtful.version, within)
        now = await services.ledger.action(doubtful.tenant, doubtful.id)
        if now.status is not Status.IN_DOUBT:
            return None
    return told(concerns)


def told(concerns: Sequence[Concern]) -> Reply:
    """The refusal of a write in a paused run."""
    layer = RetryLayer.TOOL if concerns[0].item is None else RetryLayer.HUMAN
    return replace(own_word(paused_text(concerns), layer=layer), paused=True)


def afterwards(services: Services, action: Action) -> str:
    """What an answer adds that tells of an effect in doubt or not verified: that the run's other writes wait now."""
    concern = Concern(action=action.id, cause=Cause.IN_DOUBT, risk=action.risk, since=action.updated_at)
    return f" {PAUSES}" if pausing((concern,), services.policy.file.defaults.pause) else ""


async def states(services: Services, runs: Sequence[Run]) -> list[RunState]:
    """Where each of these runs of one tenant stands now. Raises LedgerFailure."""
    least, now = services.policy.file.defaults.pause, services.clock.now()
    found = await services.ledger.facts_of_runs(runs)
    return [state_of(run, facts, least, now) for run, facts in zip(runs, found, strict=True)]


async def lines(services: Services, caller: Caller) -> list[str]:
    """For an agent that looks around: why its run is paused. Raises LedgerFailure."""
    try:
        run = await services.ledger.run(caller.tenant, caller.run)
    except NotFound:
        return []
    [state] = await states(services, (run,))
    return [f"Paused: {worries(state.paused_by)}."] if state.paused_by else []
