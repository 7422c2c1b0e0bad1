"""What an approval covers: a preview for a person, and the digest that binds the answer to exactly that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from takeback.core.action import Action, Target
from takeback.core.canonical import digest
from takeback.core.images import Image, values_of
from takeback.core.jsontext import JSON
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.vocabulary import ActionClass, Risk

_UNBOUND: Final = "(volatile: may be another one when it runs)"


def approval_digest(
    *,
    tool: str,
    arguments: JSON,
    rule: str,
    policy_digest: str,
    fields: tuple[str, ...],
    required: JSON,
    before: Image | None,
    ignore: tuple[str, ...],
) -> str:
    """Binds an approval to tool, arguments, rule, the fields that will change as they are now, and what `require` saw.

    Ignored fields are left out, or a view counter would void every approval.
    """
    seen = {field: values_of(before, field) for field in fields if field not in ignore} if before is not None else None
    presence = [[part.name, part.presence.value] for part in before.parts] if before is not None else None
    return digest([tool, arguments, rule, policy_digest, seen, presence, required])


def preview(
    *,
    tool: str,
    arguments: Mapping[str, JSON],
    targets: tuple[Target, ...],
    fields: tuple[str, ...],
    before: Image | None,
    action_class: ActionClass,
    risk: Risk,
    forecast: str,
    asked_by: str,
    why: str,
    expires_at: datetime,
    volatile: tuple[str, ...] = (),
) -> JSON:
    """What the person is shown: the fields that will change with before and after, and what undo can do about it.

    A volatile argument is not bound by the approval, so its value is not shown as if it were.
    """
    changes = [
        {"field": field, "before": values_of(before, field) if before else None, "after": arguments.get(field)}
        for field in fields
        if field in arguments and field not in volatile
    ]
    return {
        "tool": tool,
        "targets": [target.human for target in targets],
        "changes": changes,
        "arguments": {name: _UNBOUND if name in volatile else value for name, value in arguments.items()},
        "class": action_class.value,
        "risk": risk.value,
        "undo": forecast,
        "asked_by": one_line(asked_by, LONGEST_REASON),
        "why": one_line(why, LONGEST_REASON),
        "expires_at": expires_at.isoformat(),
    }


def covers(action: Action, digest_shown: str, digest_now: str) -> bool:
    """Whether an approval given for `digest_shown` still covers the action as it would run now."""
    return action.approval is not None and digest_shown == digest_now
