"""One request over streamable HTTP: from its POST to its response, whichever of JSON and SSE carries it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import httpx2
from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, NAME_BEARING_METHODS, encode_header_value

from takeback.core.jsontext import MalformedJSON, loads
from takeback.ports import Answered, NotSent, OutcomeUnknown
from takeback_tools.mcp.channel import MAX_MESSAGE

HTTP_REFUSED: Final = -32000
"""Code of an answer that HTTP gave without a JSON-RPC error in it."""

_REDIRECTS: Final = 3
_NOTHING_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.LocalProtocolError,
    httpx2.UnsupportedProtocol,
    httpx2.ProxyError,
)


class SessionEnded(NotSent):
    """The server no longer knows our session; it took nothing, and a new session is needed."""


async def open_response(client: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
    """Send a request and return its response with the body still to be read. Redirects are followed within the origin.

    Raises:
        NotSent: no connection, or a redirect that is not followed.
        OutcomeUnknown: the connection broke after something was sent.
    """
    try:
        for _ in range(_REDIRECTS):
            response = await client.send(request, stream=True, follow_redirects=False)
            following = response.next_request
            if following is None:
                return response
            await response.aclose()
            if following.method != request.method or _origin(following.url) != _origin(request.url):
                break
            request = following
    except _NOTHING_SENT as error:
        raise NotSent(f"no connection to {_shown(request.url)}: {_why(error)}") from None
    except httpx2.HTTPError as error:
        raise OutcomeUnknown("lost", f"the connection broke: {_why(error)}") from None
    raise NotSent(f"{_shown(request.url)} redirects to {_shown(following.url)}, which is not followed")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _shown(url: httpx2.URL) -> str:
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def method_headers(method: str, params: Mapping[str, Any] | None) -> dict[str, str]:
    """The headers that repeat a request's method and name, which the stateless era demands."""
    headers = {MCP_METHOD_HEADER: method}
    name = (params or {}).get(NAME_BEARING_METHODS.get(method, ""))
    if isinstance(name, str):
        headers[MCP_NAME_HEADER] = encode_header_value(name)
    return headers


async def body_of(response: httpx2.Response) -> bytes:
    """The whole body, within the bound on messages.

    Raises:
        OutcomeUnknown: it is too long, or the connection broke.
    """
    chunks, size = [], 0
    try:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > MAX_MESSAGE:
                raise OutcomeUnknown("malformed", f"the answer is longer than {MAX_MESSAGE} bytes")
            chunks.append(chunk)
    except httpx2.HTTPError as error:
        raise OutcomeUnknown("lost", f"the connection broke within the answer: {_why(error)}") from None
    return b"".join(chunks)


async def refusal_of(response: httpx2.Response, *, in_session: bool) -> Exception:
    """What an HTTP error status means for the request: a definite answer, a lost session, or an unknown outcome.

    A gateway that gives up (5xx, 408) says nothing about what the server behind it did.
    """
    status = response.status_code
    error = _rpc_error(await body_of(response))
    if error is not None:
        return error
    if status == 404 and in_session:  # noqa: PLR2004 - the HTTP status
        return SessionEnded("the server has ended our session")
    text = f"HTTP {status} {response.reason_phrase}".rstrip()
    if status in {401, 403}:
        return Answered(HTTP_REFUSED, f"{text}: the credentials are missing or not accepted", {"status": status})
    if status == 408 or status >= 500 or status < 400:  # noqa: PLR2004 - HTTP statuses
        return OutcomeUnknown("lost", f"{text} instead of an answer")
    return Answered(HTTP_REFUSED, text, {"status": status})


def _rpc_error(body: bytes) -> Answered | None:
    try:
        message = loads(body)
    except MalformedJSON:
        return None
    error = message.get("error") if isinstance(message, dict) else None
    if not isinstance(error, dict) or type(error.get("code")) is not int:
        return None
    return Answered(error["code"], str(error.get("message") or "the upstream gave no message"), error.get("data"))


class Events:
    """The messages of an event stream; remembers where to go on if it breaks off."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.pause: float = 0.5

    async def read(self, response: httpx2.Response) -> AsyncIterator[Any]:
        """Each message of the stream, decoded, in order; ends quietly when the connection does.

        Raises:
            OutcomeUnknown: an event is no JSON, or too long.
        """
        try:
            async for event in httpx2.EventSource(response, max_event_size=MAX_MESSAGE):
                if event.id:
                    self.last_id = event.id
                if event.retry is not None:
                    self.pause = min(event.retry / 1000, 5.0)
                if event.data and event.event == "message":
                    yield _decoded(event.data)
        except httpx2.SSEError as error:
            raise OutcomeUnknown("malformed", f"the event stream cannot be read: {_why(error)}") from None
        except httpx2.HTTPError:
            return


def _decoded(data: str) -> Any:
    try:
        return loads(data.encode())
    except MalformedJSON as error:
        raise OutcomeUnknown("malformed", f"the answer is not JSON: {error}") from None


def is_event_stream(response: httpx2.Response) -> bool:
    """Whether the body is an event stream."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"
