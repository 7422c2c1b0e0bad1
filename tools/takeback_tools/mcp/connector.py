"""The connector to one MCP server: starts it, supervises it, and carries requests to it, whatever its transport."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import httpx2
from mcp.shared.inbound import mcp_param_headers, x_mcp_header_map

from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Upstream
from takeback.ports import (
    Answered,
    NotificationSink,
    NotSent,
    OutcomeUnknown,
    ProgressSink,
    ToolDefinition,
    ToolFailure,
)
from takeback_tools.mcp.channel import METHOD_NOT_FOUND, Channel, Hooks, refuse
from takeback_tools.mcp.http import HttpChannel
from takeback_tools.mcp.messages import unsubscribed
from takeback_tools.mcp.process import launch
from takeback_tools.mcp.pump import Pump
from takeback_tools.mcp.session import Session, agree
from takeback_tools.mcp.settings import McpSettings
from takeback_tools.mcp.sse import SseChannel

log = logging.getLogger(__name__)

PAGES: Final = 1000
"""Pages that a list may have; one that goes on gives the same cursor for ever."""

HOLD_OFF: Final = (0.5, 30.0)
"""Seconds after a failed start before the next attempt: first, and at most (doubled each time)."""

RequestHandler = Callable[[str, JSON], Awaitable[dict[str, Any]]]


class McpConnector:
    """One upstream of the policy.

    A connection that ended is made anew by the next request, never in the middle of one.
    """

    def __init__(self, name: str, settings: McpSettings) -> None:
        self.name, self._settings = name, settings
        self._session: Session | None = None
        self._starting: asyncio.Task[Session] | None = None
        self._tools: tuple[ToolDefinition, ...] | None = None
        self._param_headers: dict[str, Mapping[tuple[str, ...], str]] = {}
        self._sinks: list[Pump[tuple[str, JSON]]] = []
        self._handler: RequestHandler = refuse
        self._listening: asyncio.Task[None] | None = None
        self._failures, self._not_before = 0, 0.0
        self._last_failure = ""
        self._closed = False
        self._changes = 0
        self._reading = asyncio.Lock()

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """As `ToolClient.capabilities`."""
        return self._session.capabilities if self._session is not None else {}

    @property
    def instructions(self) -> str | None:
        """As `ToolClient.instructions`."""
        return self._session.instructions if self._session is not None else None

    def on_notification(self, sink: NotificationSink) -> None:
        """As `ToolClient.on_notification`."""

        async def deliver(told: tuple[str, JSON]) -> None:
            await sink(self.name, *told)

        # One queue for each, so that a listener that fails or hangs takes nothing from the others.
        self._sinks.append(Pump(deliver, f"notifications of {self.name}"))

    def on_request(self, handler: RequestHandler) -> None:
        """Who answers what the server asks (elicitation, sampling, roots) from now on. Raises Answered to refuse."""
        self._handler = handler

    # --- The connection ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """As `ToolClient.start`."""
        await self._connected()

    async def _connected(self) -> Session:
        session = self._session
        if session is not None and not session.channel.lost.done():
            return session
        if self._closed:
            raise NotSent(f"upstream {self.name} was stopped")
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._begin())
            self._starting.add_done_callback(self._started)
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():  # by `close`, and not we by our caller
                raise NotSent(f"upstream {self.name} was stopped") from None
            raise

    def _started(self, task: asyncio.Task[Session]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may be left to

    async def _begin(self) -> Session:
        loop = asyncio.get_running_loop()
        if self._session is not None:
            log.warning("%s; it is started again", self._session.channel.lost.result())
            await self._drop()
        if loop.time() < self._not_before:
            raise NotSent(f"{self._last_failure} (next attempt in {self._not_before - loop.time():.1f} s)")
        try:
            self._session = session = await self._open()
        except ToolFailure as failure:
            first, longest = HOLD_OFF
            self._not_before = loop.time() + min(first * 2**self._failures, longest)
            self._failures += 1
            self._last_failure = self._clean(f"upstream {self.name} does not start: {failure}")
            raise NotSent(self._last_failure) from None
        self._failures = 0
        if session.stateless:
            self._listening = loop.create_task(self._listen(session))
        return session

    async def _open(self) -> Session:
        channel = await self._channel()
        try:
            return await agree(channel, self._settings.capabilities, self._settings.start_timeout)
        except ToolFailure as failure:
            await channel.close()
            if channel.diagnosis:
                raise NotSent(f"{failure}; {channel.diagnosis}") from None
            raise
        except BaseException:
            await channel.close()
            raise

    async def _channel(self) -> Channel:
        hooks = Hooks(notification=self._tell, request=self._asked)
        settings = self._settings
        if settings.transport == "stdio":
            return await launch(self.name, settings, hooks)
        try:
            channel = (SseChannel if settings.transport == "sse" else HttpChannel)(self.name, settings, hooks)
        except (ValueError, httpx2.InvalidURL) as error:
            raise NotSent(f"its url or headers cannot be used: {error}") from None
        if isinstance(channel, SseChannel):
            await channel.open(settings.start_timeout)
        return channel

    async def _listen(self, session: Session) -> None:
        """The stateless era's way to hear that a list changed. A server that cannot is not asked again."""
        wanted = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
        wait, longest = HOLD_OFF
        while not session.channel.lost.done():
            try:
                await session.request("subscriptions/listen", {"notifications": wanted}, timeout=None)
                wait = HOLD_OFF[0]
            except Answered:
                return
            except ToolFailure:
                wait = min(wait * 2, longest)
            await asyncio.sleep(wait)
            self._outdated()  # what changed while nobody listened is not told again

    async def _drop(self) -> None:
        session, self._session = self._session, None
        self._outdated()
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
        if session is not None:
            await session.channel.close()

    async def close(self) -> None:
        """As `ToolClient.close`."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting}, timeout=5.0)
        await self._drop()
        for sink in self._sinks:
            sink.stop()

    # --- Requests ------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`."""
        session = await self._connected()
        if session.stateless and self._settings.transport == "http" and method == "tools/call" and params is not None:
            headers = {**await self._mirrored(params), **(headers or {})}
        bound = timeout if timeout is not None else self._settings.timeout
        try:
            return await session.request(method, params, timeout=bound, progress=progress, headers=headers)
        except Answered:
            raise
        except OutcomeUnknown as failure:
            diagnosis = session.channel.diagnosis if failure.kind == "lost" else ""
            raise OutcomeUnknown(failure.kind, self._clean(_joined(str(failure), diagnosis))) from None
        except NotSent as failure:
            raise NotSent(self._clean(_joined(str(failure), session.channel.diagnosis))) from None

    async def _mirrored(self, params: Mapping[str, Any]) -> dict[str, str]:
        """The `Mcp-Param-*` headers that the tool's schema asks for. A server refuses a call that lacks them."""
        try:
            await self.tools()
        except ToolFailure as failure:
            raise NotSent(f"nothing was called, because the tools could not be listed: {failure}") from None
        wanted = self._param_headers.get(str(params.get("name")))
        return mcp_param_headers(wanted, params.get("arguments") or {}) if wanted else {}

    def _clean(self, text: str) -> str:
        return self._settings.redacted(text)

    # --- Tools ---------------------------------------------------------------------------------------------------

    async def tools(self) -> Sequence[ToolDefinition]:
        """As `ToolClient.tools`."""
        await self._connected()
        return self._tools if self._tools is not None else await self._read_once()

    async def _read_once(self) -> tuple[ToolDefinition, ...]:
        """The list, read once for all who ask at the same time."""
        async with self._reading:
            return self._tools if self._tools is not None else await self._read_tools()

    async def _read_tools(self) -> tuple[ToolDefinition, ...]:
        changes = self._changes
        definitions = tuple(ToolDefinition(self.name, tool["name"], tool) for tool in await self._listed())
        self._param_headers = {d.name: x_mcp_header_map(d.input_schema) for d in definitions}
        if changes == self._changes:  # otherwise it changed while it was read: the next one asks again
            self._tools = definitions
        return definitions

    async def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: object = None
        for _ in range(PAGES):
            try:
                page = await self.request("tools/list", {"cursor": cursor} if cursor is not None else None)
            except Answered as refusal:
                if refusal.code == METHOD_NOT_FOUND and "tools" not in self.capabilities:
                    return []
                raise
            tools = page.get("tools")
            if not isinstance(tools, list) or not all(
                isinstance(t, dict) and isinstance(t.get("name"), str) for t in tools
            ):
                raise OutcomeUnknown("malformed", f"upstream {self.name} gave a list of tools that is none")
            found += tools
            cursor = page.get("nextCursor")
            if cursor is None:
                return found
        raise OutcomeUnknown("malformed", f"the tool list of upstream {self.name} does not end")

    # --- What the server says on its own -------------------------------------------------------------------------

    async def _asked(self, method: str, params: JSON) -> dict[str, Any]:
        return await self._handler(method, params)

    def _tell(self, method: str, params: JSON) -> None:
        if method == "notifications/subscriptions/acknowledged":
            return  # ours: who listens to us subscribes with us
        if method == "notifications/tools/list_changed":
            self._outdated()
        for sink in self._sinks:
            sink.offer((method, unsubscribed(params)))

    def _outdated(self) -> None:
        self._tools = None
        self._changes += 1


def _joined(text: str, more: str) -> str:
    return f"{text}; {more}" if more else text


def from_policy(name: str, upstream: Upstream) -> McpConnector:
    """The connector of an upstream's table in the policy (entry point `takeback.tools`). Not started yet."""
    return McpConnector(name, McpSettings.of(upstream))


def connect(name: str, settings: McpSettings) -> McpConnector:
    """A connector that is not started yet."""
    return McpConnector(name, settings)
