"""What was agreed with one MCP server: its era, its capabilities, and what each request must carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp.types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mcp.types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION, MODERN_PROTOCOL_VERSIONS

from takeback import __version__
from takeback.ports import Answered, NotSent, OutcomeUnknown, ProgressSink, ToolFailure
from takeback_tools.mcp.channel import Channel

CLIENT: Final = {"name": "takeback", "version": __version__}

_NOT_A_HANDSHAKE_SERVER: Final = {-32601, -32600, -32602, UNSUPPORTED_PROTOCOL_VERSION}
"""Codes with which a server of the stateless era may answer `initialize`."""


@dataclass(frozen=True, slots=True)
class Session:
    """A channel and what was agreed on it. `envelope` is the `_meta` that the stateless era wants in each request."""

    channel: Channel
    version: str
    capabilities: Mapping[str, Any]
    instructions: str | None
    envelope: Mapping[str, Any]

    @property
    def stateless(self) -> bool:
        """Whether the server speaks the stateless era's protocol with us."""
        return bool(self.envelope)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `Channel.request`, in the agreed envelope."""
        return await self.channel.request(
            method, self._enveloped(params), timeout=timeout, progress=progress, headers=headers
        )

    def _enveloped(self, params: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if not self.envelope:
            return params
        given = params or {}
        return {**given, "_meta": {**(given.get("_meta") or {}), **self.envelope}}


async def agree(channel: Channel, capabilities: Mapping[str, Any], timeout: float) -> Session:
    """Negotiate: the handshake first, which most servers know, and where it is refused, `server/discover`.

    Raises:
        ToolFailure: neither works.
    """
    params = {"protocolVersion": LATEST_HANDSHAKE_VERSION, "capabilities": dict(capabilities), "clientInfo": CLIENT}
    try:
        result = await channel.request("initialize", params, timeout=timeout)
    except Answered as refusal:
        if refusal.code not in _NOT_A_HANDSHAKE_SERVER:
            raise
        return await _discover(channel, capabilities, timeout, refusal)
    version = result.get("protocolVersion")
    if not isinstance(version, str):
        raise OutcomeUnknown("malformed", "its answer to initialize names no protocol version")
    session = Session(channel, version, _mapping(result, "capabilities"), _text(result, "instructions"), {})
    channel.version = version
    await channel.notify("notifications/initialized")
    return session


async def _discover(channel: Channel, capabilities: Mapping[str, Any], timeout: float, refusal: Answered) -> Session:
    envelope = {
        PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
        CLIENT_INFO_META_KEY: CLIENT,
        CLIENT_CAPABILITIES_META_KEY: dict(capabilities),
    }
    channel.version = LATEST_MODERN_VERSION
    try:
        result = await channel.request("server/discover", {"_meta": envelope}, timeout=timeout)
    except ToolFailure:
        raise refusal from None
    supported = result.get("supportedVersions")
    if not isinstance(supported, list) or not set(MODERN_PROTOCOL_VERSIONS) & {
        v for v in supported if isinstance(v, str)
    }:
        raise NotSent(f"it speaks {supported!r}, and the guard {LATEST_HANDSHAKE_VERSION} or {LATEST_MODERN_VERSION}")
    return Session(
        channel, LATEST_MODERN_VERSION, _mapping(result, "capabilities"), _text(result, "instructions"), envelope
    )


def _mapping(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = result.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(result: Mapping[str, Any], key: str) -> str | None:
    value = result.get(key)
    return value if isinstance(value, str) and value else None
