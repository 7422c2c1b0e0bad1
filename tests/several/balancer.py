"""A load balancer on loopback: real TCP, real HTTP, one request a connection, the next guard for the next request.

Sticky, it sends what bears an `Mcp-Session-Id` to the guard that gave that out. A guard that takes no connection is
passed over; one that breaks off in the middle of an answer breaks off the client's connection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

_HEAD: Final = re.compile(rb"(?im)^(connection|keep-alive):[^\r\n]*\r\n")
_LENGTH: Final = re.compile(rb"(?im)^content-length: *(\d+)\r\n")
_SESSION: Final = re.compile(rb"(?im)^mcp-session-id: *([^\r\n]+)\r\n")
_BOUND: Final = 60.0


class Balancer:
    """`ports` are those of the guards, in turn; whoever starts a guard again changes its own. `served` counts."""

    def __init__(self, ports: Sequence[int], *, sticky: bool = False) -> None:
        self.ports, self.sticky = list(ports), sticky
        self.served = [0] * len(ports)
        self.port = 0
        self._next = 0
        self._sessions: dict[bytes, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of a client."""
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(_BOUND):
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                await self._pass_on(_HEAD.sub(b"", head), body, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _pass_on(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        found = await self._connected(head)
        if found is None:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        which, back, forth = found
        try:
            forth.write(head[:-2] + b"Connection: close\r\n\r\n" + body)
            answer = await back.readuntil(b"\r\n\r\n")
            if self.sticky and (given := _SESSION.search(answer)):
                self._sessions[given[1]] = which
            writer.write(answer)
            while data := await back.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            forth.close()

    async def _connected(self, head: bytes) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter] | None:
        for which in self._candidates(head):
            with suppress(OSError):
                back, forth = await asyncio.open_connection("127.0.0.1", self.ports[which])
                self.served[which] += 1
                return which, back, forth
        return None

    def _candidates(self, head: bytes) -> Sequence[int]:
        """The guard that gave the session out; else all of them, beginning with the one whose turn it is."""
        session = _SESSION.search(head) if self.sticky else None
        if session is not None and (known := self._sessions.get(session[1])) is not None:
            return [known]
        number = len(self.ports)
        self._next = (self._next + 1) % number
        return [(self._next + at) % number for at in range(number)]


@asynccontextmanager
async def balancing(ports: Sequence[int], *, sticky: bool = False) -> AsyncIterator[Balancer]:
    """A balancer that runs."""
    balancer = Balancer(ports, sticky=sticky)
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
    balancer.port = server.sockets[0].getsockname()[1]
    try:
        yield balancer
    finally:
        server.close()
