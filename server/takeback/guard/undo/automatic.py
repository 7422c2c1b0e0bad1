"""Taking a write back at once because its policy says so: when it did not read back as expected, exactly or not at all.

It is the ordinary undo, asked for by the policy. What it refuses stays in the recovery queue, with the reason.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from takeback.core.action import Action
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.vocabulary import COMPENSATIONS, Origin, Status, UndoOutcome, Verified
from takeback.guard.ending import asked_for_wrong
from takeback.guard.replies import Reply, text_block
from takeback.guard.services import Services, Work, caller_of
from takeback.guard.undo.authority import stands_in_the_way
from takeback.guard.undo.manner import NotUndoable
from takeback.guard.undo.one import carried_out
from takeback.guard.undo.plan import Plan, conflict_text, plan
from takeback.guard.undo.taking_back import at_once
from takeback.ports import Caller, Change, LedgerFailure

POLICY: Final = "policy"
"""Who takes it back, in the record."""

REASON: Final = "it did not read back as expected, and its rule has such writes taken back"

_NOT_OURS: Final = COMPENSATIONS | {Origin.PLAN}
"""An undo is not undone by itself, and a plan says itself what goes back."""


async def taken_back_at_once(services: Services, work: Work, reply: Reply, since: datetime) -> Reply:
    """The answer to a write, with what became of taking it back where its rule wants that.

    `since` is when the call came: what an earlier one left is a person's by now.
    """
    action, rule = reply.action, work.decision.rule
    if action is None or rule is None or not rule.auto_compensate or work.origin in _NOT_OURS:
        return reply
    fresh = action.settled_at is not None and action.settled_at > since
    if not (fresh and action.status is Status.FAILED and action.in_force and action.verified is Verified.MISMATCH):
        return reply
    try:
        said = await _take_back(services, action)
        action = await services.ledger.action(action.tenant, action.id)
    except LedgerFailure as failure:  # what was recorded of the call stands, with its entry in the queue
        said = f"It was not taken back by itself: {failure}."
    result = reply.result or {}
    content = [*(result.get("content") or []), text_block(said)]
    return replace(reply, result={**result, "content": content}, action=action)


async def _take_back(services: Services, action: Action) -> str:
    caller = replace(caller_of(action), principal=POLICY)
    try:
        found = await plan(services, action, REASON)
        why = _in_the_way(services, caller, found)
    except NotUndoable as problem:
        why = str(problem)
    else:
        if not why:
            step = await carried_out(services, caller, found, REASON)
            if step.outcome is UndoOutcome.EXACT:
                return f"It was taken back at once, as the policy says. {step.text}"
            why = step.text
    now = await services.ledger.action(action.tenant, action.id)
    if now.status is Status.FAILED:
        item = asked_for_wrong(services, now)
        why_not = one_line(f"{item.why}. Not taken back by itself: {why}", 2 * LONGEST_REASON)
        await services.ledger.commit(Change(queue=(replace(item, why=why_not),), tenant=now.tenant))
    return f"It was not taken back by itself: {why}. A person was asked to look."


def _in_the_way(services: Services, caller: Caller, found: Plan) -> str:
    """Why it is not taken back exactly, at once, by nobody's word but the policy's; empty where it is."""
    if found.standoff.conflicts:
        return conflict_text(found.standoff)
    if found.dependents:
        return f"{found.dependents[0].id} rests on it"
    if found.nothing_to_do:
        return ""
    if not at_once(found):
        return "it would not go back exactly, by one call of low risk"
    return stands_in_the_way(services, caller, found.action)
