"""Inverse: a call that does the opposite. Delete what was created, re-create what was deleted, or a paired call."""

from __future__ import annotations

from takeback.core.images import WHOLE
from takeback.ports import Impossible, Material, Remedy
from takeback_compensations.restore import narrowed, wanted


class Inverse:
    """The rule's paired call (add and remove, open and close); read back where the target can be read.

    Arguments that stand for fields which are not to go back are left out, as `restore` does.
    """

    name = "inverse"

    def plan(self, material: Material) -> Remedy:
        """The paired call, with what should be read afterwards. Raises Impossible as `narrowed` does."""
        if not material.seen:
            return Remedy(material.steps, wanted(material))
        return Remedy(tuple(narrowed(step, material) for step in material.steps), wanted(material))


class Remove:
    """Deletes what the action created; afterwards the target must be absent."""

    name = "remove"

    def plan(self, material: Material) -> Remedy:
        """The delete call. Raises Impossible when the record is not as the action left it."""
        if material.standoff.conflicts:
            raise Impossible("the record was changed since it was created")
        if material.current is not None and not material.seen:
            raise Impossible("nothing shows whether the record still is as it was created")
        return Remedy(material.steps, {d.field: None for d in material.standoff.restore if d.field.endswith(WHOLE)})


class Recreate:
    """Creates anew what the action deleted, from the before-image."""

    name = "recreate"

    def plan(self, material: Material) -> Remedy:
        """The create call; afterwards the target must hold what it held. Raises Impossible without a before-image."""
        if material.before is None:
            raise Impossible("there is no before-image to re-create it from")
        if not material.seen:
            return Remedy(material.steps, wanted(material))
        return Remedy(tuple(narrowed(step, material) for step in material.steps), wanted(material))
