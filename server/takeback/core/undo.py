"""Undo: what an action changed, whether that can be put back now, and what an undo came to.

B is the before-image, A the after-image, C what is there now, D what is there after the compensation. What an action
changed is the difference of B and A, restricted to the fields that it declares to write; everything else is somebody
else's and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from takeback.core.action import Action
from takeback.core.images import WHOLE, Difference, Image, differences, field_value, leaf
from takeback.core.jsontext import JSON
from takeback.core.merging import alike
from takeback.core.policy.schema import ListKind
from takeback.core.vocabulary import Does, UndoOutcome


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a compensation. `late` holds expressions that need `current` or `reason`, by argument.

    `fields` names the field of the before-image that an argument stands for (empty: all of them), `places` those that
    stand within it, by their keys joined with a slash, and `computed` those that it was made from.
    """

    tool: str
    arguments: dict[str, JSON]
    late: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    computed: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, dict[str, str]] = field(default_factory=dict)

    def sources(self) -> dict[str, list[str]]:
        """All fields of the before-image that each argument has something of."""
        found = {argument: [name] for argument, name in self.fields.items()}
        for argument in self.computed.keys() | self.places.keys():
            found[argument] = [*self.computed.get(argument, ()), *self.places.get(argument, {}).values()]
        return found

    def document(self) -> JSON:
        """For the ledger."""
        return {
            "tool": self.tool,
            "arguments": self.arguments,
            "late": self.late,
            "fields": self.fields,
            "computed": self.computed,
            "places": self.places,
        }

    @classmethod
    def from_document(cls, document: JSON) -> Step:
        """The reverse of `document`."""
        computed, places = document.get("computed") or {}, document.get("places") or {}
        return cls(document["tool"], document["arguments"], document["late"], document["fields"], computed, places)


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
    return tuple(d for d in found if d.field in wanted or leaf(d.field) in wanted | {WHOLE})


def had_effect(action: Action, before: Image | None, after: Image | None, ignore: tuple[str, ...]) -> bool:
    """Whether reading back shows an effect of a call that reported an error.

    Only the fields that it declares to write can show one. That one vanished is none of a call that deletes nothing.
    """
    if before is None or after is None or not before.readable or not after.readable:
        return False
    found = changed(before, after, declared=action.fields, ignore=ignore)
    gone = [difference.field.endswith(WHOLE) and difference.after is None for difference in found]
    return any(gone) if action.does is Does.DELETE else not all(gone)


def unexplained(before: Image, after: Image, *, declared: tuple[str, ...], ignore: tuple[str, ...]) -> tuple[str, ...]:
    """Fields that differ between the images and that the action does not declare: somebody else's, never undone."""
    mine = {d.field for d in changed(before, after, declared=declared, ignore=ignore)}
    return tuple(d.field for d in differences(before, after, ignore=ignore) if d.field not in mine)


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
    lists: Mapping[str, ListKind] | None = None,
    declared: tuple[str, ...] = (),
) -> Outcome:
    """Compare what is there after the compensation (D) with what should be, field by field.

    `expected` maps fields (as `differences` names them; `*` for a whole target) to the values they should hold.
    Fields beyond it that changed between C and D are residue, too, where the compensation declares to write them (with
    nothing `declared`, any): it did more than it should. The rest is somebody else's. `lists` says by field which lists
    have no order.
    """
    if not restored.readable:
        return Outcome(UndoOutcome.FAILED, "the state after it could not be read", residue=tuple(expected))
    kinds = lists or {}
    wrong = {name: _off(restored, name, value, ignore, kinds) for name, value in expected.items()}
    put_back = tuple(name for name, off in wrong.items() if name not in off)
    off = tuple(field for fields in wrong.values() for field in fields)
    if off and not put_back:
        return Outcome(UndoOutcome.FAILED, f"{', '.join(map(_plain, off))} did not go back", (), off)
    whole = any(name.endswith(WHOLE) for name in expected)
    strange = [d.field for d in differences(current, restored, ignore=ignore) if d.field not in expected]
    others = [] if whole else [name for name in strange if not declared or leaf(name) in declared]
    left = tuple(dict.fromkeys((*off, *others, *residue)))
    if left:
        return Outcome(UndoOutcome.COMPENSATED, f"not as before: {', '.join(left)}", put_back, left)
    return Outcome(UndoOutcome.EXACT, f"{', '.join(_plain(n) for n in put_back) or 'nothing'} as before", put_back)


def _off(
    image: Image, name: str, value: JSON, ignore: tuple[str, ...], kinds: Mapping[str, ListKind]
) -> tuple[str, ...]:
    """What is not as expected: the field itself, or for a whole target those of its fields that are not."""
    found = field_value(image, name)
    if isinstance(found, dict) and isinstance(value, dict) and name.endswith(WHOLE):
        prefix = name.removesuffix(WHOLE)
        names = sorted((found.keys() | value.keys()) - set(ignore))
        return tuple(prefix + n for n in names if not alike(kinds.get(n), found.get(n), value.get(n)))
    return () if alike(kinds.get(leaf(name)), found, value) else (name,)


def _plain(name: str) -> str:
    return "the whole target" if name == WHOLE else name
