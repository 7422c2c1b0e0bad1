"""Tools as servers offer them, made for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from takeback.core.inventory.drafting import Drafted, inventory
from takeback.core.inventory.tables import policy_text
from takeback.core.policy.load import Policy, load

READ: dict[str, Any] = {"readOnlyHint": True}


def tool(
    name: str,
    description: str = "",
    *,
    given: Mapping[str, Any] | None = None,
    required: list[str] | None = None,
    output: Mapping[str, Any] | None = None,
    http: tuple[str, str] | None = None,
    **annotations: Any,
) -> dict[str, Any]:
    """A definition. `given` are the arguments' schemas, `output` those of the answer's fields."""
    found: dict[str, Any] = {"name": name, "description": description, "annotations": annotations}
    properties = {key: each if isinstance(each, Mapping) else {"type": each} for key, each in (given or {}).items()}
    found["inputSchema"] = {"type": "object", "properties": properties, "required": required or []}
    if output is not None:
        fields = {key: each if isinstance(each, Mapping) else {"type": each} for key, each in output.items()}
        found["outputSchema"] = {"type": "object", "properties": fields}
    if http is not None:
        found["_meta"] = {"io.takeback/http": {"method": http[0], "path": http[1], "conditional": False}}
    return found


def drafted(*tools: Mapping[str, Any]) -> dict[str, Drafted]:
    """The inventory of a server with these tools, by name; the policy that it makes has loaded."""
    found = inventory("up", tools)
    policy_of(found)
    return {each.tool: each for each in found}


def policy_of(found: list[Drafted]) -> Policy:
    """The policy that an inventory makes, loaded."""
    return load(policy_text({"up": {"command": "x", "args": []}}, {"up": found}), env={"STATE": "/state"})


def is_read(*tools: Mapping[str, Any]) -> bool:
    """Whether the first of these tools is drafted as a read, whatever it is called with."""
    first = inventory("up", tools)[0]
    return any(rule["class"] == "read_only" and "when" not in rule for rule in first.rules)
