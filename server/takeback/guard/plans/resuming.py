"""Going on with a plan that was left, and calling one off."""

from __future__ import annotations

from takeback.core.action import Action
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.plan import PlanDocument
from takeback.core.run import CLOSED
from takeback.core.states import Happening
from takeback.core.vocabulary import Status
from takeback.core.wording import refused
from takeback.guard import approving
from takeback.guard.freezing import any_stopped
from takeback.guard.pausing import pausing_now
from takeback.guard.plans.asking import ask
from takeback.guard.plans.beginning import approach, begun
from takeback.guard.plans.driving import drive
from takeback.guard.plans.facts import PlanRequest
from takeback.guard.plans.judging import judged
from takeback.guard.plans.previewing import seen
from takeback.guard.recording import next_fact
from takeback.guard.services import Services, caller_of
from takeback.ports import Change


async def resume(services: Services, action: Action) -> None:
    """Go on with a plan that nobody is at. Raises LedgerFailure: the ledger is away, or another guard was first."""
    caller = caller_of(action)
    standing = await approach(services, caller, action.operation)
    if standing.refused_by is not None:
        return
    now = await services.ledger.action(action.tenant, action.id)
    plan = PlanDocument.from_document(now.arguments)
    frozen = any_stopped(caller, [step.tool for step in plan.steps], standing) is not None
    paused = bool(pausing_now(services, standing))
    if now.status is Status.APPROVED and not (frozen or paused or standing.run_status in CLOSED):
        steps, wrong = judged(services, caller, plan)
        shown = await seen(services, plan, steps)
        if await begun(services, now, standing.leases, shown) is not None:
            return
        if shown.asks and not wrong:  # it is not any more what the person saw, and nobody may come to submit it again
            request = PlanRequest(caller=caller, document=plan.document(), reason=now.reason or "")
            await ask(services, request, shown, now.operation, standing.newest_generation + 1, standing.leases)
            return
    elif now.status in {Status.RUNNING, Status.COMPENSATING} and not frozen:  # each of its steps meets a pause itself
        await drive(services, caller, now, standing.leases)
        return
    await services.ledger.release(standing.leases)


async def call_off(services: Services, tenant: str, plan_id: str, *, by: str, reason: str) -> str:
    """Cancel a plan: no further group is begun, and what was done goes the way that the plan says for a failure."""
    action = await services.ledger.action(tenant, plan_id)
    if not action.is_plan:
        return refused(f"{action.id} is no plan", "takeback_history lists what there is.")
    if action.status in {Status.AWAITING_APPROVAL, Status.APPROVED}:
        approval = await services.ledger.approval(tenant, action.approval or "")
        await approving.void(services, action, approval, f"cancelled by {by}: {reason}")
        return f"[takeback {action.id}] Cancelled; no step was begun."
    if action.status is not Status.RUNNING:
        return refused(f"{action.id} is {action.status.value}", "There is nothing to cancel.")
    word = {"cancel": {"by": by, "reason": one_line(reason, LONGEST_REASON)}}
    fact = next_fact(services, action, Happening.NOTE, detail=f"cancelled by {by}", outcome=word)
    await services.ledger.commit(Change(actions=(fact,), tenant=tenant))
    return f"[takeback {action.id}] Will stop before its next group; takeback_history tells what came of it."
