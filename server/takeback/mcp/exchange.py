"""One tool call as a face sees it: who calls, what the client can do, and how to reach it while the call runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from takeback.ports import Caller, ProgressSink

CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_KEY: Final = "io.modelcontextprotocol/clientInfo"
VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
RUN_KEY: Final = "io.takeback/run"

Elicit = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Asks the person behind the client by a form (text, schema); returns the `elicitation/create` result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What surrounds one `tools/call`. `elicit` is set in the handshake era only, when the client takes forms."""

    caller: Caller
    version: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    input_responses: Mapping[str, Any] = field(default_factory=dict)
    elicit: Elicit | None = None
    progress: ProgressSink | None = None

    @property
    def stateless(self) -> bool:
        """Whether the call came in the stateless era (2026-07-28 and later)."""
        return self.version in MODERN_PROTOCOL_VERSIONS

    @property
    def takes_forms(self) -> bool:
        """Whether the client can show a person a form. `elicitation: {}` means forms; URL only does not."""
        declared = self.capabilities.get("elicitation")
        return isinstance(declared, Mapping) and (not declared or "form" in declared)


def trace_of(meta: Mapping[str, Any]) -> str | None:
    """The trace id in the W3C `traceparent` of a request's `_meta`."""
    parent = meta.get("traceparent")
    parts = parent.split("-") if isinstance(parent, str) else []
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 - version, trace id, parent id, flags


def client_name(info: object) -> str:
    """How a client calls itself: name and version."""
    if not isinstance(info, Mapping):
        return ""
    return " ".join(str(info[key]) for key in ("name", "version") if info.get(key))[:200]
