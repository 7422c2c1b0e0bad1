"""One supervised connection to an MCP server: begun, begun again when it was lost, with its own list of tools."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx2
from mcp.shared.inbound import mcp_param_headers

from takeback.core.jsontext import JSON
from takeback.ports import (
    Answered,
    Downstream,
    NotSent,
    OutcomeUnknown,
    ProgressSink,
    ToolFailure,
)
from takeback_tools.mcp.channel import METHOD_NOT_FOUND, Channel, Hooks
from takeback_tools.mcp.declared import Declared, passed_on
from takeback_tools.mcp.http import HttpChannel
from takeback_tools.mcp.listing import Listed, read_list
from takeback_tools.mcp.process import ProcessChannel, launch
from takeback_tools.mcp.session import Session, agree
from takeback_tools.mcp.settings import McpSettings
from takeback_tools.mcp.sse import SseChannel

log = logging.getLogger(__name__)

HOLD_OFF: Final = (0.5, 30.0)
"""Seconds after a failed start before the next attempt: first, and at most (doubled each time)."""

_LISTS: Final = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}

Told = Callable[[str, JSON], None]
Asked = Callable[[str, JSON, Downstream | None], Awaitable[dict[str, Any]]]


class Connection:
    """A connection that ended is made anew by the next request, never in the middle of one."""

    def __init__(self, name: str, settings: McpSettings, declared: Declared, *, told: Told, asked: Asked) -> None:
        self.name, self._settings, self.declared = name, settings, declared
        self._hooks, self._ask = Hooks(notification=told, request=self._asked), asked
        self._session: Session | None = None
        self._starting: asyncio.Task[Session] | None = None
        self._lists: dict[str, Listed] = {}
        self._listening: asyncio.Task[None] | None = None
        self._watched: dict[str, int] = {}
        self._failures, self._not_before = 0, 0.0
        self._last_failure = ""
        self._closed = False
        self._changes = 0
        self._reading = asyncio.Lock()
        self._level: str | None = None
        self.asked_with: list[str | int] = []
        self.in_flight = 0
        self.called = False
        self.used_at = 0.0

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the server declared; empty before the connection has begun."""
        return self._session.capabilities if self._session is not None else {}

    @property
    def pid(self) -> int | None:
        """The id of the server's process, where it is one of ours and lives."""
        channel = self._session.channel if self._session is not None else None
        return channel.pid if isinstance(channel, ProcessChannel) else None

    @property
    def stateless(self) -> bool:
        """Whether the server speaks the stateless era's protocol with us; no, before the connection has begun."""
        return self._session is not None and self._session.stateless

    @property
    def instructions(self) -> str | None:
        """The server's own instructions for models."""
        return self._session.instructions if self._session is not None else None

    # --- The connection ------------------------------------------------------------------------------------------

    async def connected(self) -> Session:
        """The session, begun where there is none.

        Raises:
            NotSent: it cannot be had; the message says why.
        """
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
            return await agree(channel, self.declared, self._settings.start_timeout)
        except ToolFailure as failure:
            await channel.close()
            if channel.diagnosis:
                raise NotSent(f"{failure}; {channel.diagnosis}") from None
            raise
        except BaseException:
            await channel.close()
            raise

    async def _channel(self) -> Channel:
        settings = self._settings
        if settings.transport == "stdio":
            return await launch(self.name, settings, self._hooks)
        try:
            channel = (SseChannel if settings.transport == "sse" else HttpChannel)(self.name, settings, self._hooks)
        except (ValueError, httpx2.InvalidURL) as error:
            raise NotSent(f"its url or headers cannot be used: {error}") from None
        if isinstance(channel, SseChannel):
            await channel.open(settings.start_timeout)
        return channel

    async def _listen(self, session: Session) -> None:
        """The stateless era's way to hear that a list changed. A server that cannot is not asked again."""
        wait, longest = HOLD_OFF
        while not session.channel.lost.done():
            wanted: dict[str, Any] = dict(_LISTS)
            if self._watched:
                wanted["resourceSubscriptions"] = list(self._watched)
            try:
                await session.request("subscriptions/listen", {"notifications": wanted}, timeout=None)
                wait = HOLD_OFF[0]
            except Answered:
                return
            except ToolFailure:
                wait = min(wait * 2, longest)
            await asyncio.sleep(wait)
            self.outdated()  # what changed while nobody listened is not told again

    async def _drop(self) -> None:
        session, self._session = self._session, None
        self._level = None
        self.outdated()
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
        if session is not None:
            await session.channel.close()

    async def close(self) -> None:
        """Stop what was begun. Never raises; bounded in time."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting}, timeout=5.0)
        await self._drop()

    # --- Requests ------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
        downstream: Downstream | None = None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`, for this client."""
        self.in_flight += 1
        try:
            session = await self.connected()
            self.called = self.called or method == "tools/call"
            if session.stateless and (own := self._in_the_stateless_era(session, method, params)) is not None:
                return own
            await self._level_for(session, downstream)
            if session.stateless and self._settings.transport == "http" and method == "tools/call" and params:
                headers = {**await self._mirrored(params, downstream), **(headers or {})}
            bound = timeout if timeout is not None else self._settings.timeout
            with self._diagnosed(session.channel):
                return await session.request(
                    method, params, timeout=bound, progress=progress, headers=headers, downstream=downstream
                )
        finally:
            self.in_flight -= 1
            self.used_at = asyncio.get_running_loop().time()

    @contextmanager
    def _diagnosed(self, channel: Channel) -> Iterator[None]:
        """Failures, with what is known of trouble on the connection, and without secrets."""
        try:
            yield
        except OutcomeUnknown as failure:
            diagnosis = channel.diagnosis if failure.kind == "lost" else ""
            text = self._clean(_joined(str(failure), diagnosis))
            raise OutcomeUnknown(failure.kind, text, over=failure.over) from None
        except NotSent as failure:
            raise NotSent(self._clean(_joined(str(failure), channel.diagnosis))) from None

    def _in_the_stateless_era(
        self, session: Session, method: str, params: Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """What the handshake era asks for by a request of its own, and the stateless era by other means."""
        if method == "logging/setLevel":
            return {}  # each request says it
        if method not in {"resources/subscribe", "resources/unsubscribe"}:
            return None
        uri = str((params or {}).get("uri"))
        watchers = self._watched.get(uri, 0) + (1 if method == "resources/subscribe" else -1)
        if watchers > 0:
            self._watched[uri] = watchers
        else:
            self._watched.pop(uri, None)
        if self._listening is not None:
            self._listening.cancel()
        self._listening = asyncio.get_running_loop().create_task(self._listen(session))
        return {}

    async def _level_for(self, session: Session, downstream: Downstream | None) -> None:
        """A client that says with each request what it wants to be told, before a server that is told once."""
        level = downstream.log_level if downstream is not None and downstream.stateless else None
        if level is None or session.stateless or level == self._level or "logging" not in session.capabilities:
            return
        self._level = level
        try:
            await session.request("logging/setLevel", {"level": level}, timeout=self._settings.timeout)
        except ToolFailure as failure:
            log.info("%s does not take the log level %s: %s", self.name, level, failure)

    async def notify(self, method: str, params: JSON) -> None:
        """Tell the server, where a session has begun in which it can be told, and it is its business."""
        token = params.get("progressToken") if isinstance(params, Mapping) else None
        if method == "notifications/progress" and token not in self.asked_with:
            return
        session = self._session
        if session is not None and not session.stateless and not session.channel.lost.done():
            await session.channel.notify(method, params if isinstance(params, Mapping) else None)

    async def _asked(self, method: str, params: JSON, downstream: Downstream | None) -> dict[str, Any]:
        meta = params.get("_meta") if isinstance(params, Mapping) else None
        token = meta.get("progressToken") if isinstance(meta, Mapping) else None
        if not isinstance(token, str | int):
            return await self._ask(method, params, downstream)
        self.asked_with.append(token)
        try:
            return await self._ask(method, params, downstream)
        finally:
            self.asked_with.remove(token)

    async def _mirrored(self, params: Mapping[str, Any], downstream: Downstream | None) -> dict[str, str]:
        """Arguments that the tool's schema wants repeated in headers (`x-mcp-header`).

        Raises:
            NotSent: what the schema wants is not known, because the tools cannot be listed.
        """
        try:
            listed = await self.listed(downstream)
        except ToolFailure as failure:
            raise NotSent(f"nothing was called, because the tools could not be listed: {failure}") from None
        wanted = listed.param_headers.get(str(params.get("name")))
        return mcp_param_headers(wanted, params.get("arguments") or {}) if wanted else {}

    def _clean(self, text: str) -> str:
        return self._settings.redacted(text)

    # --- Tools ---------------------------------------------------------------------------------------------------

    async def listed(self, downstream: Downstream | None) -> Listed:
        """The tool list as this client gets it, every page; kept until the server says that it changed.

        Raises:
            ToolFailure: the list could not be had.
        """
        session = await self.connected()
        key = Declared(passed_on(downstream), {}).key if session.stateless and downstream is not None else ""
        if key in self._lists:
            return self._lists[key]
        async with self._reading:  # read once for all who ask at the same time
            return self._lists[key] if key in self._lists else await self._read(key, downstream)

    async def _read(self, key: str, downstream: Downstream | None) -> Listed:
        changes = self._changes

        async def page(params: Mapping[str, Any] | None) -> dict[str, Any]:
            try:
                return await self.request("tools/list", params, downstream=downstream)
            except Answered as refusal:
                if refusal.code == METHOD_NOT_FOUND and "tools" not in self.capabilities:
                    return {"tools": []}
                raise

        found = await read_list(self.name, page)
        if changes == self._changes:  # otherwise it changed while it was read: the next one asks again
            self._lists[key] = found
        return found

    def outdated(self) -> None:
        """The tool list changed, or may have."""
        self._lists = {}
        self._changes += 1


def _joined(text: str, more: str) -> str:
    return f"{text}; {more}" if more else text
