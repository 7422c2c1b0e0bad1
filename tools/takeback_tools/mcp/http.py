"""MCP over streamable HTTP, in both eras.

Not the SDK's transport: that one turns a broken connection and an HTTP error status into JSON-RPC errors, or ends all
calls in flight, so that "refused" and "may have happened" look alike. Telling these apart is what the guard is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, Final

import httpx2
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from takeback.core.jsontext import dumps
from takeback.ports import Downstream, NotSent, OutcomeUnknown, ProgressSink, ToolFailure
from takeback_tools.mcp.asked import Asked
from takeback_tools.mcp.channel import Hooks
from takeback_tools.mcp.exchange import (
    Events,
    SessionEnded,
    address,
    body_of,
    is_event_stream,
    method_headers,
    open_response,
    refusal_of,
)
from takeback_tools.mcp.messages import answers, messages_in, notification, request_text, settled
from takeback_tools.mcp.settings import McpSettings
from takeback_tools.mcp.underway import Limit, Request, Underway

log = logging.getLogger(__name__)

SESSION_HEADER: Final = "mcp-session-id"
CONNECT_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 2.0
LISTEN_PAUSE: Final = (1.0, 30.0)
"""Seconds between attempts to listen for what the server says on its own: first, and at most."""

_OK: Final = 200
_ERROR: Final = 400


def make_client(settings: McpSettings) -> httpx2.AsyncClient:
    """The HTTP client of one upstream. Reading has no time-out of its own: each request has a deadline."""
    return httpx2.AsyncClient(
        headers=dict(settings.headers),
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT, write=30.0),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
    )


class HttpChannel:
    """One server behind one URL. Calls do not share a connection, so one that breaks takes no other with it."""

    def __init__(self, name: str, settings: McpSettings, hooks: Hooks) -> None:
        self._name, self._hooks = name, hooks
        self._url = address(settings.url)
        self._client = make_client(settings)
        self._session: str | None = None
        self._next_id = 0
        self._underway = Underway()
        self._asked = Asked(hooks, self._underway, self._post_quietly)
        self._background: set[asyncio.Task[None]] = set()
        self.version = ""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    diagnosis = ""

    # --- What we ask ---------------------------------------------------------------------------------------------

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
        if self.lost.done():
            raise NotSent(self.lost.result())
        self._next_id = number = self._next_id + 1
        text = request_text(number, method, params, with_progress=progress is not None)
        post = self._post_request(text, {**method_headers(method, params), **(headers or {})})
        try:
            async with asyncio.timeout(None) as time:
                limit = Limit(timeout, lambda: time.reschedule(0.0))
                self._underway.begin(number, Request(method, limit, progress, downstream))
                return await self._exchange(number, post, opening=method == "initialize")
        except TimeoutError:
            self._tell_cancelled(number, method, "no answer in time")
            raise OutcomeUnknown("timeout", f"no answer to {method} within {timeout:g} s") from None
        except asyncio.CancelledError:
            self._tell_cancelled(number, method, "the caller gave up")
            raise
        except SessionEnded as ended:
            self._lose(str(ended))
            raise
        finally:
            self._underway.end(number)

    async def _exchange(self, number: int, post: httpx2.Request, *, opening: bool) -> dict[str, Any]:
        response = await open_response(self._client, post)
        if opening and response.status_code == _OK:
            self._session = response.headers.get(SESSION_HEADER) or None
        if response.status_code == _OK and is_event_stream(response):
            answer = await self._streamed(number, response)
        else:
            answer = await self._whole(number, response, in_session=SESSION_HEADER in post.headers)
        await self._underway.finish(number)
        return settled(answer)

    async def _whole(self, number: int, response: httpx2.Response, *, in_session: bool) -> Mapping[str, Any]:
        """The answer in a body that is no event stream."""
        try:
            if response.status_code != _OK:
                raise await refusal_of(response, number, in_session=in_session)
            messages = messages_in(await body_of(response))
        finally:
            await response.aclose()
        found = [message for message in messages if self._take(message, number)]
        if not found:
            raise OutcomeUnknown("malformed", "the answer holds no response to the request")
        return found[0]  # type: ignore[no-any-return]

    async def _streamed(self, number: int, response: httpx2.Response) -> Mapping[str, Any]:
        events = Events()
        while True:
            try:
                async with contextlib.aclosing(events.read(response)) as messages:
                    async for message in messages:
                        if self._take(message, number):
                            return message  # type: ignore[no-any-return]
            finally:
                await response.aclose()
            response = await self._resumed(events)

    async def _resumed(self, events: Events) -> httpx2.Response:
        """The rest of a stream that broke off, where the server keeps it (2025-03-26 and later, not stateless)."""
        if events.last_id is None or self.version in MODERN_PROTOCOL_VERSIONS:
            raise OutcomeUnknown("lost", "the event stream ended without the answer")
        await asyncio.sleep(events.pause)
        headers = self._headers() | {"accept": "text/event-stream", "last-event-id": events.last_id}
        request = self._client.build_request("GET", self._url, headers=headers)
        try:
            response = await open_response(self._client, request)
        except NotSent as failure:
            raise OutcomeUnknown("lost", f"the event stream ended without the answer; {failure}") from None
        if response.status_code != _OK or not is_event_stream(response):
            await response.aclose()
            raise OutcomeUnknown("lost", "the event stream ended without the answer and cannot be resumed")
        return response

    def _take(self, message: Any, number: int | None) -> bool:
        """Whether this is the answer to `number`. Everything else goes where it belongs."""
        method = message.get("method") if isinstance(message, dict) else 0
        if method is None:
            return number is not None and answers(message, number)
        if not isinstance(method, str):
            log.warning("%s sent something that is no JSON-RPC message", self._name)
            return False
        params = message.get("params")
        if "id" in message:
            self._asked.take(message["id"], method, params, during=number)
        elif method == "notifications/progress" and isinstance(params, dict):
            self._underway.progressed(params)
        elif method == "notifications/cancelled":
            self._asked.cancel(params)
        elif not self._underway.told(method, params, number):
            self._hooks.notification(method, params)
        return False

    # --- What we send --------------------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        if self._session:
            headers[SESSION_HEADER] = self._session
        if self.version:
            headers[MCP_PROTOCOL_VERSION_HEADER] = self.version
        return headers

    def _post_request(self, body: bytes, headers: Mapping[str, str]) -> httpx2.Request:
        try:
            return self._client.build_request("POST", self._url, content=body, headers={**headers, **self._headers()})
        except (ValueError, httpx2.InvalidURL) as error:
            raise NotSent(f"the request cannot be written: {error}") from None

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """As `Channel.notify`."""
        await self._post_quietly(notification(method, params))
        if method == "notifications/initialized":
            self._in_background(self._listen())

    async def _post_quietly(self, message: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                response = await open_response(self._client, self._post_request(dumps(message), {}))
                try:
                    if response.status_code >= _ERROR:
                        raise NotSent(f"HTTP {response.status_code}")
                    if not is_event_stream(response):
                        await body_of(response)  # read to its end, the connection can be used again
                finally:
                    await response.aclose()
        except (ToolFailure, TimeoutError) as failure:
            log.info("%s: %s was not delivered: %s", self._name, message.get("method", "an answer"), failure)

    def _tell_cancelled(self, number: int, method: str, reason: str) -> None:
        """In the stateless era the closed stream says it."""
        if method != "initialize" and self.version not in MODERN_PROTOCOL_VERSIONS and not self.lost.done():
            params = {"requestId": number, "reason": reason}
            self._in_background(self._post_quietly(notification("notifications/cancelled", params)))

    def _in_background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # --- What the server says on its own -------------------------------------------------------------------------

    async def _listen(self) -> None:
        """The handshake era's stream for what belongs to no request. A server without one answers 405."""
        wait, longest = LISTEN_PAUSE
        events = Events()
        while not self.lost.done():
            headers = self._headers() | {"accept": "text/event-stream"}
            if events.last_id is not None:
                headers["last-event-id"] = events.last_id
            try:
                response = await open_response(
                    self._client, self._client.build_request("GET", self._url, headers=headers)
                )
            except ToolFailure:
                response = None
            if response is not None:
                try:
                    if response.status_code != _OK or not is_event_stream(response):
                        return
                    with contextlib.suppress(OutcomeUnknown):
                        async for message in events.read(response):
                            self._take(message, None)
                            wait = LISTEN_PAUSE[0]
                finally:
                    await response.aclose()
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    # --- The end -------------------------------------------------------------------------------------------------

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    async def close(self) -> None:
        """End the session and close every connection."""
        session, already = self._session, self.lost.done()
        self._lose(f"upstream {self._name} was stopped")
        self._asked.close()
        background = list(self._background)
        for task in background:
            task.cancel()
        if background:
            await asyncio.wait(background, timeout=CLOSE_TIMEOUT)
        if session and not already:
            with contextlib.suppress(ToolFailure, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    request = self._client.build_request("DELETE", self._url, headers=self._headers())
                    await (await open_response(self._client, request)).aclose()
        with contextlib.suppress(httpx2.HTTPError):
            await self._client.aclose()
