"""The one client on stdio: what it said of itself, read as its messages pass, and how it is asked and told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol

from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from takeback.core.jsontext import JSON
from takeback.mcp.asking import by_requests
from takeback.mcp.exchange import CAPABILITIES_KEY, CLIENT_KEY, VERSION_KEY
from takeback.ports import ANSWERED_WITHIN, Downstream, ProgressSink

READY_WITHIN: Final = 20.0
"""Seconds that what an upstream asks waits for a client that is still shaking hands."""

WHO: Final = "stdio"


class Wire(Protocol):
    """The transport to the client."""

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write one message to the client."""

    async def request(self, method: str, params: Mapping[str, Any] | None, timeout: float) -> Mapping[str, Any]:
        """Ask the client something and return its `result`. Raises MCPError or TimeoutError."""


class OneClient:
    """What is known of it. `ready` is set when it has shaken hands; one of the stateless era never does."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.version: str | None = None
        self.capabilities: Mapping[str, Any] = {}
        self.info: Mapping[str, Any] | None = None
        self.level: str | None = None
        self.stateless = False
        self.ready = asyncio.Event()

    def see(self, message: Mapping[str, Any]) -> bool:
        """Read what a message says of the client. Whether it now can do something else than was known."""
        method, params = message.get("method"), _mapping(message.get("params"))
        if method == "initialize":
            version = params.get("protocolVersion")
            self.version = version if version in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
            return self._is(params.get("capabilities"), params.get("clientInfo"), stateless=False)
        if method == "notifications/initialized" and self.version is not None:
            self.ready.set()
        elif method == "logging/setLevel":
            level = params.get("level")
            self.level = level if isinstance(level, str) else self.level
        elif self.version is None and not self.stateless:
            meta = _mapping(params.get("_meta"))
            if meta.get(VERSION_KEY) in MODERN_PROTOCOL_VERSIONS:
                return self._is(meta.get(CAPABILITIES_KEY), meta.get(CLIENT_KEY), stateless=True)
        return False

    def _is(self, capabilities: object, info: object, *, stateless: bool) -> bool:
        before = (self.capabilities, self.stateless)
        self.capabilities, self.info, self.stateless = _mapping(capabilities), _mapping(info) or None, stateless
        return before != (self.capabilities, self.stateless)

    def standing(self) -> Downstream:
        """The client as it is known between its requests. One of the stateless era can be asked only within one."""
        return Downstream(
            capabilities=self.capabilities,
            info=self.info,
            stateless=self.stateless,
            who=WHO,
            ask=None if self.stateless else by_requests(self.ask),
        )

    async def ask(self, method: str, params: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """As `AskOne`; not before the client is ready, as the protocol has it."""
        async with asyncio.timeout(READY_WITHIN):
            await self.ready.wait()
        return await self.wire.request(method, params, ANSWERED_WITHIN)

    async def tell(self, method: str, params: JSON) -> None:
        """As `Tell`."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        await self.wire.send(message if params is None else {**message, "params": params})

    def progress(self, token: str | int) -> ProgressSink:
        """Reports progress of a request that the client gave this token."""

        async def progress(update: Mapping[str, Any]) -> None:
            await self.tell("notifications/progress", {**update, "progressToken": token})

        return progress


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
