"""What a JSON Schema says about a field: that it is there, that it cannot be, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

ITEM: Final = "[]"
"""A step to an element of a list."""

_MOST_PARTS: Final = 200
"""Parts of one schema that are looked at for one field; also what bounds the depth."""

_MOST_REFERENCES: Final = 24
_OF_OBJECTS: Final = frozenset({"object"})


class Fate(Enum):
    """What becomes of a field. From the surest to the least sure."""

    NAMED = "named"  # the schema describes it
    EXCLUDED = "excluded"  # the schema forbids it, or what holds it is no object
    UNNAMED = "unnamed"  # the schema describes others; it may still be there
    UNKNOWN = "unknown"  # the schema says nothing


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a value: a part of a schema, with the whole for its references; or `fields`, and no others.

    Without either nothing is known.
    """

    schema: Any = None
    root: Any = None
    fields: Mapping[str, Shape] | None = None

    @property
    def types(self) -> frozenset[str] | None:
        """The JSON types that it may have, without null; None where nothing says."""
        return frozenset({"object"}) if self.fields is not None else types(self.schema, self.root)


NOTHING_KNOWN: Final = Shape()


def whole(schema: Any) -> Shape:
    """The shape that a schema describes; None: it describes nothing."""
    return Shape(schema, schema)


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at the end of a path. `depth` is how many steps were taken; `names` are the fields known there.

    `needed` says whether every value has the field.
    """

    fate: Fate
    shape: Shape = NOTHING_KNOWN
    depth: int = 0
    names: tuple[str, ...] = ()
    needed: bool = True


def look(shape: Shape, path: Sequence[str]) -> Look:
    """Follow a path of fields."""
    here, needed = shape, True
    for depth, step in enumerate(path):
        found = _field(here, step)
        if found.fate is not Fate.NAMED:
            names = tuple(here.fields) if here.fields is not None else _names(here.schema, _Walk(here.root))
            return Look(found.fate, depth=depth, names=names, needed=needed)
        here, needed = found.shape, needed and found.needed
    known = here.fields is not None or here.schema is not None
    return Look(Fate.NAMED if known else Fate.UNKNOWN, here, len(path), needed=needed)


def _field(shape: Shape, step: str) -> Look:
    if shape.fields is None:
        return _step(shape.schema, step, _Walk(shape.root))
    return Look(Fate.NAMED, shape.fields[step]) if step in shape.fields else Look(Fate.EXCLUDED)


def types(schema: Any, root: Any) -> frozenset[str] | None:
    """The JSON types that a schema allows, without null; None where it does not say."""
    return _types(schema, _Walk(root))


@dataclass(slots=True)
class _Walk:
    """One walk through a schema, which comes to each part of it once: references may lead in circles, or multiply."""

    root: Any
    seen: set[int] = field(default_factory=set)

    def enter(self, schema: Any) -> Mapping[str, Any] | None:
        """The part that is to be looked at, where its references lead; None where nothing (new) can be said."""
        resolved = _resolved(schema, self.root)
        if not isinstance(resolved, Mapping) or id(resolved) in self.seen or len(self.seen) > _MOST_PARTS:
            return None
        self.seen.add(id(resolved))
        return resolved


def _types(schema: Any, walk: _Walk) -> frozenset[str] | None:
    part = walk.enter(schema)
    if part is None:
        return None
    named = part.get("type")
    if isinstance(named, str):
        named = [named]
    if isinstance(named, list):
        return frozenset(one for one in named if isinstance(one, str)) - {"null"}
    for word in ("anyOf", "oneOf"):
        if isinstance(part.get(word), list):
            branches = [_types(branch, walk) for branch in part[word]]
            return None if None in branches else frozenset().union(*(one for one in branches if one is not None))
    return None


def _step(schema: Any, step: str, walk: _Walk) -> Look:
    if schema is False:
        return Look(Fate.EXCLUDED)
    part = walk.enter(schema)
    if part is None:
        return Look(Fate.UNKNOWN)
    looks = [_own(part, step, walk.root), *(_step(branch, step, walk) for branch in _list(part, "allOf"))]
    for word in ("anyOf", "oneOf"):
        branches = [branch for branch in _list(part, word) if types(branch, walk.root) != frozenset()]  # not null alone
        if branches:
            looks.append(_either([_step(branch, step, walk) for branch in branches]))
    return _all(looks)


def _own(schema: Mapping[str, Any], step: str, root: Any) -> Look:
    """What the schema itself says, without what it is composed of."""
    kinds = types({"type": schema.get("type")}, root)
    if step == ITEM:
        items = schema.get("items")
        if isinstance(items, Mapping):
            return Look(Fate.NAMED, Shape(items, root))
        return Look(Fate.EXCLUDED if kinds and not kinds & {"array", "object"} else Fate.UNKNOWN)
    if kinds and not kinds & _OF_OBJECTS:
        return Look(Fate.EXCLUDED)
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    if step in properties:
        required = schema.get("required")
        needed = isinstance(required, list) and step in required
        return Look(Fate.NAMED, Shape(properties[step], root), needed=needed)
    more = schema.get("additionalProperties")
    if schema.get("patternProperties") or more is True or isinstance(more, Mapping):
        return Look(Fate.UNKNOWN)
    if more is False:
        return Look(Fate.EXCLUDED)
    return Look(Fate.UNNAMED if properties else Fate.UNKNOWN)


def _all(looks: list[Look]) -> Look:
    """Schemas that hold together: what one of them forbids is forbidden, what one of them describes is there."""
    named = [one for one in looks if one.fate is Fate.NAMED]
    if named:
        return Look(Fate.NAMED, named[0].shape, needed=any(one.needed for one in named))
    fates = {one.fate for one in looks}
    for fate in (Fate.EXCLUDED, Fate.UNNAMED):
        if fate in fates and (fate is not Fate.EXCLUDED or len(looks) == 1 or Fate.UNKNOWN not in fates):
            return Look(fate)
    return Look(Fate.UNKNOWN)


def _either(looks: list[Look]) -> Look:
    """Schemas of which one holds: a field is there if it may be, and forbidden only where all forbid it."""
    named = [one for one in looks if one.fate is Fate.NAMED]
    if named:
        shape = named[0].shape if all(one.shape == named[0].shape for one in named) else NOTHING_KNOWN
        everywhere = len(named) == len(looks) and all(one.needed for one in named)
        return Look(Fate.NAMED, shape, needed=everywhere)
    for fate in (Fate.UNKNOWN, Fate.UNNAMED):
        if any(one.fate is fate for one in looks):
            return Look(fate)
    return Look(Fate.EXCLUDED)


def _names(schema: Any, walk: _Walk) -> tuple[str, ...]:
    """The fields that a schema describes, for suggestions."""
    part = walk.enter(schema)
    if part is None:
        return ()
    properties = part.get("properties")
    found = dict.fromkeys(map(str, properties)) if isinstance(properties, Mapping) else {}
    for word in ("allOf", "anyOf", "oneOf"):
        for branch in _list(part, word):
            found |= dict.fromkeys(_names(branch, walk))
    return tuple(found)


def _resolved(schema: Any, root: Any) -> Any:
    """The schema that a `$ref` within the document leads to; None where it leads elsewhere, or in circles."""
    for _ in range(_MOST_REFERENCES):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            return schema
        schema = _at(root, schema["$ref"])
    return None


def _at(root: Any, pointer: object) -> Any:
    if not isinstance(pointer, str) or not pointer.startswith("#"):
        return None
    here = root
    for part in pointer[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(here, Mapping) or key not in here:
            return None
        here = here[key]
    return here


def _list(schema: Mapping[str, Any], word: str) -> list[Any]:
    found = schema.get(word)
    return found if isinstance(found, list) else []
