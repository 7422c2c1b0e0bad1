"""Verification: what was read after a write against what the write should have made, never what the tool claimed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from takeback.core.expressions import Expression, ExpressionError
from takeback.core.images import Image, Presence, differences, same
from takeback.core.jsontext import JSON
from takeback.core.vocabulary import Does, Verified

Reason = Literal[
    "", "unreadable", "no_read", "unchanged", "different", "absent", "present", "rule", "expression", "nothing_named"
]

_ABSENCE: Final = {Does.CREATE: Presence.PRESENT, Does.DELETE: Presence.ABSENT}


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict, with a reason code and, for a mismatch, what was expected and what was found."""

    verified: Verified
    reason: Reason = ""
    expected: JSON = None
    actual: JSON = None

    def as_json(self) -> JSON:
        """For the ledger; null when there is nothing to explain."""
        if self.verified is Verified.YES:
            return None
        return {"reason": self.reason, "expected": self.expected, "actual": self.actual}


def named_fields(arguments: Mapping[str, JSON], image: Image, writes: tuple[str, ...] | None) -> tuple[str, ...]:
    """The fields that a write declares: the rule's `writes`, else the target's fields that the arguments name."""
    if writes is not None:
        return writes
    values = [part.value for part in image.parts if isinstance(part.value, Mapping)]
    return tuple(name for name in arguments if any(name in value for value in values))


def verify(
    *,
    rule: Expression | None,
    does: Does,
    arguments: Mapping[str, JSON],
    writes: tuple[str, ...] | None,
    before: Image | None,
    after: Image | None,
    variables: Mapping[str, JSON],
    identity: frozenset[str] = frozenset(),
    ignore: tuple[str, ...] = (),
) -> Verification:
    """Compare what was read with what was expected.

    With a rule, its expression decides. Otherwise a created target must be present, a deleted one absent, and each
    field that the arguments name must hold the value that they give (`identity`: arguments that only name the target).
    """
    if after is None:
        return Verification(Verified.IMPOSSIBLE, "no_read")
    if not after.readable:
        problem = "; ".join(
            part.problem or "unreadable" for part in after.parts if part.presence is Presence.UNREADABLE
        )
        return Verification(Verified.IMPOSSIBLE, "unreadable", actual=problem)
    if rule is not None:
        return _by_rule(rule, before, after, variables, ignore)
    if (wanted := _ABSENCE.get(does)) is not None:
        return _by_presence(wanted, after, arguments if does is Does.CREATE else {}, writes, identity)
    return _by_fields(arguments, after, writes, identity, before, ignore)


def _by_rule(
    rule: Expression, before: Image | None, after: Image, variables: Mapping[str, JSON], ignore: tuple[str, ...]
) -> Verification:
    try:
        held = rule.truth(variables)
    except ExpressionError as error:
        return Verification(Verified.MISMATCH, "expression", expected=rule.source, actual=str(error))
    if held:
        return Verification(Verified.YES)
    changed = differences(before, after, ignore=ignore) if before is not None and before.readable else ()
    reason: Reason = "rule" if changed or before is None else "unchanged"
    return Verification(Verified.MISMATCH, reason, expected=rule.source, actual={d.field: d.after for d in changed})


def _by_presence(
    wanted: Presence,
    after: Image,
    arguments: Mapping[str, JSON],
    writes: tuple[str, ...] | None,
    identity: frozenset[str],
) -> Verification:
    wrong = [part for part in after.parts if part.presence is not wanted]
    if wrong:
        reason: Reason = "absent" if wanted is Presence.PRESENT else "present"
        return Verification(Verified.MISMATCH, reason, expected=wanted.value, actual=wrong[0].presence.value)
    found = _by_fields(arguments, after, writes, identity, None)
    return found if found.verified is Verified.MISMATCH else Verification(Verified.YES)


def _by_fields(
    arguments: Mapping[str, JSON],
    after: Image,
    writes: tuple[str, ...] | None,
    identity: frozenset[str],
    before: Image | None,
    ignore: tuple[str, ...] = (),
) -> Verification:
    names = [name for name in named_fields(arguments, after, writes) if name in arguments and name not in identity]
    value = after.parts[0].value
    if not names or not isinstance(value, Mapping):
        return Verification(Verified.IMPOSSIBLE, "nothing_named")
    wrong = [name for name in names if not agree(arguments[name], value.get(name))]
    if not wrong:
        return Verification(Verified.YES)
    expected, actual = {n: arguments[n] for n in wrong}, {n: value.get(n) for n in wrong}
    untouched = before is not None and before.readable and not differences(before, after, ignore=ignore)
    return Verification(Verified.MISMATCH, "unchanged" if untouched else "different", expected, actual)


def agree(wanted: JSON, found: JSON) -> bool:
    """Whether a system that trims text and normalises times would store `wanted` as `found`."""
    if same(wanted, found):
        return True
    if not isinstance(wanted, str) or not isinstance(found, str):
        return False
    if wanted.strip() == found.strip():
        return True
    one, other = _time(wanted), _time(found)
    return one is not None and one == other


def _time(text: str) -> datetime | None:
    if len(text) < len("2026-01-01T00:00") or text[4:5] != "-":
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
