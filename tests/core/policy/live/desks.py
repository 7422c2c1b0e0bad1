"""Small upstreams as plain data, and what a policy in front of them is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from takeback.core.policy.live.findings import Severity
from takeback.core.policy.live.offers import Live, Tool
from takeback.core.policy.live.survey import survey
from tests.core.policy.policies import HEAD, loaded

TEXT: Final = {"type": "string"}


def record(required: tuple[str, ...] = (), *, closed: bool = False, **fields: Any) -> dict[str, Any]:
    """A schema of an object."""
    made: dict[str, Any] = {"type": "object", "properties": fields}
    if required:
        made["required"] = list(required)
    return made | {"additionalProperties": False} if closed else made


TICKET: Final = record(
    ("id",), closed=True, id=TEXT, title=TEXT, priority=TEXT, version={"type": "integer"}, tenant=TEXT,
    tags={"type": "array", "items": TEXT}, lines={"type": "array", "items": record(closed=True, sku=TEXT)},
)  # fmt: skip
TOOLS: Final[dict[str, dict[str, Any]]] = {
    "get": {"inputSchema": record(("id",), closed=True, id=TEXT), "outputSchema": TICKET},
    "find": {
        "inputSchema": record(closed=True, words=TEXT),
        "outputSchema": record(closed=True, hits={"type": "array", "items": TICKET}),
    },
    "set": {
        "inputSchema": record(
            ("id",), closed=True, id=TEXT, priority={"enum": ["low", "high"], "type": "string"}, title=TEXT
        ),
        "outputSchema": record(closed=True, ok={"type": "boolean"}),
    },
    "remove": {"inputSchema": record(("number",), closed=True, number={"type": "integer"})},
}


def desk(tools: Mapping[str, Mapping[str, Any]] = TOOLS, **more: Any) -> Live:
    """What the upstream `desk` offers."""
    return Live({"desk": tuple(Tool("desk", {"name": name, **tool}, **more) for name, tool in tools.items())})


def told(policy: str, live: Live | None = None, *, least: Severity = Severity.WARNING) -> list[str]:
    """What is found, as a person reads it, down to a severity."""
    found = survey(loaded(HEAD + policy), desk() if live is None else live)
    return [f"{one.severity}: {one.mistake}" for one in found if one.severity.rank <= least.rank]
