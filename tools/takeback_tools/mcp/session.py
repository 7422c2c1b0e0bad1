"""What was agreed with one MCP server: its era, its capabilities, and what each request must carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp.types import UNSUPPORTED_PROTOCOL_VERSION
from mcp.types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS

from takeback.ports import Answered, Downstream, NotSent, OutcomeUnknown, ProgressSink, ToolFailure
from takeback_tools.mcp.channel import Channel
from takeback_tools.mcp.declared import Declared, envelope

DISCOVERY_PATIENCE: Final = 5.0
"""Seconds for the question whether a server speaks the stateless era: old ones may leave it unanswered."""

_NOT_A_HANDSHAKE_SERVER: Final = {-32601, -32600, -32602, UNSUPPORTED_PROTOCOL_VERSION}
"""Codes with which a server of the stateless era may answer `initialize`."""


@dataclass(frozen=True, slots=True)
class Session:
    """A channel and what was agreed on it. `declared` is what the server was told of us."""

    channel: Channel
    version: str
    capabilities: Mapping[str, Any]
    instructions: str | None
    declared: Declared

    @property
    def stateless(self) -> bool:
        """Whether the server speaks the stateless era's protocol with us."""
        return self.version in MODERN_PROTOCOL_VERSIONS

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
        downstream: Downstream | None = None,
    ) -> dict[str, Any]:
        """As `Channel.request`, in the agreed envelope."""
        return await self.channel.request(
            method,
            self._enveloped(params, downstream),
            timeout=timeout,
            progress=progress,
            headers=headers,
            downstream=downstream,
        )

    def _enveloped(self, params: Mapping[str, Any] | None, downstream: Downstream | None) -> Mapping[str, Any] | None:
        if not self.stateless:
            return params
        given = params or {}
        return {**given, "_meta": {**(given.get("_meta") or {}), **envelope(self.declared, downstream)}}


async def agree(channel: Channel, declared: Declared, timeout: float) -> Session:
    """Negotiate: the handshake first, which most servers know, and where it is refused, `server/discover`.

    With `declared.stateless_first` the other way round.

    Raises:
        ToolFailure: neither works.
    """
    if declared.stateless_first:
        try:
            return await _discover(channel, declared, min(timeout, DISCOVERY_PATIENCE))
        except (Answered, OutcomeUnknown, NotSent):
            channel.version = ""  # it does not speak it, or not with us: the handshake says what is wrong
    params = {
        "protocolVersion": LATEST_HANDSHAKE_VERSION,
        "capabilities": dict(declared.capabilities),
        "clientInfo": dict(declared.info),
    }
    try:
        result = await channel.request("initialize", params, timeout=timeout)
    except Answered as refusal:
        if refusal.code not in _NOT_A_HANDSHAKE_SERVER or declared.stateless_first:
            raise
        try:
            return await _discover(channel, declared, timeout)
        except NotSent:
            raise
        except ToolFailure:
            raise refusal from None
    version = result.get("protocolVersion")
    if not isinstance(version, str):
        raise OutcomeUnknown("malformed", "its answer to initialize names no protocol version")
    session = Session(channel, version, _mapping(result, "capabilities"), _text(result, "instructions"), declared)
    channel.version = version
    await channel.notify("notifications/initialized")
    return session


async def _discover(channel: Channel, declared: Declared, timeout: float) -> Session:
    channel.version = LATEST_MODERN_VERSION
    result = await channel.request("server/discover", {"_meta": envelope(declared)}, timeout=timeout)
    supported = result.get("supportedVersions")
    if not isinstance(supported, list) or not set(MODERN_PROTOCOL_VERSIONS) & {
        v for v in supported if isinstance(v, str)
    }:
        raise NotSent(f"it speaks {supported!r}, and the guard {LATEST_HANDSHAKE_VERSION} or {LATEST_MODERN_VERSION}")
    return Session(
        channel, LATEST_MODERN_VERSION, _mapping(result, "capabilities"), _text(result, "instructions"), declared
    )


def _mapping(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = result.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(result: Mapping[str, Any], key: str) -> str | None:
    value = result.get(key)
    return value if isinstance(value, str) and value else None
