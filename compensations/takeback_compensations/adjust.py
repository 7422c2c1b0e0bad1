"""Adjust: a counter goes back by the difference that the action moved it by, not to a value."""

from __future__ import annotations

from takeback.core.images import field_value
from takeback.core.undo import adjusted
from takeback.ports import Impossible, Material, Remedy


class Adjust:
    """Sends the opposite difference; what others added to the counter in between stays."""

    name = "adjust"

    def plan(self, material: Material) -> Remedy:
        """The opposite call, and the value that each counter should then have: C - (A - B)."""
        before, after, current = material.before, material.after, material.current
        if before is None or after is None or current is None:
            raise Impossible("the counter could not be read")
        standoff = material.standoff
        moved = [d.field for d in standoff.restore] + [c.field for c in standoff.conflicts] + list(standoff.already)
        try:
            expected = {
                name: adjusted(field_value(before, name), field_value(after, name), field_value(current, name))
                for name in moved
            }
        except ValueError as error:
            raise Impossible(str(error)) from None
        return Remedy(material.steps, expected)
