"""Images of targets: what was read before a write, after it, and now; and what differs between two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from takeback.core.canonical import canonical
from takeback.core.jsontext import JSON

MAX_IMAGE_BYTES: Final = 4 * 1024 * 1024
"""Of a bigger target, the largest fields are kept as digests only: compared, never written back."""

WHOLE: Final = "*"
"""Stands for the whole target where it has no fields (it is absent, a list, or a text)."""


class Presence(StrEnum):
    """What a read said about a target."""

    PRESENT = "present"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Part:
    """One target as it was read. `value` is null unless present; `problem` says why it could not be read.

    `version` is the upstream's own name for this state (an ETag), where it gave one.
    """

    name: str
    presence: Presence
    value: JSON = None
    problem: str | None = None
    version: str | None = None

    def document(self) -> list[JSON]:
        """For the ledger; a version is kept only where there is one."""
        kept: list[JSON] = [self.name, self.presence.value, self.value, self.problem]
        return kept if self.version is None else [*kept, self.version]


@dataclass(frozen=True, slots=True)
class Image:
    """All targets of an action as they were read at one time."""

    parts: tuple[Part, ...]

    @property
    def readable(self) -> bool:
        """Whether every target could be read (present or absent)."""
        return bool(self.parts) and all(part.presence is not Presence.UNREADABLE for part in self.parts)

    def part(self, name: str) -> Part | None:
        """The part of one target."""
        return next((part for part in self.parts if part.name == name), None)

    def variable(self) -> JSON:
        """What expressions see as `before`, `after` or `current`: the value, or a map by name for several targets."""
        if len(self.parts) == 1:
            return self.parts[0].value
        return {part.name: part.value for part in self.parts}

    def document(self) -> JSON:
        """The image as JSON, for storage."""
        return [part.document() for part in self.parts]

    @classmethod
    def from_document(cls, document: JSON) -> Image:
        """The reverse of `document`."""
        return cls(tuple(Part(name, Presence(kind), *rest) for name, kind, *rest in document))


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs. `field` is `name` or `target.name` where the action has several targets."""

    field: str
    before: JSON
    after: JSON


def differences(before: Image, after: Image, *, ignore: Iterable[str] = ()) -> tuple[Difference, ...]:
    """What differs between two images of the same targets, field by field at the top level of each target.

    A target that appeared or vanished differs as a whole (`*`). Ignored fields are left out.
    """
    left_out = frozenset(ignore)
    several = len(before.parts) > 1
    found: list[Difference] = []
    for part in before.parts:
        other = after.part(part.name)
        if other is not None and Presence.UNREADABLE not in {part.presence, other.presence}:
            prefix = f"{part.name}." if several else ""
            found += _part_differences(part, other, prefix, left_out)
    return tuple(found)


def _part_differences(part: Part, other: Part, prefix: str, ignore: frozenset[str]) -> list[Difference]:
    if isinstance(part.value, Mapping) and isinstance(other.value, Mapping):
        names = sorted(part.value.keys() | other.value.keys())
        return [
            Difference(prefix + name, part.value.get(name), other.value.get(name))
            for name in names
            if prefix + name not in ignore
            and name not in ignore
            and not same(part.value.get(name), other.value.get(name))
        ]
    if part.presence is other.presence and same(part.value, other.value):
        return []
    return [Difference(prefix + WHOLE, part.value, other.value)]


def leaf(field: str) -> str:
    """The name of a field without the target that it belongs to."""
    return field.rpartition(".")[2]


def same(one: JSON, other: JSON) -> bool:
    """Equality of JSON values: 1 equals 1.0, true does not equal 1."""
    if type(one) is type(other) and not isinstance(one, dict | list):
        return bool(one == other)
    return canonical(one) == canonical(other)


def field_value(image: Image, field: str) -> JSON:
    """The value of one field as `differences` names it; null where it is not there."""
    name, _, rest = field.rpartition(".") if len(image.parts) > 1 else ("", "", field)
    part = image.part(name) if name else (image.parts[0] if image.parts else None)
    if part is None or rest == WHOLE:
        return part.value if part else None
    return part.value.get(rest) if isinstance(part.value, Mapping) else None


def values_of(image: Image, field: str) -> JSON:
    """The value of a field that a call declares: by target, where the action has several."""
    if len(image.parts) == 1:
        return field_value(image, field)
    return {part.name: part.value.get(field) for part in image.parts if isinstance(part.value, Mapping)}


def value_at(image: Image, path: str) -> JSON:
    """The value that `before.<path>` selects in expressions; null where it is not there."""
    value = image.variable()
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def without(image: Image, ignore: Iterable[str]) -> Image:
    """An image without ignored fields, for digests over what it shows."""
    left_out = frozenset(ignore)
    several = len(image.parts) > 1

    def kept(part: Part) -> JSON:
        if not isinstance(part.value, Mapping):
            return part.value
        prefix = f"{part.name}." if several else ""
        return {n: v for n, v in part.value.items() if n not in left_out and prefix + n not in left_out}

    return Image(tuple(replace(part, value=kept(part)) for part in image.parts))


def equal_images(one: Image, other: Image, *, ignore: Iterable[str] = ()) -> bool:
    """Whether two readable images show the same, ignored fields aside."""
    return one.readable and other.readable and not differences(one, other, ignore=ignore)
