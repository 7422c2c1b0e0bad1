"""What is installed beside the guard: compensations, found under their entry point."""

from __future__ import annotations

from importlib.metadata import entry_points

from takeback.ports import Compensation


def compensations() -> dict[str, Compensation]:
    """Every compensation that is installed, by name."""
    found = [entry.load()() for entry in entry_points(group="takeback.compensations")]
    return {compensation.name: compensation for compensation in found}
