"""Adjust: a counter goes back by the difference that the action moved it by, not to a value."""

from __future__ import annotations

from takeback.core.images import Image, field_value
from takeback.core.jsontext import JSON
from takeback.core.undo import adjusted
from takeback.ports import Impossible, Material, Remedy


class Adjust:
    """Sends the opposite difference; what others added to the counter in between stays."""

    name = "adjust"

    def plan(self, material: Material) -> Remedy:
        """The opposite call, and the value that each counter should then have.

        That is what is there now without the difference that the arguments named (the rule's `by`, in the options): the
        images may hold what others added during the call, too.
        """
        before, after, current = material.before, material.after, material.current
        if before is None or after is None or current is None:
            raise Impossible("the counter could not be read")
        standoff = material.standoff
        moved = [d.field for d in standoff.restore] + [c.field for c in standoff.conflicts] + list(standoff.already)
        try:
            expected = {
                name: adjusted(*_move(material, name, before, after), field_value(current, name))
                for name in {**dict.fromkeys(moved), **material.options}
            }
        except ValueError as error:
            raise Impossible(str(error)) from None
        return Remedy(material.steps, expected)


def _move(material: Material, name: str, before: Image, after: Image) -> tuple[JSON, JSON]:
    """From where to where the action moved a counter; only the difference counts."""
    if name in material.options:
        return 0, material.options[name]
    return field_value(before, name), field_value(after, name)
