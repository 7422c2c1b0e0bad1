"""Calls that meet an action which is under way: join it, wait for it, take it over, or run what was approved."""

from __future__ import annotations

from functools import partial
from typing import Final

from takeback.core.action import Action
from takeback.core.run import Approval
from takeback.core.vocabulary import Origin, RetryLayer, Status
from takeback.core.wording import denied, in_doubt, in_progress, occupied, pending, unrecorded
from takeback.guard import approving
from takeback.guard.carrying import begin, free, limit_stop
from takeback.guard.execution import Begun, before_image, claim
from takeback.guard.freezing import stopped
from takeback.guard.judging import stored_image
from takeback.guard.pausing import paused, until_looked_at
from takeback.guard.replies import Reply, own_word
from takeback.guard.sending import whole_call
from takeback.guard.services import Refusal, Services, Work
from takeback.guard.settling import take_over
from takeback.guard.staleness import ready
from takeback.ports import KeyTaken, LeaseLost, LedgerFailure, Stale, Standing

_UNDER_WAY: Final = frozenset({Status.RUNNING, Status.COMPENSATING, Status.IN_DOUBT})


async def join(services: Services, work: Work, standing: Standing, action: Action) -> Reply | None:
    """The call is the same operation as an action that is not settled. None: look again."""
    if standing.refused_by is not None and action.status in _UNDER_WAY:
        within = services.join_within.total_seconds()
        await services.ledger.wait_for_change(action.tenant, action.id, action.version, within)
        now = await services.ledger.action(action.tenant, action.id)
        text = in_progress(now, round(within))
        return own_word(text, now, layer=RetryLayer.TOOL) if now.version == action.version else None
    match action.status:
        case Status.RUNNING | Status.IN_DOUBT:
            return await taken_over(services, work, standing, action)
        case Status.AWAITING_APPROVAL:
            return await free(services, standing, await still_pending(services, action))
        case Status.APPROVED:
            return await _approved(services, work, standing, action)
        case Status.NEEDS_OPERATOR:
            text = in_doubt(action, "it waits for an operator in the recovery queue")
            return await free(services, standing, own_word(text, action, layer=RetryLayer.HUMAN))
        case _:
            return await free(services, standing, own_word(in_progress(action, 5), action, layer=RetryLayer.TOOL))


async def wait_for_target(services: Services, standing: Standing) -> Reply | None:
    """Another action is on the target, here or at another guard: wait a little, then refuse. Nothing is allocated."""
    await services.ledger.release(standing.leases)
    if standing.occupants:
        other = standing.occupants[0]
        if other.status is not Status.RUNNING:
            return own_word(occupied(other), other, layer=RetryLayer.HUMAN)
        within = services.join_within.total_seconds()
        await services.ledger.wait_for_change(other.tenant, other.id, other.version, within)
        now = await services.ledger.action(other.tenant, other.id)
        return own_word(occupied(now), now, layer=RetryLayer.TOOL) if now.version == other.version else None
    await services.clock.sleep(0.2)
    return None


async def taken_over(
    services: Services, work: Work, standing: Standing, action: Action, *, resumed: bool = False
) -> Reply:
    """We hold the leases of an action that was left running or in doubt: whoever ran it is gone.

    `resumed`: a person wants it looked at again.
    """
    before = await stored_image(services, action.before)
    begun = Begun(
        work=work,
        action=action,
        arguments=work.arguments,
        before=before,
        leases=standing.leases,
        deadline=services.clock.now() + whole_call(work, work.decision.retry),
        resumed=resumed,
    )
    try:
        return await take_over(services, begun)
    except (KeyTaken, Stale, LeaseLost):
        raise
    except LedgerFailure as failure:
        why = f"what became of it could not be recorded ({failure})"
        return own_word(unrecorded(action, why, sent=True), action, layer=RetryLayer.WORKFLOW)


async def still_pending(services: Services, action: Action) -> Reply:
    """That it still waits for a person; or that nobody answered in time, and it is denied now."""
    approval = await services.ledger.approval(action.tenant, action.approval or "")
    if services.clock.now() >= approval.expires_at:
        gone = await approving.expire(services, action, approval)
        return own_word(denied(gone, "nobody answered in time"), gone, layer=RetryLayer.HUMAN)
    return own_word(pending(action, approval), action, layer=RetryLayer.HUMAN, pending=approval)


async def _approved(services: Services, work: Work, standing: Standing, action: Action) -> Reply | None:
    """A person agreed: run it, if it still is what they saw."""
    if (stop := stopped(work, standing)) is not None:
        return await free(services, standing, stop)
    if standing.refused_by is not None or standing.occupants:
        return await wait_for_target(services, standing)
    if worries := paused(services, work, standing):
        return await until_looked_at(services, work, standing, worries)
    approval = await services.ledger.approval(action.tenant, action.approval or "")
    if services.clock.now() >= approval.expires_at:
        gone = await approving.expire(services, action, approval)
        return await free(
            services, standing, own_word(denied(gone, "the approval has expired"), gone, layer=RetryLayer.HUMAN)
        )
    if (stop := limit_stop(services, work, standing)) is not None:
        return await free(services, standing, stop)
    before = await before_image(services, work)
    stored = services.stored_image(before, work.redact) if before is not None else None
    try:
        work = await ready(services, work, before)
    except Refusal as refusal:
        return await free(services, standing, await _turned_away(services, work, refusal, action, approval))
    if not approving.still_covers(services, work, approval, stored):
        await approving.void(services, action, approval, "what was shown has changed since")
        return None
    generation = action.generation
    claimed = partial(claim, services, work, standing, before, generation=generation, known=action, approval=approval)
    return await begin(services, work, standing, claimed)


async def _turned_away(services: Services, work: Work, refusal: Refusal, action: Action, approval: Approval) -> Reply:
    """What was read forbids what a person agreed to. An agent may come again with it; a step of a plan is over."""
    if work.origin is not Origin.PLAN:
        return own_word(str(refusal), layer=refusal.layer)
    gone = await approving.void(services, action, approval, refusal.why or str(refusal))
    return own_word(str(refusal), gone, layer=refusal.layer)
