"""What may be decided about an entry of the recovery queue, the way out that fits best first. Calls nothing."""

from __future__ import annotations

from typing import Final

from takeback.core.action import Action
from takeback.core.queue import Cause, QueueDecision, Suggestion
from takeback.core.undo import Step
from takeback.core.vocabulary import COMPENSATIONS, Origin, Status
from takeback.guard.services import Services, caller_of
from takeback.guard.undo.authority import authority
from takeback.guard.undo.manner import NotUndoable
from takeback.guard.undo.plan import check_undoable
from takeback.ports import QueueEntry

UNKNOWN: Final = frozenset({Status.RUNNING, Status.IN_DOUBT, Status.NEEDS_OPERATOR})

_CLOSE: Final = "leave it as it is, with a reason"
_WORDS: Final = {
    QueueDecision.TOOK_EFFECT: "you looked: it took effect",
    QueueDecision.NO_EFFECT: "you looked: it had no effect",
}


def is_unknown(action: Action) -> bool:
    """Whether nobody knows if the action took effect."""
    return action.status in UNKNOWN and not action.in_force and not action.is_plan


def is_wrong(action: Action) -> bool:
    """Whether an effect stands that is not as it should be."""
    return action.status is Status.FAILED and action.in_force and not action.is_plan


def had_none(action: Action) -> bool:
    """Whether it failed for certain, with no effect."""
    return action.status is Status.FAILED and not action.in_force and action.origin not in COMPENSATIONS


async def suggestions(services: Services, entry: QueueEntry) -> tuple[Suggestion, ...]:
    """The ways out of an open entry."""
    action = entry.action
    if action is None:
        return ()
    ways = [*_ahead(action), *await _back(services, action), *_words(action), _way(action, QueueDecision.CLOSE, _CLOSE)]
    first = _first(entry.item.cause, action)
    return tuple(sorted(ways, key=lambda way: way.decision is not first))


def _first(cause: Cause, action: Action) -> QueueDecision:
    if cause is Cause.CONFLICT:
        return QueueDecision.CLOSE
    if cause is Cause.PLAN or (action.origin not in COMPENSATIONS and (is_unknown(action) or had_none(action))):
        return QueueDecision.RESUME
    return QueueDecision.COMPENSATE


def _ahead(action: Action) -> list[Suggestion]:
    """Going on with it."""
    if action.origin in COMPENSATIONS:
        return []
    if action.is_plan:
        text = "go on with the plan from where it stopped"
        return [_way(action, QueueDecision.RESUME, text)] if action.status is Status.NEEDS_OPERATOR else []
    if is_unknown(action):
        return [_way(action, QueueDecision.RESUME, "look again now")]
    if had_none(action):
        return [_way(action, QueueDecision.RESUME, "try it again, as its rule allows")]
    return [_way(action, QueueDecision.RESUME, "read it back once more")] if is_wrong(action) else []


def _words(action: Action) -> list[Suggestion]:
    settled = not (is_unknown(action) or is_wrong(action))
    return [] if settled else [_way(action, decision, text) for decision, text in _WORDS.items()]


async def _back(services: Services, action: Action) -> list[Suggestion]:
    """Taking back what the action did, or for an undo in doubt what that was to take back."""
    if action.origin in COMPENSATIONS and not action.in_force:
        if action.origin is Origin.REDO or action.original is None:
            return []
        action = await services.ledger.action(action.tenant, action.original)
    if action.is_plan:
        text = "take back what the plan did, newest first"
        return [_way(action, QueueDecision.COMPENSATE, text)]
    try:
        check_undoable(services, action)
        return [_compensation(services, action)]
    except NotUndoable:
        return []


def _compensation(services: Services, action: Action) -> Suggestion:
    """The way back that the policy had prepared, under today's authorisation. Raises NotUndoable."""
    steps = [Step.from_document(step) for step in action.compensation["steps"]]
    decisions = [authority(services, caller_of(action), action, step, step.arguments) for step in steps]
    if any(decision.verdict == "deny" for decision in decisions):
        raise NotUndoable("today's policy denies it")
    riskiest = max((decision.risk for decision in decisions), key=lambda risk: risk.rank)
    verb = "correct it" if action.compensation.get("corrects") else "take it back"
    more = f" and {len(steps) - 1} more" if len(steps) > 1 else ""
    return Suggestion(
        decision=QueueDecision.COMPENSATE,
        text=f"{verb} by {steps[0].tool}{more}: {(action.forecast or {}).get('text', 'as far as possible')}",
        action=action.id,
        tool=steps[0].tool,
        arguments=steps[0].arguments,
        risk=riskiest,
        approval=any(decision.verdict == "ask" for decision in decisions),
    )


def _way(action: Action, decision: QueueDecision, text: str) -> Suggestion:
    return Suggestion(decision=decision, text=text, action=action.id)
