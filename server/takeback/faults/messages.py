"""Requests of HTTP/1.1, read whole, and carried to a server one by one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final

_HEAD: Final = re.compile(rb"(?P<method>[A-Z]{3,12}) (?P<path>\S+) HTTP/1\.[01]\r\n(?P<headers>.*)\r\n\r\n", re.DOTALL)
_CONNECTION: Final = re.compile(rb"\r\n(?:connection|keep-alive):[^\r]*", re.IGNORECASE)
_ANSWER_WITHIN: Final = 60.0
_LIMIT: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Carried:
    """The head of a request that came through; names of headers are small."""

    method: str
    path: str
    headers: dict[str, str]

    def fits(self, method: str, path: str) -> bool:
        """Whether it is of this method, and its path holds `path`."""
        return self.method == method and path in self.path


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request, as it came."""

    head: Carried
    top: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        """Its bytes."""
        return self.top + self.body


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; none where the client has hung up, or speaks something else."""
    try:
        top = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return None
    found = _HEAD.fullmatch(top)
    if found is None:
        return None
    lines = found["headers"].decode("latin-1").splitlines()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    head = Carried(found["method"].decode(), found["path"].decode("latin-1"), headers)
    return Request(head, top, await _body(reader, headers))


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length") or 0))
    found = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
        found += line + chunk
        if line.split(b";")[0].strip().strip(b"0") == b"":
            return found


async def alone(request: Request, host: str, port: int) -> bytes:
    """The server's whole answer to one request, over a connection that ends with it; bounded in time."""
    async with asyncio.timeout(_ANSWER_WITHIN):
        reader, writer = await asyncio.open_connection(host, port, limit=_LIMIT)
        try:
            top = _CONNECTION.sub(b"", request.top)[: -len(b"\r\n\r\n")] + b"\r\nConnection: close\r\n\r\n"
            writer.write(top + request.body)
            await writer.drain()
            answer = await reader.read()
        finally:
            writer.close()
    head, rest, body = answer.partition(b"\r\n\r\n")
    return _CONNECTION.sub(b"", head) + rest + body
