"""MCP over HTTP with SSE, the transport of 2024-11-05: one stream for all answers, one POST for each message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

import httpx2

from takeback.ports import NotSent, OutcomeUnknown, ProgressSink, ToolFailure
from takeback_tools.mcp.channel import MAX_MESSAGE, Hooks
from takeback_tools.mcp.exchange import is_event_stream, open_response, refusal_of
from takeback_tools.mcp.http import make_client
from takeback_tools.mcp.peer import Peer
from takeback_tools.mcp.settings import McpSettings

_ERROR: Final = 400
_OK: Final = 200


class SseChannel:
    """The event stream, and the peer that reads it. When the stream ends, every call in flight is of unknown outcome."""

    diagnosis = ""

    def __init__(self, name: str, settings: McpSettings, hooks: Hooks) -> None:
        self._name, self._url = name, httpx2.URL(settings.url or "")
        self._client = make_client(settings)
        self._peer = Peer(self._write, hooks)
        self._post_to: httpx2.URL | None = None
        self._posts: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self.version = ""
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = loop.create_future()
        self._ready: asyncio.Future[None] = loop.create_future()

    async def open(self, timeout: float) -> None:
        """Open the stream and learn where messages go.

        Raises:
            NotSent: that did not work within `timeout` seconds.
        """
        self._reader = asyncio.get_running_loop().create_task(self._read())
        done, _ = await asyncio.wait({self._ready, self.lost}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if self._ready not in done:
            why = self.lost.result() if self.lost.done() else f"it named no endpoint within {timeout:g} s"
            await self.close()
            raise NotSent(why)

    async def _read(self) -> None:
        reason = f"upstream {self._name} ended its event stream"
        try:
            request = self._client.build_request("GET", self._url, headers={"accept": "text/event-stream"})
            response = await open_response(self._client, request)
            try:
                if response.status_code != _OK or not is_event_stream(response):
                    raise await refusal_of(response, in_session=False)
                async for event in httpx2.EventSource(response, max_event_size=MAX_MESSAGE):
                    self._event(event.event, event.data)
            finally:
                await response.aclose()
        except (ToolFailure, httpx2.HTTPError, httpx2.SSEError) as error:
            reason = f"upstream {self._name}: {error}"
        finally:
            self._lose(reason)

    def _event(self, kind: str, data: str) -> None:
        if kind == "endpoint" and not self._ready.done():
            target = self._url.join(data)
            if (target.scheme, target.host, target.port) != (self._url.scheme, self._url.host, self._url.port):
                raise NotSent(f"it names an endpoint elsewhere ({target.host}), which is not used")
            self._post_to = target
            self._ready.set_result(None)
        elif kind == "message":
            self._peer.feed(data.replace("\n", " ").encode() + b"\n")

    def _write(self, line: bytes) -> bool:
        if self._post_to is None or self.lost.done():
            return False
        task = asyncio.get_running_loop().create_task(self._post(self._post_to, line))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)
        return True

    async def _post(self, target: httpx2.URL, line: bytes) -> None:
        try:
            request = self._client.build_request("POST", target, content=line, headers={"content-type": "application/json"})
            response = await open_response(self._client, request)
            try:
                if response.status_code >= _ERROR:
                    raise await refusal_of(response, in_session=True)
            finally:
                await response.aclose()
        except ToolFailure as failure:
            self._peer.fail(line, failure)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `Channel.request`."""
        return await self._peer.request(method, params, timeout=timeout, progress=progress)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """As `Channel.notify`."""
        self._peer.notify(method, params)

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        self._peer.lose(reason)

    async def close(self) -> None:
        """Close the stream and every connection."""
        self._lose(f"upstream {self._name} was stopped")
        tasks = [*self._posts, *([self._reader] if self._reader is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)
        with contextlib.suppress(httpx2.HTTPError, OutcomeUnknown):
            await self._client.aclose()
