"""Restore: write the fields that the action changed back to what they were before it."""

from __future__ import annotations

from takeback.core.images import field_value
from takeback.core.undo import Step
from takeback.ports import Impossible, Material, Remedy


class Restore:
    """Sends the rule's undo call with only those fields that are to go back; fields that are not ours stay out.

    An argument that stands for a field (`priority = "before.priority"`) is left out when that field is not to be
    restored, unless the tool requires it; then it carries the current value, so that nobody's edit is lost.
    """

    name = "restore"

    def plan(self, material: Material) -> Remedy:
        """The undo call, narrowed to the fields in question. Raises Impossible without images."""
        if material.before is None or material.current is None:
            raise Impossible("there is no before-image to restore from")
        wanted = {difference.field: difference.before for difference in material.standoff.restore}
        steps = tuple(narrowed(step, frozenset(wanted), material) for step in material.steps)
        return Remedy(steps, wanted)


def narrowed(step: Step, wanted: frozenset[str], material: Material) -> Step:
    """A step without the arguments that stand for fields which are not to be restored."""
    required = material.keeps.get(step.tool, frozenset())
    arguments = dict(step.arguments)
    for argument, field in step.fields.items():
        if field in wanted or "*" in wanted:
            continue
        if argument in required:
            arguments[argument] = _current(material, field)
        else:
            arguments.pop(argument, None)
    return Step(step.tool, arguments, step.late, step.fields)


def _current(material: Material, field: str) -> object:
    return None if material.current is None else field_value(material.current, field)
