"""Restore: write the fields that the action changed back to what they were before it."""

from __future__ import annotations

from collections.abc import Mapping

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
    for argument, field in step.fields.items():
        if _goes_back(field, fields) or argument in required:
            arguments[argument] = _at(material.goal, field)
        else:
            arguments.pop(argument, None)
    for argument, sources in step.computed.items():
        if argument not in required and not any(_goes_back(field, fields) for field in sources):
            arguments.pop(argument, None)
        elif others := [field for field in sources if not _as_before(material, field)]:
            raise Impossible(f"{argument} would write over {', '.join(others)}, which was changed since")
    lost = [name for name, value in arguments.items() if is_redacted(value)]
    if kept := [name for name in lost if name in required]:
        raise Impossible(f"{', '.join(kept)} was redacted and is kept as a digest only, so it cannot be written back")
    return Step(step.tool, {n: v for n, v in arguments.items() if n not in lost}, step.late, step.fields, step.computed)


def _goes_back(field: str, fields: frozenset[str]) -> bool:
    """Whether a field, or the value or target that it is a part of, is to be restored."""
    return any(
        name in {field, WHOLE} or field.startswith(f"{name.removesuffix(WHOLE).rstrip('.')}.") for name in fields
    )


def _at(value: JSON, path: str) -> JSON:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _as_before(material: Material, field: str) -> bool:
    """Whether the field is to hold exactly what it held before: only then what was computed from it still is right."""
    before = None if material.before is None else value_at(material.before, field)
    return same(before, _at(material.goal, field))
