"""Actions and images for the core's tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from takeback.core.action import Action, Event, Target, begin, evolve
from takeback.core.images import Image, Part, Presence
from takeback.core.jsontext import JSON
from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Does, Effect, Risk

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TICKET = Target("ticket", "T-182")


def claimed(**changes: Any) -> Action:
    """A running action, begun by a claim."""
    return started(Happening.CLAIM, **changes)


def started(happening: Happening, **changes: Any) -> Action:
    """An action begun by `happening`."""
    fields: dict[str, Any] = {
        "tenant": "acme",
        "run": "r1",
        "principal": "agent",
        "upstream": "desk",
        "tool": "update_ticket",
        "arguments": {"ticket_id": "T-182", "priority": "high"},
        "targets": (TICKET,),
        "operation": "op",
        "generation": 0,
        "key": "key",
        "fingerprint": "print",
        "action_class": ActionClass.INTERNAL_UPDATE,
        "effect": Effect.SET,
        "does": Does.UPDATE,
        "risk": Risk.LOW,
        "rule": "rule",
        "policy_digest": "policy",
        "fields": ("priority",),
        "sent_at": NOW,
    }
    identity = {"id": changes.pop("id", "a1")}
    return begin(Event(identity["id"], 1, happening, NOW, "guard", fields | changes))


def after(action: Action, *happenings: Happening, **changes: Any) -> Action:
    """The action after more events; `changes` go with the last of them."""
    for happening in happenings:
        last = happening is happenings[-1]
        event = Event(
            action.id,
            action.version + 1,
            happening,
            NOW + timedelta(seconds=action.version),
            "guard",
            changes if last else {},
        )
        action = evolve(action, event)
    return action


def image(value: JSON) -> Image:
    """An image of one target; None stands for an absent one."""
    return Image((Part("target", Presence.ABSENT if value is None else Presence.PRESENT, value),))


UNREADABLE = Image((Part("target", Presence.UNREADABLE, None, "no answer"),))
