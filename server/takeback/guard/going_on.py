"""Resuming, on a person's word: what is in doubt is looked at, what is wrong read again, what had no effect tried."""

from __future__ import annotations

from dataclasses import replace

from takeback.core.action import Action
from takeback.core.queue import EVERY_CAUSE
from takeback.core.redaction import is_redacted
from takeback.core.states import Happening
from takeback.core.vocabulary import COMPENSATIONS, Origin, Status, Verified
from takeback.core.wording import shown
from takeback.guard.barring import barred, cautioned
from takeback.guard.calling import as_repeated
from takeback.guard.entries import NotResolvable
from takeback.guard.joining import taken_over
from takeback.guard.plans.resuming import resume as resume_plan
from takeback.guard.recording import next_fact, settled
from takeback.guard.rereading import NotReadable, read_again
from takeback.guard.resuming import BeingWorkedOn, NotResumable, under_leases, work_again
from takeback.guard.services import Listener, Services
from takeback.guard.suggesting import UNKNOWN, had_none, is_unknown, is_wrong
from takeback.guard.writing import write
from takeback.ports import Change, Pruned


async def go_on(services: Services, action: Action, *, by: str) -> str:
    """Settle or try an action again. Returns what came of it, in words.

    Raises:
        NotResolvable, NotResumable: there is nothing to resume in it, or it cannot be looked at.
        LedgerFailure: the ledger is out of reach.
    """
    if action.origin in COMPENSATIONS:
        raise NotResolvable(
            f"{action.id} takes {action.original} back: choose --compensate to have that done again, or say "
            "--took-effect or --no-effect"
        )
    if action.is_plan:
        return await _plan(services, action, by)
    if is_unknown(action):
        return await _look_again(services, action)
    if is_wrong(action):
        return await _read_again(services, action, by)
    if had_none(action):
        return await _try_again(services, action)
    if action.status in {Status.AWAITING_APPROVAL, Status.APPROVED}:
        return await _try_again(services, action)
    raise NotResolvable(f"{action.id} is {action.status.value}: there is nothing to resume. Compensate or close it")


async def _plan(services: Services, action: Action, by: str) -> str:
    if action.status is not Status.NEEDS_OPERATOR:
        raise NotResolvable(f"the plan {action.id} is {action.status.value}: there is nothing to resume")
    goes_back = (action.error or {}).get("keeps") is not None
    happening = Happening.COMPENSATE if goes_back else Happening.ATTEMPT
    fact = next_fact(services, action, happening, actor=by, detail="resumed")
    over = settled(services, action, EVERY_CAUSE, "the plan goes on")
    await services.ledger.commit(Change(actions=(fact,), settled=(over,), tenant=action.tenant))
    await resume_plan(services, fact[1])
    now = await services.ledger.action(action.tenant, action.id)
    return f"{action.id} went on, and is {now.status.value}."


async def _look_again(services: Services, action: Action) -> str:
    work = work_again(services, action)
    try:
        async with under_leases(services, work, action) as (standing, now):
            if now.status not in UNKNOWN:
                return f"{now.id} was settled meanwhile: it is {now.status.value}."
            return (await taken_over(services, work, standing, now, resumed=True)).text
    except BeingWorkedOn as busy:
        raise NotResolvable(str(busy)) from None


async def _read_again(services: Services, action: Action, by: str) -> str:
    """Whether the target is by now as it should be."""
    try:
        found = await read_again(services, action, by=by)
    except (NotReadable, BeingWorkedOn, Pruned) as problem:
        raise NotResolvable(str(problem)) from None
    if found is None:
        now = await services.ledger.action(action.tenant, action.id)
        return f"{now.id} was settled meanwhile: it is {now.status.value}."
    if found.verified is Verified.YES:
        return f"{action.id} is as it should be: reading back shows what was expected."
    return f"Reading back still does not show what was expected: found {shown(found.actual)}."


async def _try_again(services: Services, action: Action) -> str:
    """A new attempt of the same action, by the rules of today, and with their approval."""
    if action.origin is Origin.PLAN:
        raise NotResolvable(f"{action.id} is a step of {action.original}: resume that plan")
    if is_redacted(action.arguments):
        raise NotResolvable(f"{action.id} had redacted arguments, which are not kept: the call must be made again")
    work = work_again(services, action)
    decision = cautioned(services.catalog, work.decision)
    if decision.verdict == "forward":
        raise NotResumable(f"{action.name} only reads, by the policy of today")
    if (refusal := barred(services.catalog, work.entry, decision)) is not None:
        return refusal.text
    decision = as_repeated(decision, action.origin)
    reply = await write(services, replace(work, decision=decision, listener=Listener(), on_a_word=True))
    return reply.text
