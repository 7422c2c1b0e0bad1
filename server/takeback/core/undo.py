"""Undo: what an action changed, whether that can be put back now, and what an undo came to.

B is the before-image, A the after-image, C what is there now, D what is there after the compensation. What an action
changed is the difference of B and A, restricted to the fields that it declares to write; everything else is somebody
else's and stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from takeback.core.images import WHOLE, Difference, Image, differences, field_value, same
from takeback.core.jsontext import JSON
from takeback.core.redaction import is_redacted
from takeback.core.vocabulary import UndoOutcome


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a compensation. `late` holds expressions that need `current` or `reason`, by argument.

    `fields` names the field of the before-image that an argument stands for, `computed` those that it was made from.
    """

    tool: str
    arguments: dict[str, JSON]
    late: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    computed: dict[str, list[str]] = field(default_factory=dict)

    def document(self) -> JSON:
        """For the ledger."""
        return {
            "tool": self.tool,
            "arguments": self.arguments,
            "late": self.late,
            "fields": self.fields,
            "computed": self.computed,
        }

    @classmethod
    def from_document(cls, document: JSON) -> Step:
        """The reverse of `document`."""
        computed = document.get("computed") or {}
        return cls(document["tool"], document["arguments"], document["late"], document["fields"], computed)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an undo is expected to come to, in the same words as its outcome. `until`: impossible after that."""

    outcome: UndoOutcome
    text: str
    until: datetime | None = None
    residue: tuple[str, ...] = ()

    def document(self) -> JSON:
        """For the ledger."""
        until = self.until.isoformat() if self.until else None
        return {"outcome": self.outcome.value, "text": self.text, "until": until, "residue": list(self.residue)}


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that neither holds what the action left nor what was there before: a person decides."""

    field: str
    before: JSON
    after: JSON
    current: JSON


@dataclass(frozen=True, slots=True)
class Standoff:
    """How the changed fields stand now: to be put back, already back, or in conflict."""

    restore: tuple[Difference, ...] = ()
    already: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def changed(
    before: Image, after: Image, *, declared: tuple[str, ...], ignore: tuple[str, ...]
) -> tuple[Difference, ...]:
    """What an action changed: the difference of its images, restricted to what it declares to write.

    With nothing declared, and where a target appeared or vanished, everything that is not ignored counts.
    """
    found = differences(before, after, ignore=ignore)
    if not declared:
        return found
    wanted = frozenset(declared)
    return tuple(d for d in found if d.field in wanted or d.field.rpartition(".")[2] in wanted | {WHOLE})


def unexplained(before: Image, after: Image, *, declared: tuple[str, ...], ignore: tuple[str, ...]) -> tuple[str, ...]:
    """Fields that differ between the images and that the action does not declare: somebody else's, never undone."""
    mine = {d.field for d in changed(before, after, declared=declared, ignore=ignore)}
    return tuple(d.field for d in differences(before, after, ignore=ignore) if d.field not in mine)


def stand(
    before: Image, after: Image, current: Image, differing: tuple[Difference, ...], ignore: tuple[str, ...]
) -> Standoff:
    """Field by field: C = B is nothing to do, C = A goes back to B, anything else is a conflict."""
    restore: list[Difference] = []
    already: list[str] = []
    conflicts: list[Conflict] = []
    for difference in differing:
        now = field_value(current, difference.field)
        if difference.field.endswith(WHOLE):
            now_is_before = _same_whole(before, current, difference, ignore)
            now_is_after = _same_whole(after, current, difference, ignore)
        else:
            now_is_before, now_is_after = same(now, difference.before), same(now, difference.after)
        if now_is_before:
            already.append(difference.field)
        elif now_is_after:
            restore.append(difference)
        else:
            conflicts.append(Conflict(difference.field, difference.before, difference.after, now))
    return Standoff(tuple(restore), tuple(already), tuple(conflicts))


def _same_whole(image: Image, current: Image, difference: Difference, ignore: tuple[str, ...]) -> bool:
    prefix = difference.field[: -len(WHOLE)]
    return not [d for d in differences(image, current, ignore=ignore) if not prefix or d.field.startswith(prefix)]


def adjusted(before: JSON, after: JSON, current: JSON) -> JSON:
    """A counter goes back by the difference it was moved by: C - (A - B).

    Raises:
        ValueError: one of the three is not a number.
    """
    for value in (before, after, current):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("a counter must be a number")
    return current - (after - before)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an undo came to; computed from what was read back."""

    outcome: UndoOutcome
    text: str
    restored: tuple[str, ...] = ()
    residue: tuple[str, ...] = ()
    unconditioned: bool = True
    evidence: dict[str, Any] = field(default_factory=dict)

    def document(self) -> JSON:
        """For the ledger."""
        return {
            "outcome": self.outcome.value,
            "text": self.text,
            "restored": list(self.restored),
            "residue": list(self.residue),
            "unconditioned": self.unconditioned,
            **self.evidence,
        }


def judge_outcome(
    expected: dict[str, JSON],
    current: Image,
    restored: Image,
    *,
    ignore: tuple[str, ...],
    residue: tuple[str, ...] = (),
) -> Outcome:
    """Compare what is there after the compensation (D) with what should be, field by field.

    `expected` maps fields (as `differences` names them; `*` for a whole target) to the values they should hold.
    Fields beyond it that changed between C and D are residue, too: the compensation did more than it should.
    """
    if not restored.readable:
        return Outcome(UndoOutcome.FAILED, "the state after it could not be read", residue=tuple(expected))
    wrong = [name for name, value in expected.items() if not _holds(restored, name, value, ignore)]
    put_back = tuple(name for name in expected if name not in wrong)
    if wrong and not put_back:
        return Outcome(UndoOutcome.FAILED, f"{', '.join(wrong)} did not go back", (), tuple(wrong))
    whole = any(name.endswith(WHOLE) for name in expected)
    others = (
        ()
        if whole
        else tuple(d.field for d in differences(current, restored, ignore=ignore) if d.field not in expected)
    )
    left = (*wrong, *others, *residue)
    if left:
        return Outcome(UndoOutcome.COMPENSATED, f"not as before: {', '.join(left)}", put_back, left)
    return Outcome(UndoOutcome.EXACT, f"{', '.join(_plain(n) for n in put_back) or 'nothing'} as before", put_back)


def _holds(image: Image, name: str, value: JSON, ignore: tuple[str, ...]) -> bool:
    found = field_value(image, name)
    if isinstance(found, dict) and isinstance(value, dict) and name.endswith(WHOLE):
        names = (found.keys() | value.keys()) - set(ignore)
        return all(same(found.get(n), value.get(n)) for n in names)
    return same(found, value)


def _plain(name: str) -> str:
    return "the whole target" if name == WHOLE else name


def unwritable(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Arguments that hold redacted values: they can be compared but never written."""
    return tuple(name for step in steps for name, value in step.arguments.items() if is_redacted(value))
