"""The clients of the benchmark. They know JSON-RPC and nothing else, or they would be what is measured."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, Protocol

import orjson

from benchmarks.http_wire import HttpConnection, Response, message_in
from benchmarks.process import BOUND, ServerProcess

INITIALIZE: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
_OK: Final = 200
_ACCEPTED: Final = 202


class Client(Protocol):
    """One connection to one server."""

    async def handshake(self) -> None:
        """Agree on a version, so that calls may follow."""

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool; returns its result. Raises RuntimeError for an error of the protocol."""

    def let_go(self) -> None:
        """Close connections that are idle. Servers do so, too, after a few seconds, and might do it in mid-request."""


class StdioClient:
    """Lines of JSON on a process's pipes."""

    def __init__(self, process: ServerProcess) -> None:
        self._process = process
        self._number = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        process.on_line = self._line
        process.ended.add_done_callback(self._lost)

    async def handshake(self) -> None:
        """As `Client.handshake`."""
        async with asyncio.timeout(BOUND):
            await self._send("initialize", INITIALIZE)
        self._process.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """As `Client.call`."""
        return await self._send("tools/call", {"name": name, "arguments": arguments})

    def let_go(self) -> None:
        """The pipes are never idle for long enough."""

    async def _send(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self._process.write(orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + b"\n")
        return _result(await waiting)

    def _line(self, line: bytes) -> None:
        message = orjson.loads(line)
        if "method" in message:
            return
        waiting = self._waiting.pop(message["id"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _lost(self, _ended: object) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(RuntimeError(f"the server ended: {self._process.last_words}"))


class HttpClient:
    """Streamable HTTP on connections that are kept alive; there are as many as calls were in flight at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[HttpConnection] = deque()
        self._number = 0
        self._fixed = b""

    async def handshake(self) -> None:
        """As `Client.handshake`."""
        self._fixed = self._headers("")
        async with asyncio.timeout(BOUND):
            response = await self._post(self._request("initialize", INITIALIZE))
            _result(message_in(response))
            self._fixed = self._headers(response.headers.get("mcp-session-id", ""))
            told = await self._post(orjson.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
        if told.status not in {_OK, _ACCEPTED}:
            raise RuntimeError(f"HTTP {told.status}: {told.body[:200]!r}")

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """As `Client.call`."""
        request = self._request("tools/call", {"name": name, "arguments": arguments})
        return _result(message_in(await self._post(request)))

    def let_go(self) -> None:
        """As `Client.let_go`."""
        while self._idle:
            self._idle.pop().close()

    def _request(self, method: str, params: dict[str, Any]) -> bytes:
        self._number += 1
        return orjson.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})

    def _headers(self, session: str) -> bytes:
        lines = [
            "POST /mcp HTTP/1.1",
            f"host: 127.0.0.1:{self._port}",
            "content-type: application/json",
            "accept: application/json, text/event-stream",
            f"mcp-protocol-version: {INITIALIZE['protocolVersion']}",
            *([f"mcp-session-id: {session}"] if session else []),
            "content-length: ",
        ]
        return "\r\n".join(lines).encode()

    async def _post(self, body: bytes) -> Response:
        connection = self._idle.pop() if self._idle else await self._connected()
        response = await connection.exchange(b"%b%d\r\n\r\n%b" % (self._fixed, len(body), body))
        self._idle.append(connection)
        return response

    async def _connected(self) -> HttpConnection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(BOUND):
            _, connection = await loop.create_connection(HttpConnection, "127.0.0.1", self._port)
        return connection


def _result(message: dict[str, Any]) -> dict[str, Any]:
    result = message.get("result")
    if not isinstance(result, dict):
        raise RuntimeError(f"the server says {message}")
    return result
