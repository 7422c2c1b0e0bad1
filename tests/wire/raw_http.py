"""An HTTP server made of bytes, on loopback, that answers each message as a test says, however wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from takeback_tools.mcp.connector import McpConnector

from .ears import ended

VERSION = "2025-11-25"
INFO = {"name": "raw", "version": "1"}


@dataclass(frozen=True)
class Got:
    """One HTTP request as it arrived."""

    verb: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        return dict(json.loads(self.body)) if self.body else {}

    @property
    def what(self) -> str:
        """The JSON-RPC method, or the HTTP verb where there is none."""
        return str(self.message.get("method") or ("answer" if self.body else self.verb))


class Reply:
    """What a handler can do with the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def status(self, status: str, body: bytes = b"", **headers: str) -> None:
        headers = {"content_length": str(len(body)), "content_type": "application/json", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await self.raw(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

    async def json(self, value: Any, status: str = "200 OK", **headers: str) -> None:
        await self.status(status, json.dumps(value).encode(), **headers)

    async def result(self, got: Got, result: Any, **headers: str) -> None:
        await self.json({"jsonrpc": "2.0", "id": got.message["id"], "result": result}, **headers)

    async def stream(self, *events: str) -> None:
        """The head of an event stream and its first events. It lasts until the connection is closed."""
        await self.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        await self.events(*events)

    async def events(self, *events: str) -> None:
        await self.raw("".join(f"{event}\n\n" for event in events).encode())

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """End the connection as a crash does, with a RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Returns when the client has closed the connection."""
        await self.reader.read()

    async def hold(self) -> None:
        """Nothing more, until the server is stopped."""
        await asyncio.Event().wait()


Handler = Callable[[Got, Reply], Awaitable[None]]


def note(method: str, **params: Any) -> dict[str, Any]:
    """A notification."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def event(message: Any, **fields: Any) -> str:
    """One event with a JSON-RPC message."""
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return f"{head}data: {message if isinstance(message, str) else json.dumps(message)}"


async def opened(got: Got, reply: Reply) -> None:
    """An ordinary answer to `initialize`, with a session."""
    result = {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": INFO}
    await reply.result(got, result, mcp_session_id="s1")


async def accepted(got: Got, reply: Reply) -> None:
    await reply.status("202 Accepted")


async def not_here(got: Got, reply: Reply) -> None:
    await reply.status("405 Method Not Allowed")


async def echoed(got: Got, reply: Reply) -> None:
    await reply.result(got, got.message.get("params") or {})


ORDINARY: Mapping[str, Handler] = {
    "initialize": opened,
    "notifications/initialized": accepted,
    "notifications/cancelled": accepted,
    "answer": accepted,
    "GET": not_here,
    "DELETE": not_here,
    "echo": echoed,
}


class RawHttp:
    """The server. `handlers` are by JSON-RPC method or HTTP verb, and may be changed at any time."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.handlers = {**ORDINARY, **handlers}
        self.got: list[Got] = []
        self._more = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=5.0)

    def seen(self, what: str) -> list[Got]:
        return [one for one in self.got if one.what == what]

    async def until(self, what: str, count: int = 1) -> list[Got]:
        """The requests for `what`, as soon as there are `count`."""
        async with self._more:
            await ended(self._more.wait_for(lambda: len(self.seen(what)) >= count))
        return self.seen(what)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (got := await _read(reader)) is not None:
                async with self._more:
                    self.got.append(got)
                    self._more.notify_all()
                await self.handlers[got.what](got, Reply(reader, writer))
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await asyncio.shield(writer.wait_closed())


async def _read(reader: asyncio.StreamReader) -> Got | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    verb, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Got(verb, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


Raw = Callable[..., Awaitable[RawHttp]]
"""Starts a server with handlers by keyword; two underscores stand for a slash."""


def answer(got: Got, **result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": got.message["id"], "result": result}


def streams(*parts: Callable[[Got], Any]) -> Callable[[Got, Reply], Awaitable[None]]:
    async def handler(got: Got, reply: Reply) -> None:
        await reply.stream(*[event(part(got)) for part in parts])
        await reply.hold()

    return handler


def replies(status: str, body: bytes = b"", **headers: str) -> Callable[[Got, Reply], Awaitable[None]]:
    async def handler(got: Got, reply: Reply) -> None:
        await reply.status(status, body.replace(b"$ID", str(got.message.get("id")).encode()), **headers)

    return handler


async def silent(got: Got, reply: Reply) -> None:
    await reply.hold()


async def without_session(got: Got, reply: Reply) -> None:
    await reply.result(got, {"protocolVersion": "2025-11-25", "capabilities": {}})


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def ask(upstream: McpConnector, method: str = "x/do", **options: Any) -> dict[str, Any]:
    return await ended(upstream.request(method, {"n": 1}, **options))
