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

from takeback.core.jsontext import MalformedJSON, dumps, loads
from takeback.ports import NotSent, OutcomeUnknown, ProgressSink, ToolFailure
from takeback_tools.mcp.asked import Asked
from takeback_tools.mcp.channel import Hooks
from takeback_tools.mcp.exchange import (
    Events,
    SessionEnded,
    body_of,
    is_event_stream,
    method_headers,
    open_response,
    refusal_of,
)
from takeback_tools.mcp.messages import settled, tokened
from takeback_tools.mcp.pump import Pump
from takeback_tools.mcp.settings import McpSettings

log = logging.getLogger(__name__)

SESSION_HEADER: Final = "mcp-session-id"
CONNECT_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 2.0
LISTEN_PAUSE: Final = (1.0, 30.0)
"""Seconds between attempts to listen for what the server says on its own: first, and at most."""

_SINK_GRACE: Final = 1.0
_ACCEPTED: Final = 202
_OK: Final = 200


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
        self._url = settings.url or ""
        self._client = make_client(settings)
        self._session: str | None = None
        self._next_id = 0
        self._asked = Asked(hooks, self._post_quietly)
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
    ) -> dict[str, Any]:
        """As `Channel.request`."""
        if self.lost.done():
            raise NotSent(self.lost.result())
        self._next_id = number = self._next_id + 1
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        sent = tokened(params, number if progress is not None else None)
        if sent is not None:
            message["params"] = sent
        pump = Pump(progress, f"progress of {method}") if progress is not None else None
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(number, message, {**method_headers(method, params), **(headers or {})}, pump)
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
            if pump is not None:
                pump.stop()

    async def _exchange(
        self, number: int, message: Mapping[str, Any], headers: Mapping[str, str], pump: Pump[Mapping[str, Any]] | None
    ) -> dict[str, Any]:
        response = await open_response(self._client, self._post_request(_line(message), headers))
        try:
            if response.status_code != _OK:
                raise await refusal_of(response, in_session=self._session is not None)
            if message["method"] == "initialize":
                self._session = response.headers.get(SESSION_HEADER) or None
            answer = await self._answer(number, response, pump)
        finally:
            await response.aclose()
        if pump is not None:
            await pump.finish(_SINK_GRACE)
        return settled(answer)

    async def _answer(
        self, number: int, response: httpx2.Response, pump: Pump[Mapping[str, Any]] | None
    ) -> Mapping[str, Any]:
        if not is_event_stream(response):
            return _one(await body_of(response), number)
        events = Events()
        while True:
            async for message in events.read(response):
                if self._take(message, number, pump):
                    return message  # type: ignore[no-any-return]
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

    def _take(self, message: Any, number: int, pump: Pump[Mapping[str, Any]] | None) -> bool:
        """Whether this is the answer to `number`. Everything else goes where it belongs."""
        if not isinstance(message, dict):
            log.warning("%s sent something that is no JSON-RPC message", self._name)
            return False
        method = message.get("method")
        if method is None:
            return message.get("id") in {number, str(number)}
        params = message.get("params")
        if "id" in message:
            self._asked.take(message["id"], method, params)
        elif method == "notifications/progress" and isinstance(params, dict):
            if pump is not None:
                pump.offer({key: value for key, value in params.items() if key != "progressToken"})
        elif method == "notifications/cancelled":
            self._asked.cancel(params)
        else:
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
        return self._client.build_request("POST", self._url, content=body, headers={**headers, **self._headers()})

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """As `Channel.notify`."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = dict(params)
        await self._post_quietly(message)
        if method == "notifications/initialized":
            self._in_background(self._listen())

    async def _post_quietly(self, message: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                response = await open_response(self._client, self._post_request(_line(message), {}))
                await response.aclose()
        except (ToolFailure, TimeoutError) as failure:
            log.info("%s: %s was not delivered: %s", self._name, message.get("method", "an answer"), failure)

    def _tell_cancelled(self, number: int, method: str, reason: str) -> None:
        """In the stateless era the closed stream says it."""
        if method != "initialize" and self.version not in MODERN_PROTOCOL_VERSIONS and not self.lost.done():
            params = {"requestId": number, "reason": reason}
            self._in_background(
                self._post_quietly({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
            )

    def _in_background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # --- What the server says on its own -------------------------------------------------------------------------

    async def _listen(self) -> None:
        """The handshake era's stream for what belongs to no request. A server without one answers 405."""
        wait, longest = LISTEN_PAUSE
        while not self.lost.done():
            headers = self._headers() | {"accept": "text/event-stream"}
            try:
                response = await open_response(self._client, self._client.build_request("GET", self._url, headers=headers))
            except ToolFailure:
                response = None
            if response is not None:
                try:
                    if response.status_code != _OK or not is_event_stream(response):
                        return
                    with contextlib.suppress(OutcomeUnknown):
                        async for message in Events().read(response):
                            self._take(message, -1, None)
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
        for task in list(self._background):
            task.cancel()
        if session and not already:
            with contextlib.suppress(ToolFailure, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    request = self._client.build_request("DELETE", self._url, headers=self._headers())
                    await (await open_response(self._client, request)).aclose()
        with contextlib.suppress(httpx2.HTTPError):
            await self._client.aclose()


def _line(message: Mapping[str, Any]) -> bytes:
    try:
        return dumps(message)
    except (TypeError, ValueError) as error:
        raise NotSent(f"the request cannot be written as JSON: {error}") from None


def _one(body: bytes, number: int) -> Mapping[str, Any]:
    try:
        message = loads(body)
    except MalformedJSON as error:
        raise OutcomeUnknown("malformed", f"the answer is not JSON: {error}") from None
    for one in message if isinstance(message, list) else [message]:
        if isinstance(one, dict) and "method" not in one and one.get("id") in {number, str(number), None}:
            return one
    raise OutcomeUnknown("malformed", "the answer holds no response to the request")
