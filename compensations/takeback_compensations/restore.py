"""Restore: write the fields that the action changed back to what they were before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from takeback.core.images import WHOLE, same, value_at
from takeback.core.jsontext import JSON
from takeback.core.redaction import is_redacted
from takeback.core.undo import Step
from takeback.ports import Impossible, Material, Remedy


class Restore:
    """Sends the rule's undo call with only those fields that are to go back; fields that are not ours stay out.

    An argument that stands for a field (`priority = "before.priority"`) is left out when that field is not to be
    restored, unless the tool requires it; then it carries the current value, so that nobody's edit is lost.
    """

    name = "restore"

    def plan(self, material: Material) -> Remedy:
        """The undo call, narrowed to the fields in question. Raises Impossible where nothing shows which those are."""
        if not material.seen:
            raise Impossible("the target was not read before and after, so nothing shows what would go back")
        return Remedy(tuple(narrowed(step, material) for step in material.steps), wanted(material))


def wanted(material: Material) -> dict[str, JSON]:
    """What is to be read afterwards, by field."""
    return {difference.field: difference.before for difference in material.standoff.restore}


def narrowed(step: Step, material: Material) -> Step:
    """A step that writes only what is to go back, with the values that it is to have then.

    Raises:
        Impossible: an argument cannot be given without writing over a field that others changed, or is not kept.
    """
    required = material.keeps.get(step.tool, frozenset())
    fields = frozenset(wanted(material))
    arguments = dict(step.arguments)
    for argument, sources in step.sources().items():
        if argument not in required and not any(_goes_back(field, fields) for field in sources):
            arguments.pop(argument, None)
            continue
        computed = step.computed.get(argument, ())
        if others := [field for field in computed if not _as_before(material, field)]:
            raise Impossible(f"{argument} would write over {', '.join(others)}, which was changed since")
        if argument in step.fields:
            arguments[argument] = _at(material.goal, step.fields[argument])
        for place, field in step.places.get(argument, {}).items():
            arguments[argument] = _with(arguments[argument], place.split("/"), _at(material.goal, field))
    lost = [name for name, value in arguments.items() if is_redacted(value)]
    if kept := [name for name in lost if name in required]:
        raise Impossible(f"{', '.join(kept)} was redacted and is kept as a digest only, so it cannot be written back")
    return replace(step, arguments={name: value for name, value in arguments.items() if name not in lost})


def _with(table: JSON, keys: list[str], value: JSON) -> JSON:
    """The table with another value in one place; what is not to go back holds what is there now, not nothing."""
    first, *rest = keys
    return {**table, first: _with(table[first], rest, value) if rest else value}


def _goes_back(field: str, fields: frozenset[str]) -> bool:
    """Whether a field, or the value or target that it is a part of, is to be restored; empty: any of them."""
    return bool(fields and not field) or any(
        name in {field, WHOLE} or field.startswith(f"{name.removesuffix(WHOLE).rstrip('.')}.") for name in fields
    )


def _at(value: JSON, path: str) -> JSON:
    for step in path.split(".") if path else ():
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _as_before(material: Material, field: str) -> bool:
    """Whether the field is to hold exactly what it held before: only then what was computed from it still is right."""
    before = None if material.before is None else value_at(material.before, field)
    return same(before, _at(material.goal, field))
