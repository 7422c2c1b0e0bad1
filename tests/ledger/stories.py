"""Actions as a guard would write them, short to say in a test."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from takeback.core.action import Action, Event, Target, begin, evolve
from takeback.core.canonical import canonical
from takeback.core.freezing import Freeze, FreezeKind
from takeback.core.queue import EVERY_CAUSE, Comment, QueueDecision, RecoveryItem, Settled
from takeback.core.run import Approval, Checkpoint, Run, Unwinding
from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Does, Effect, Risk
from takeback.ports import AccessEntry, Approach, Change, HistoryQuery, Ledger, Sighting

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
Fact = tuple[Event, Action]


def sha(text: str) -> str:
    """A digest that stands for `text`."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def first(id_: str, happening: Happening = Happening.CLAIM, **changes: Any) -> Fact:
    """The event that begins an action, and the action. Everything that must be unique follows from the id."""
    given: dict[str, Any] = {
        "tenant": "acme",
        "run": "r1",
        "principal": "ann",
        "upstream": "helpdesk",
        "tool": "update_ticket",
        "arguments": {"ticket_id": id_, "priority": "high"},
        "targets": (Target(type="ticket", id=f"T-{id_}", label="Printer"),),
        "operation": sha(f"operation {id_}"),
        "generation": 0,
        "key": sha(f"key {id_}"),
        "fingerprint": sha(f"fingerprint {id_}"),
        "action_class": ActionClass.INTERNAL_UPDATE,
        "effect": Effect.SET,
        "does": Does.UPDATE,
        "risk": Risk.LOW,
        "rule": "rule 1",
        "policy_digest": sha("policy"),
    }
    event = Event(id_, 1, happening, NOW, "guard for ann", given | changes, "first")
    return event, begin(event)


def after(fact: Fact | Action, happening: Happening, **changes: Any) -> Fact:
    """One more event, and the action after it."""
    action = fact if isinstance(fact, Action) else fact[1]
    at = action.updated_at + timedelta(seconds=1)
    event = Event(action.id, action.version + 1, happening, at, "guard", changes)
    return event, evolve(action, event)


def image(value: Any) -> tuple[str, bytes]:
    """An image and its digest."""
    content = canonical(value)
    return hashlib.sha256(content).hexdigest(), content


def a_read(value: Any, at: datetime = NOW, place: str = "x", **more: str) -> AccessEntry:
    """A read that saw a value at a place."""
    seen = Sighting(sha(place), at, canonical(value))
    entry = AccessEntry("acme", "r1", "ann", "desk", "get", at, ok=True, arguments_digest=sha("x"), seen=seen)
    return replace(entry, **more)  # type: ignore[arg-type]


async def write(ledger: Ledger, *facts: Fact, **change: Any) -> None:
    """Commit facts as one change."""
    await ledger.commit(Change(actions=facts, tenant=facts[0][1].tenant, **change))


async def succeeded(ledger: Ledger, id_: str, **changes: Any) -> Action:
    """An action that was claimed and took effect."""
    begun = first(id_, **changes)
    done = after(begun, Happening.SUCCEED, in_force=True)
    await write(ledger, begun, done)
    return done[1]


def approach(holder: str, *names: str, **given: Any) -> Approach:
    """An approach of one call."""
    values: dict[str, Any] = {
        "tenant": "acme",
        "run": "r1",
        "operation": sha("operation of nobody"),
        "holder": holder,
        "lease_names": names,
        "lease_for": timedelta(seconds=60),
        "now": NOW,
    }
    return Approach(**(values | given))


def a_run(id_: str = "r1", **given: Any) -> Run:
    """A run."""
    return replace(
        Run(id=id_, tenant="acme", principal="ann", opened_at=NOW, active_at=NOW, request="tidy up"), **given
    )


def an_approval(id_: str, **given: Any) -> Approval:
    """An approval that waits."""
    expires = NOW + timedelta(hours=1)
    plain = Approval(
        id=id_,
        tenant="acme",
        run="r1",
        action="a1",
        digest=sha(id_),
        preview={"n": 2**70},
        requested_at=NOW,
        expires_at=expires,
    )
    return replace(plain, **given)


def an_item(id_: str, **given: Any) -> RecoveryItem:
    """A recovery item that is open."""
    plain = RecoveryItem(
        id=id_,
        tenant="acme",
        run="r1",
        action="a1",
        risk=Risk.LOW,
        why="in doubt",
        opened_at=NOW,
        suggestion={"tool": "x"},
    )
    return replace(plain, **given)


def a_comment(id_: str, **given: Any) -> Comment:
    """What somebody said of the entry `q1`."""
    return replace(Comment(id=id_, tenant="acme", item="q1", at=NOW, by="ann", text="I asked the bank"), **given)


def settled(action: str, **given: Any) -> Settled:
    """Closes what is open about an action."""
    facts: dict[str, Any] = {"tenant": "acme", "causes": EVERY_CAUSE, "at": NOW, "by": "guard", "reason": "it settled"}
    return Settled(**{"action": action, "decision": QueueDecision.RESUME, **facts, **given})


def a_checkpoint(id_: str, **given: Any) -> Checkpoint:
    """A checkpoint."""
    return replace(Checkpoint(id=id_, tenant="acme", run="r1", name="safe", at=NOW, body={"done": ["a1"]}), **given)


def an_unwinding(id_: str, **given: Any) -> Unwinding:
    facts: dict[str, Any] = {"run": "r1", "principal": "ann", "what": "last 2", "reason": "wrong", "opened_at": NOW}
    return Unwinding(**{"id": id_, "tenant": "acme", "actions": ("a2", "a1"), **facts, **given})


def a_freeze(id_: str, **given: Any) -> Freeze:
    """An upstream frozen by somebody."""
    facts: dict[str, Any] = {"kind": FreezeKind.UPSTREAM, "name": "helpdesk", "reads": False, "since": NOW}
    said = {"frozen_by": "ann", "reason": "odd mails"}
    return Freeze(**{"id": id_, "tenant": "acme", **facts, **said, **given})


async def ids(ledger: Any, tenant: str = "acme", **query: Any) -> list[str]:
    """The ids of the history's first page."""
    page = await ledger.history(HistoryQuery(tenant=tenant, **query))
    return [action.id for action in page.actions]
