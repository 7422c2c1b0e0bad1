"""Adjust: a counter goes back by the difference that the action moved it by, not to a value."""

from __future__ import annotations

from takeback.ports import Impossible, Material, Remedy
from takeback_compensations.restore import wanted


class Adjust:
    """Sends the opposite difference; what others added to the counter in between stays."""

    name = "adjust"

    def plan(self, material: Material) -> Remedy:
        """The opposite call; each counter should then hold what is there now, without the difference.

        Raises:
            Impossible: nothing shows what is there.
        """
        if not material.seen:
            raise Impossible("the counter could not be read")
        return Remedy(material.steps, wanted(material))
