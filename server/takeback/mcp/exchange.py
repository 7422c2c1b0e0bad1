"""One request as a face sees it: who makes it, what the client can do, and how to reach it while the request runs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from takeback.core.tracing import LONGEST_TRACE
from takeback.ports import Ask, Caller, Downstream, ProgressSink, Tell

CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
CLIENT_KEY: Final = "io.modelcontextprotocol/clientInfo"
VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"
RUN_KEY: Final = "io.takeback/run"

_MODES_SINCE: Final = "2025-11-25"

APPROVAL_NAME: Final = re.compile(r"p[0-9a-z]{1,12}")
"""How approvals are named: no question of an upstream may look like one of them."""

AskOne = Callable[[str, Mapping[str, Any] | None], Awaitable[Mapping[str, Any]]]
"""Sends the client a request (method, params) and returns its result as it came. Raises MCPError or TimeoutError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What surrounds one request. `ask` is set in the handshake era only: later, clients are not sent requests."""

    caller: Caller
    version: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] | None = None
    who: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    input_responses: Mapping[str, Any] = field(default_factory=dict)
    request_state: str | None = None
    log_level: str | None = None
    ask: AskOne | None = None
    tell: Tell | None = None
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

    async def elicit(self, text: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the person behind a client of the handshake era by a form. Raises MCPError or TimeoutError."""
        assert self.ask is not None
        mode = {"mode": "form"} if self.version >= _MODES_SINCE else {}
        return await self.ask("elicitation/create", {**mode, "message": text, "requestedSchema": schema})

    @property
    def answers(self) -> Mapping[str, Any]:
        """What the client answers unasked; never what could be taken for the answer to an approval."""
        if self.request_state is not None:
            return {}
        return {name: value for name, value in self.input_responses.items() if not APPROVAL_NAME.fullmatch(name)}

    def downstream(self, ask: Ask | None, tell: Tell | None) -> Downstream:
        """The client, for what is behind the guard."""
        return Downstream(
            capabilities=self.capabilities,
            info=self.info,
            stateless=self.stateless,
            who=self.who,
            log_level=self.log_level,
            answers=self.answers,
            ask=ask,
            tell=tell,
        )


def trace_of(meta: Mapping[str, Any]) -> str | None:
    """The trace id in the W3C `traceparent` of a request's `_meta`; none where it is longer than any is."""
    parent = meta.get("traceparent")
    parts = parent.split("-") if isinstance(parent, str) else []
    whole = len(parts) == 4  # noqa: PLR2004 - version, trace id, parent id, flags
    return parts[1] if whole and len(parts[1]) <= LONGEST_TRACE else None


def client_name(info: object) -> str:
    """How a client calls itself: name and version."""
    if not isinstance(info, Mapping):
        return ""
    return " ".join(str(info[key]) for key in ("name", "version") if info.get(key))[:200]
