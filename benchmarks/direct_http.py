"""The lean upstream behind a raw HTTP handler, in one process: what "direct" means over HTTP.

No SDK, no framework, one JSON body for each request. Nothing that speaks MCP over HTTP can be quicker in Python, so
whatever is compared with it is compared with the hardest it could be.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, cast

from tests.fixtures.lean_server import Server


class Held(Server):
    """The lean server, whose answer is held instead of printed."""

    answer: bytes | None = None

    def send(self, **message: Any) -> None:
        """As `Server.send`."""
        self.answer = json.dumps({"jsonrpc": "2.0", **message}).encode()

    def asked(self, body: bytes) -> bytes | None:
        """The answer to one message, or None to a notification."""
        self.answer = None
        self.handle(json.loads(body))
        return self.answer


class Handler(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, server: Held) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """asyncio."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().rpartition(b"content-length:")[2].partition(b"\r\n")[0]) if found else 0
        if not found or len(rest) < length:
            return
        self._buffer = rest[length:]
        self._answer(self._server.asked(rest[:length]))

    def _answer(self, body: bytes | None) -> None:
        assert self._transport is not None
        status = b"202 Accepted" if body is None else b"200 OK"
        text = body or b""
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(text))
        self._transport.write(head + text)


async def main() -> None:
    """Serve on any free port of the loopback, which is told on stderr, until this process is ended."""
    upstream = Held(None)
    server = await asyncio.get_running_loop().create_server(lambda: Handler(upstream), "127.0.0.1", 0)
    sys.stderr.write(f"serving http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp\n")
    sys.stderr.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
