"""Correct: for what cannot be undone. A correction is a new effect and is never called undo."""

from __future__ import annotations

from takeback.ports import Material, Remedy


class Correct:
    """Sends the rule's correction; what was sent stays sent and is named as residue."""

    name = "correct"

    def plan(self, material: Material) -> Remedy:
        """The correcting call; nothing is expected to be as before."""
        return Remedy(material.steps, {}, (f"what {material.action.tool} did stays done",))
