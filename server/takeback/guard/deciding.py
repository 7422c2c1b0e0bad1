"""What a person says of an entry of the recovery queue: that it took effect, that it did not, or that it is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

from takeback.core.action import Action
from takeback.core.queue import RecoveryItem
from takeback.core.states import Happening
from takeback.core.vocabulary import Origin, Status
from takeback.guard.recording import Fact, next_fact
from takeback.guard.services import Services
from takeback.ports import Change, NotFound

Decision = Literal["took_effect", "no_effect", "close"]

_UNKNOWN: Final = frozenset({Status.IN_DOUBT, Status.NEEDS_OPERATOR})


class NotResolvable(Exception):
    """The decision does not fit what the entry is about (any more); the message says why and what to do."""


async def resolve(
    services: Services, tenant: str, item_id: str, *, decision: Decision, by: str, reason: str
) -> tuple[RecoveryItem, Action]:
    """Record a person's decision; the entry is closed with it, and the action moves on where its outcome was unknown.

    Raises:
        NotFound: the tenant has no such entry.
        NotResolvable: it was decided already, or the decision does not fit.
        LedgerFailure: somebody else was quicker, or the ledger is out of reach; nothing was changed.
    """
    items = await services.ledger.queue(tenant, open_only=False)
    item = next((one for one in items if item_id in {one.id, one.action}), None)
    if item is None:
        raise NotFound(f"there is no {item_id} in the recovery queue")
    if item.closed_at is not None:
        raise NotResolvable(f"{item.id} was closed by {item.closed_by} already ({item.decision}: {item.reason})")
    action = await services.ledger.action(tenant, item.action)
    facts = _facts(services, action, decision, by, reason)
    now = services.clock.now()
    closed = replace(item, version=item.version + 1, closed_at=now, closed_by=by, decision=decision, reason=reason)
    await services.ledger.commit(Change(actions=facts, queue=(closed,), tenant=tenant))
    return closed, facts[-1][1] if facts else action


def _facts(services: Services, action: Action, decision: Decision, by: str, reason: str) -> tuple[Fact, ...]:
    unknown = action.status in _UNKNOWN and not action.in_force
    if not unknown:
        if decision != "close":
            why = f"{action.id} is {action.status.value}: that it took effect or not is known"
            raise NotResolvable(f"{why}. Undo it (`takeback undo`) or close the entry (--close)")
        return ()
    if action.origin in {Origin.UNDO, Origin.REDO}:
        raise NotResolvable(f"{action.id} takes {action.original} back: undo that again, or close its own entry")
    changes: dict[str, Any] = {"settled_at": services.clock.now()}
    match decision:
        case "took_effect":
            return (next_fact(services, action, Happening.SUCCEED, actor=by, detail=reason, in_force=True, **changes),)
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
