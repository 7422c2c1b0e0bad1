"""MCP over HTTP with SSE, the transport of 2024-11-05: one stream for all answers, one POST for each message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Final

import httpx2

from takeback.ports import Downstream, NotSent, OutcomeUnknown, ProgressSink, ToolFailure
from takeback_tools.mcp.channel import MAX_MESSAGE, Hooks
from takeback_tools.mcp.exchange import SessionEnded, address, body_of, is_event_stream, open_response, refusal_of
from takeback_tools.mcp.http import CONNECT_TIMEOUT, make_client
from takeback_tools.mcp.peer import Peer
from takeback_tools.mcp.settings import McpSettings

_ERROR: Final = 400
_OK: Final = 200
_POST_BOUND: Final = 300.0
"""Seconds after which a message that the server does not take is given up, whoever waits for its answer."""


class SseChannel:
    """The event stream, and the peer that reads it. When it ends, every call in flight is of unknown outcome."""

    diagnosis = ""

    def __init__(self, name: str, settings: McpSettings, hooks: Hooks) -> None:
        self._name, self._url = name, address(settings.url)
        self._client = make_client(settings)
        self._peer = Peer(self._write, hooks, limit=MAX_MESSAGE)
        self._post_to: httpx2.URL | None = None
        self._posts: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self.version = ""
        self._extra: Mapping[str, str] = {}
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ready = asyncio.Event()

    async def open(self, timeout: float) -> None:
        """Open the stream and learn where messages go.

        Raises:
            NotSent: that did not work within `timeout` seconds.
        """
        self._reader = asyncio.get_running_loop().create_task(self._read())
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            self._lose(f"it named no endpoint within {timeout:g} s")
        except asyncio.CancelledError:
            await self.close()
            raise
        if self._post_to is None:
            await self.close()
            raise NotSent(self.lost.result())

    async def _read(self) -> None:
        reason = f"upstream {self._name} ended its event stream"
        try:
            request = self._client.build_request("GET", self._url, headers={"accept": "text/event-stream"})
            response = await open_response(self._client, request)
            try:
                if response.status_code != _OK or not is_event_stream(response):
                    raise await refusal_of(response, None, in_session=False)
                async for event in httpx2.EventSource(response, max_event_size=MAX_MESSAGE):
                    self._event(event.event, event.data)
            finally:
                await response.aclose()
        except (ToolFailure, httpx2.HTTPError, httpx2.SSEError, httpx2.InvalidURL, ValueError) as error:
            reason = f"upstream {self._name}: {error}"
        finally:
            self._lose(reason)

    def _event(self, kind: str, data: str) -> None:
        if kind == "endpoint" and self._post_to is None:
            target = self._url.join(data)
            if (target.scheme, target.host, target.port) != (self._url.scheme, self._url.host, self._url.port):
                raise NotSent(f"it names an endpoint elsewhere ({target.host}), which is not used")
            self._post_to = target
            self._ready.set()
        elif kind == "message":
            self._peer.feed(data.replace("\n", " ").encode() + b"\n")

    def _write(self, line: bytes) -> bool:
        if self._post_to is None or self.lost.done():
            return False
        extra, self._extra = self._extra, {}
        task = asyncio.get_running_loop().create_task(self._post(self._post_to, line, extra))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)
        return True

    async def _post(self, target: httpx2.URL, line: bytes, extra: Mapping[str, str]) -> None:
        try:
            async with asyncio.timeout(_POST_BOUND):
                await self._posted(target, line, {**extra, "content-type": "application/json"})
        except SessionEnded as failure:
            self._peer.fail(line, failure)
            self._lose(f"upstream {self._name}: {failure}")
        except ToolFailure as failure:
            self._peer.fail(line, failure)
        except TimeoutError:
            self._peer.fail(line, OutcomeUnknown("timeout", f"what was posted was not taken within {_POST_BOUND:g} s"))

    async def _posted(self, target: httpx2.URL, line: bytes, headers: Mapping[str, str]) -> None:
        try:
            request = self._client.build_request("POST", target, content=line, headers=dict(headers))
        except ValueError as error:
            raise NotSent(f"the request cannot be written: {error}") from None
        response = await open_response(self._client, request)
        try:
            if response.status_code >= _ERROR:
                raise await refusal_of(response, None, in_session=True)
            await body_of(response)  # read to its end, the connection can be used again
        finally:
            await response.aclose()

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
        """As `Channel.request`."""
        self._extra = headers or {}  # for the write, which comes before anything that waits
        return await self._peer.request(method, params, timeout=timeout, progress=progress, downstream=downstream)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """As `Channel.notify`. It has arrived when this returns: what follows must not overtake it."""
        earlier = set(self._posts)
        self._peer.notify(method, params)
        if self._posts - earlier:
            await asyncio.wait(self._posts - earlier, timeout=CONNECT_TIMEOUT)

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        self._ready.set()
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
