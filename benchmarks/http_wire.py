"""HTTP/1.1 as far as the benchmark needs it: one exchange at a time on a connection that is kept alive."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_DATA: Final = b"data:"


@dataclass(frozen=True, slots=True)
class Response:
    """A response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpConnection(asyncio.Protocol):
    """The client's end of one connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[Response] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(RuntimeError("the server closed the connection in the middle of an exchange"))

    def data_received(self, data: bytes) -> None:
        """asyncio."""
        self._buffer = self._buffer + data if self._buffer else data
        response = whole_response(self._buffer)
        if response is not None and self._waiting is not None and not self._waiting.done():
            self._buffer = b""
            self._waiting.set_result(response)

    async def exchange(self, request: bytes) -> Response:
        """Send a request and read its response."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


def whole_response(data: bytes) -> Response | None:
    """The response, or None while some of it is missing."""
    head, found, rest = data.partition(_HEAD_END)
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = _unchunked(rest)
    else:
        length = int(headers.get("content-length", "0"))
        body = rest[:length] if len(rest) >= length else None
    return None if body is None else Response(int(first.split(" ", 2)[1]), headers, body)


def _unchunked(data: bytes) -> bytes | None:
    chunks: list[bytes] = []
    position = 0
    while (line := data.find(_END, position)) >= 0:
        size = int(data[position:line].partition(b";")[0], 16)
        start = line + len(_END)
        position = start + size + len(_END)
        if position > len(data):
            return None
        if size == 0:
            return b"".join(chunks)
        chunks.append(data[start : start + size])
    return None


def message_in(response: Response) -> dict[str, Any]:
    """The one JSON-RPC response in a body of JSON or of server-sent events.

    Raises:
        RuntimeError: there is none.
    """
    if response.headers.get("content-type", "").startswith("application/json"):
        return cast(dict[str, Any], orjson.loads(response.body))
    for line in response.body.splitlines():
        data = line[len(_DATA) :].strip() if line.startswith(_DATA) else b""
        message = orjson.loads(data) if data else {}
        if "method" not in message and "id" in message:
            return cast(dict[str, Any], message)
    raise RuntimeError(f"HTTP {response.status} without an answer: {response.body[:200]!r}")
