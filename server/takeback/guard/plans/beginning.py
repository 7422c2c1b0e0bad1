"""Taking a plan's lease, and beginning it once a person has agreed."""

from __future__ import annotations

from dataclasses import replace

from takeback.core.action import Action, lease_names
from takeback.core.run import ApprovalStatus
from takeback.core.states import Happening
from takeback.core.vocabulary import RetryLayer, Status
from takeback.core.wording import denied
from takeback.guard import approving
from takeback.guard.approaching import approached
from takeback.guard.plans.driving import drive
from takeback.guard.plans.previewing import Shown
from takeback.guard.plans.telling import interrupted
from takeback.guard.recording import next_fact
from takeback.guard.replies import Reply, own_word
from takeback.guard.services import Services, caller_of
from takeback.ports import (
    Approach,
    Caller,
    Change,
    KeyTaken,
    Lease,
    LeaseLost,
    LedgerFailure,
    ProgressSink,
    Stale,
    Standing,
)


async def approach(services: Services, caller: Caller, operation: str, *, inherits: str | None = None) -> Standing:
    """Take the plan's lease, and see what the ledger says of it."""
    wanted = Approach(
        tenant=caller.tenant,
        run=caller.run,
        operation=operation,
        holder=services.holder(),
        lease_names=lease_names(caller.tenant, (), operation),
        lease_for=services.keeper.lease,
        now=services.clock.now(),
        inherits=inherits,
    )
    return await approached(services, wanted)


async def begun(
    services: Services,
    action: Action,
    leases: tuple[Lease, ...],
    shown: Shown,
    *,
    progress: ProgressSink | None = None,
) -> Reply | None:
    """A person agreed: begin, if it still is what they saw. None: look again."""
    approval = await services.ledger.approval(action.tenant, action.approval or "")
    if services.clock.now() >= approval.expires_at:
        gone = await approving.expire(services, action, approval)
        await services.ledger.release(leases)
        return own_word(denied(gone, "the approval has expired"), gone, layer=RetryLayer.HUMAN)
    if approval.status is not ApprovalStatus.APPROVED or approval.digest != shown.digest:
        await approving.void(services, action, approval, "what was shown has changed since")
        return None
    fact = next_fact(services, action, Happening.CLAIM, detail="a person agreed", sent_at=services.clock.now())
    used = replace(approval, status=ApprovalStatus.CONSUMED)
    await services.ledger.commit(Change(actions=(fact,), approvals=(used,), tenant=action.tenant, leases=tuple(leases)))
    return await driven(services, caller_of(action), fact[1], leases, progress)


async def driven(
    services: Services, caller: Caller, action: Action, leases: tuple[Lease, ...], progress: ProgressSink | None
) -> Reply:
    """Drive it under these leases, and say what came of it."""
    try:
        text, now = await drive(services, caller, action, leases, progress=progress)
    except (KeyTaken, Stale, LeaseLost):
        raise
    except LedgerFailure as failure:
        return own_word(interrupted(action, str(failure)), action, layer=RetryLayer.WORKFLOW)
    good = now.status is Status.SUCCEEDED
    layer = RetryLayer.MODEL if good else RetryLayer.WORKFLOW if now.status is Status.RUNNING else RetryLayer.HUMAN
    return own_word(text, now, layer=layer, error=not good)
