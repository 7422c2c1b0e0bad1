"""One request over streamable HTTP: from its POST to its response, whichever of JSON and SSE carries it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import httpx2
from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, NAME_BEARING_METHODS, encode_header_value

from takeback.core.jsontext import MalformedJSON, loads
from takeback.ports import Answered, NotSent, OutcomeUnknown
from takeback_tools.mcp.channel import MAX_MESSAGE
from takeback_tools.mcp.messages import messages_in, number_of
from takeback_tools.surplus import opened

HTTP_REFUSED: Final = -32000
"""Code of an answer that HTTP gave without a JSON-RPC error in it."""

_LAST_PORT: Final = 65535
_REDIRECTS: Final = 3
_SEE_ELSEWHERE: Final = {302, 303}
"""What a server may answer once it has done what was posted; the other redirects say that it did nothing."""

_NO_SESSION: Final = re.compile(rb"(?i)no valid session|session (id )?(was )?not found|(invalid|unknown) session")
"""How servers that answer 400 instead of 404 say that they do not know the session."""

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


def address(url: str | None) -> httpx2.URL:
    """A URL, checked as far as that can be done without connecting.

    Raises:
        ValueError, httpx2.InvalidURL: it is none.
    """
    parsed = httpx2.URL(url or "")
    if parsed.port is not None and not 0 < parsed.port <= _LAST_PORT:
        raise ValueError(f"there is no port {parsed.port}")
    return parsed


async def open_response(client: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
    """Send a request and return its response with the body still to be read. Redirects are followed within the origin.

    Raises:
        NotSent: no connection, or a redirect that is not followed.
        OutcomeUnknown: the connection broke after something was sent.
    """
    if client.is_closed:
        raise NotSent("the connection was closed")
    shown = ""
    try:
        for _ in range(_REDIRECTS):
            response = await opened(client, request)
            following = response.next_request
            if following is None:
                return response
            shown = _shown(following.url)
            await response.aclose()
            if response.status_code in _SEE_ELSEWHERE and request.method == "POST":
                raise OutcomeUnknown("lost", f"HTTP {response.status_code} instead of an answer")
            if following.method != request.method or _origin(following.url) != _origin(request.url):
                break
            request = following
    except _NOTHING_SENT as error:
        raise NotSent(f"no connection to {_shown(request.url)}: {_why(error)}") from None
    except httpx2.HTTPError as error:
        raise OutcomeUnknown("lost", f"the connection broke: {_why(error)}") from None
    raise NotSent(f"{_shown(request.url)} redirects to {shown}, which is not followed")


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


async def refusal_of(response: httpx2.Response, number: int | None, *, in_session: bool) -> Exception:
    """What an HTTP error status means for the request: a definite answer, a lost session, or an unknown outcome.

    A gateway that gives up (5xx, 408) says nothing about what the server behind it did, and a server's own
    "internal error" only where it names the request.
    """
    status = response.status_code
    body = await body_of(response)
    if in_session and (status == 404 or (status == 400 and _NO_SESSION.search(body))):  # noqa: PLR2004 - HTTP statuses
        return SessionEnded("the server has ended our session")
    named, error = _rpc_error(body)
    if error is not None and ((named is not None and named == number) or not _says_nothing(status)):
        return error
    text = f"HTTP {status} {response.reason_phrase}".rstrip()
    if status in {401, 403}:
        return Answered(HTTP_REFUSED, f"{text}: the credentials are missing or not accepted", {"status": status})
    if _says_nothing(status):
        return OutcomeUnknown("lost", f"{text} instead of an answer")
    return Answered(HTTP_REFUSED, text, {"status": status})


def _says_nothing(status: int) -> bool:
    return not 400 <= status < 500 or status == 408  # noqa: PLR2004 - HTTP statuses


def _rpc_error(body: bytes) -> tuple[int | None, Answered | None]:
    """The number of the request and the error, where the body is a JSON-RPC error."""
    try:
        message = loads(body)
    except MalformedJSON:
        return None, None
    error = message.get("error") if isinstance(message, dict) else None
    if not isinstance(error, dict) or type(error.get("code")) is not int:
        return None, None
    text = str(error.get("message") or "the upstream gave no message")
    return number_of(message.get("id")), Answered(error["code"], text, error.get("data"))


class Events:
    """The messages of an event stream; remembers where to go on if it breaks off."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.pause: float = 0.5

    async def read(self, response: httpx2.Response) -> AsyncGenerator[Any, None]:
        """Each message of the stream, decoded, in order; ends quietly when the connection does.

        Raises:
            OutcomeUnknown: an event is no JSON, or too long.
        """
        try:
            async for event in httpx2.EventSource(response, max_event_size=MAX_MESSAGE):
                if event.id:
                    self.last_id = event.id
                if event.retry is not None:
                    self.pause = min(max(event.retry / 1000, 0.05), 5.0)
                if event.data and event.event == "message":
                    for message in messages_in(event.data.encode()):
                        yield message
        except httpx2.SSEError as error:
            raise OutcomeUnknown("malformed", f"the event stream cannot be read: {_why(error)}") from None
        except httpx2.HTTPError:
            return


def is_event_stream(response: httpx2.Response) -> bool:
    """Whether the body is an event stream."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"
