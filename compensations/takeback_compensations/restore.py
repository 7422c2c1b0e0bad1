"""Restore: write the fields that the action changed back to what they were before it."""

from __future__ import annotations

from takeback.core.images import WHOLE, same, value_at
from takeback.core.jsontext import JSON
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
        wanted = {difference.field: difference.before for difference in material.standoff.restore}
        steps = tuple(narrowed(step, frozenset(wanted), material) for step in material.steps)
        return Remedy(steps, wanted)


def narrowed(step: Step, wanted: frozenset[str], material: Material) -> Step:
    """A step without the arguments that stand for fields which are not to be restored.

    Raises:
        Impossible: an argument cannot be given without writing over a field that others changed.
    """
    required = material.keeps.get(step.tool, frozenset())
    arguments = dict(step.arguments)
    for argument, field in step.fields.items():
        if _goes_back(field, wanted):
            continue
        if argument in required:
            arguments[argument] = _value(material, field)
        else:
            arguments.pop(argument, None)
    for argument, fields in step.computed.items():
        kept = [field for field in fields if not _goes_back(field, wanted)]
        if kept == fields and argument not in required:
            arguments.pop(argument, None)
        elif others := [field for field in kept if not _as_before(material, field)]:
            raise Impossible(f"{argument} would write over {', '.join(others)}, which was changed since")
    return Step(step.tool, arguments, step.late, step.fields, step.computed)


def _goes_back(field: str, wanted: frozenset[str]) -> bool:
    """Whether a field, or the value or target that it is a part of, is to be restored."""
    return any(
        name in {field, WHOLE} or field.startswith(f"{name.removesuffix(WHOLE).rstrip('.')}.") for name in wanted
    )


def _value(material: Material, field: str) -> JSON:
    return None if material.current is None else value_at(material.current, field)


def _as_before(material: Material, field: str) -> bool:
    before = None if material.before is None else value_at(material.before, field)
    return same(before, _value(material, field))
