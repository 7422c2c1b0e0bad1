"""Events and the rows that follow from them: how the guard writes down what happens to an action."""

from __future__ import annotations

import hashlib
from typing import Any

from takeback.core.action import Action, Event, begin, evolve
from takeback.core.canonical import canonical
from takeback.core.jsontext import JSON
from takeback.core.operation import idempotency_key
from takeback.core.queue import Cause, QueueDecision, RecoveryItem, Settled
from takeback.core.states import Happening
from takeback.guard.services import Services, Work
from takeback.ports import Caller

Fact = tuple[Event, Action]


def first(services: Services, work: Work, happening: Happening, *, generation: int, **changes: Any) -> Fact:
    """The event that begins an action, and the action."""
    decision = work.decision
    about = {
        "upstream": work.entry.client.name,
        "tool": work.entry.definition.name,
        "arguments": services.redacted(work.arguments, work.redact),
        "targets": decision.targets,
        "fingerprint": work.fingerprint,
        "client_key": work.client_key,
        "action_class": decision.action_class,
        "effect": decision.effect,
        "does": decision.does,
        "risk": decision.risk,
        "rule": decision.rule_id,
        "policy_digest": decision.policy_digest,
        "origin": work.origin,
        "original": work.original,
        "reason": work.reason,
    }
    claims = claimed_by(work.caller, work.operation, generation)
    return beginning(services, "a", happening, {**claims, **about, **changes}, decision.why)


def claimed_by(caller: Caller, operation: str, generation: int) -> dict[str, Any]:
    """Who begins an action, and the key under which it is begun."""
    return {
        "tenant": caller.tenant,
        "run": caller.run,
        "principal": caller.principal,
        "client": caller.client,
        "trace": caller.trace,
        "operation": operation,
        "generation": generation,
        "key": idempotency_key(operation, generation),
    }


def beginning(services: Services, prefix: str, happening: Happening, changes: dict[str, Any], detail: str) -> Fact:
    """The event that begins an action with everything that it is, and the action. Its id begins with `prefix`."""
    who = f"guard for {changes['principal']}"
    event = Event(services.ids.new(prefix), 1, happening, services.clock.now(), who, changes, detail)
    return event, begin(event)


def next_fact(
    services: Services, action: Action, happening: Happening, *, actor: str = "guard", detail: str = "", **changes: Any
) -> Fact:
    """One more event of an action, and the action after it. Raises IllegalTransition."""
    event = Event(action.id, action.version + 1, happening, services.clock.now(), actor, changes, detail)
    return event, evolve(action, event)


def blob(value: JSON) -> tuple[str, bytes]:
    """A value as the ledger keeps it: its digest and its canonical form."""
    data = canonical(value)
    return hashlib.sha256(data).hexdigest(), data


def with_companions(work: Work, fact: Fact) -> tuple[Fact, ...]:
    """A fact and what its purpose moves along with it: they are committed together."""
    event, action = fact
    return (fact, *work.purpose.companions(event.happening, action, event))


def recovery_item(services: Services, action: Action, why: str, cause: Cause | None = None) -> RecoveryItem:
    """A new entry of the queue; the ledger merges it into one that is open for the same action and cause."""
    return RecoveryItem(
        id=services.ids.new("q"),
        tenant=action.tenant,
        run=action.run,
        action=action.id,
        risk=action.risk,
        why=why,
        opened_at=services.clock.now(),
        suggestion=action.compensation,
        cause=cause or (Cause.PLAN if action.is_plan else Cause.IN_DOUBT),
    )


def settled(
    services: Services,
    action: Action,
    causes: frozenset[Cause],
    reason: str,
    *,
    by: str = "guard",
    decision: QueueDecision = QueueDecision.RESUME,
) -> Settled:
    """What closes the open entries of an action with one of these causes: nobody needs to look any more."""
    return Settled(
        tenant=action.tenant,
        action=action.id,
        causes=causes,
        at=services.clock.now(),
        by=by,
        decision=decision,
        reason=reason,
    )
