"""A person's word on an entry of the recovery queue: that it took effect, that it did not, or that it is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

from takeback.core.action import Action
from takeback.core.queue import EVERY_CAUSE, UNKNOWN_OUTCOME, Cause, QueueDecision, RecoveryItem
from takeback.core.states import Happening
from takeback.core.vocabulary import COMPENSATIONS, Origin, Status, Verified
from takeback.guard.entries import NotResolvable, find, move, open_to
from takeback.guard.recording import Fact, next_fact, settled
from takeback.guard.services import Services
from takeback.guard.suggesting import is_wrong
from takeback.guard.undo.redoing import stands_again
from takeback.ports import Change

Decision = Literal["took_effect", "no_effect", "close"]

_UNKNOWN: Final = frozenset({Status.IN_DOUBT, Status.NEEDS_OPERATOR})


async def resolve(
    services: Services,
    tenant: str,
    named: str,
    *,
    decision: Decision,
    by: str,
    reason: str,
    seen: int | None = None,
) -> tuple[RecoveryItem, Action]:
    """Record a person's word; the entry is closed with it, and the action moves on where its outcome was unknown.

    `seen` is the version of the entry that they were shown, where that is known.

    Raises:
        NotFound: the tenant has no such entry.
        NotResolvable: it was decided already, somebody is at it, or the decision does not fit.
        LedgerFailure: the ledger is out of reach; nothing was changed.
    """
    if not reason.strip():
        raise NotResolvable("a reason is required")
    entry = await find(services, tenant, named)
    open_to(entry, seen, by)
    action = await services.ledger.action(tenant, entry.item.action)
    facts = await _facts(services, action, decision, by, reason)
    item = replace(
        entry.item,
        version=entry.item.version + 1,
        closed_at=services.clock.now(),
        closed_by=by,
        decision=decision,
        reason=reason,
        handler=None,
        handling=None,
    )
    done = QueueDecision(decision)
    over = [settled(services, one, _gone(one), reason, by=by, decision=done) for _, one in facts]
    await move(services, Change(actions=facts, queue=(item,), settled=tuple(over), tenant=tenant), entry.item, by)
    moved = [one for _, one in facts if one.id == action.id]
    return item, moved[-1] if moved else action


def _gone(action: Action) -> frozenset[Cause]:
    """What needs no look any more, of an action that a person's word has moved on."""
    if action.status is Status.COMPENSATED or not (action.in_force or action.status in _UNKNOWN):
        return EVERY_CAUSE
    if action.status is Status.SUCCEEDED:
        return UNKNOWN_OUTCOME | {Cause.UNDO_FAILED, Cause.MISMATCH, Cause.PARTIAL}
    return UNKNOWN_OUTCOME


async def _facts(services: Services, action: Action, decision: Decision, by: str, reason: str) -> tuple[Fact, ...]:
    if action.status in _UNKNOWN and not action.in_force:
        facts = _outcome(services, action, decision, by, reason)
        if action.origin in COMPENSATIONS:
            facts += await _of_original(services, facts[-1][1], decision, by, reason)
        return facts
    if decision == "close":
        return _let_stand(services, action, by, reason)
    if is_wrong(action):
        return (_judged(services, action, decision, by, reason),)
    why = f"{action.id} is {action.status.value}: that it took effect or not is known"
    raise NotResolvable(f"{why}. Undo it (`takeback undo`) or close the entry (--close)")


def _outcome(services: Services, action: Action, decision: Decision, by: str, reason: str) -> tuple[Fact, ...]:
    changes: dict[str, Any] = {"settled_at": services.clock.now()}
    match decision:
        case "took_effect":
            changes |= {"in_force": True, "verified": Verified.IMPOSSIBLE}  # a word, and nothing that was read
            return (next_fact(services, action, Happening.SUCCEED, actor=by, detail=reason, **changes),)
        case "no_effect":
            return (next_fact(services, action, Happening.FAIL, actor=by, detail=reason, **changes),)
        case "close":
            return _closed(services, action, by, reason)


def _closed(services: Services, action: Action, by: str, reason: str) -> tuple[Fact, ...]:
    """What became of it stays unknown, and nobody asks any more."""
    facts: list[Fact] = []
    if action.status is Status.IN_DOUBT:
        facts.append(next_fact(services, action, Happening.GIVE_UP, actor=by, detail=reason))
        action = facts[-1][1]
    facts.append(next_fact(services, action, Happening.CLOSE, actor=by, detail=reason))
    return tuple(facts)


async def _of_original(services: Services, undo: Action, decision: Decision, by: str, reason: str) -> tuple[Fact, ...]:
    """What an undo that was in doubt took back moves along: it is back, or it stands as it did."""
    original = await services.ledger.action(undo.tenant, undo.original or "")
    if original.status not in {Status.NEEDS_OPERATOR, Status.COMPENSATING}:
        return ()
    facts: list[Fact] = []
    if decision != "took_effect":
        if original.status is Status.COMPENSATING:
            facts.append(next_fact(services, original, Happening.GIVE_UP, actor=by, detail=reason))
            original = facts[-1][1]
        return (*facts, *_let_stand(services, original, by, reason))
    again = await stands_again(services, original)
    if original.status is Status.NEEDS_OPERATOR:
        facts.append(next_fact(services, original, Happening.COMPENSATE, actor=by, detail=reason))
        original = facts[-1][1]
    corrects = bool((original.compensation or {}).get("corrects"))
    changes: dict[str, Any] = {"compensated_by": undo.id, "in_force": corrects}
    facts.append(next_fact(services, original, Happening.RESTORE, actor=by, detail=reason, **changes))
    if again is not None:
        facts.append(next_fact(services, again, Happening.REDO, actor=by, detail=reason, in_force=True, outcome=None))
    return tuple(facts)


def _let_stand(services: Services, action: Action, by: str, reason: str) -> tuple[Fact, ...]:
    """Of one that an undo left to a person: it stands in the world, as it did before the undo."""
    if action.status is not Status.NEEDS_OPERATOR or not action.in_force:
        return ()
    wrong = action.verified is Verified.MISMATCH and action.origin is not Origin.UNDO
    happening = Happening.FAIL if wrong else Happening.SUCCEED
    return (next_fact(services, action, happening, actor=by, detail=reason),)


def _judged(services: Services, action: Action, decision: Decision, by: str, reason: str) -> Fact:
    """Of one that did not read back as expected: a person looked, and all is well, or nothing of it is there."""
    changes: dict[str, Any] = {"verified": Verified.IMPOSSIBLE, "mismatch": None}
    if decision == "took_effect":
        return next_fact(services, action, Happening.CONFIRM, actor=by, detail=reason, error=None, **changes)
    return next_fact(services, action, Happening.NOTE, actor=by, detail=reason, in_force=False, **changes)
