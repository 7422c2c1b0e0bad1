"""What is installed beside the guard: connectors and compensations, found under their entry points."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from takeback.core.policy.schema import Upstream
from takeback.ports import Compensation, ToolClient

Connector = Callable[[str, Upstream, str], ToolClient]
"""Makes the client of one upstream from its name, its table in the policy, and the tenant that the guard serves."""


def connector(kind: str) -> Connector:
    """The connector that is installed for a kind of upstream. Raises LookupError when there is none."""
    for entry in entry_points(group="takeback.tools", name=kind):
        found: Connector = entry.load()
        return found
    raise LookupError(f"no connector for {kind} is installed")


def compensations() -> dict[str, Compensation]:
    """Every compensation that is installed, by name."""
    found = [entry.load()() for entry in entry_points(group="takeback.compensations")]
    return {compensation.name: compensation for compensation in found}
