"""The stdio transport towards the client: asyncio's own pipes, the lane first, the SDK for the rest.

The SDK's transport moves each line through a worker thread and validates each message, which is most of what a hop
costs; a call that the lane takes is read, decided and answered without either.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, jsonrpc_message_adapter
from pydantic import ValidationError

from takeback.core.jsontext import MalformedJSON, dumps, loads
from takeback.core.lines import Lines
from takeback.mcp.client import OneClient

log = logging.getLogger(__name__)

MAX_LINE: Final = 32 * 1024 * 1024
"""Bytes that one message of the client may have."""

_PREFIX: Final = "tb-"
"""What the ids of our own requests to the client begin with."""

_CHUNK: Final = 1 << 16
_CLIENT_GONE: Final = -32000


class Lane(Protocol):
    """Who sees each message first."""

    async def offer(self, message: dict[str, Any], raw: bytes) -> bool:
        """Whether the lane takes this message; the SDK then never sees it."""


class StdioTransport(asyncio.Protocol):
    """One client on a pair of descriptors. `read_stream` and `write_stream` are for the SDK's `Server.run`."""

    def __init__(self) -> None:
        self.client = OneClient(self)
        self._first: tuple[dict[str, Any], bytes] | None = None
        self._loop = asyncio.get_running_loop()
        self._lines = Lines(self._line, self._oversized, MAX_LINE)
        self._arrived: asyncio.Queue[tuple[dict[str, Any], bytes] | None] = asyncio.Queue()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._out: Writer | None = None
        self._reading: asyncio.Future[None] | None = None
        self._to_sdk: MemoryObjectSendStream[SessionMessage | Exception]
        self._from_sdk: MemoryObjectReceiveStream[SessionMessage]
        self.read_stream: MemoryObjectReceiveStream[SessionMessage | Exception]
        self.write_stream: MemoryObjectSendStream[SessionMessage]
        self._to_sdk, self.read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](16)
        self.write_stream, self._from_sdk = anyio.create_memory_object_stream[SessionMessage](16)

    # --- What arrives --------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """asyncio."""
        self._lines.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio. The client closed its end."""
        self._arrived.put_nowait(None)

    def _line(self, raw: bytes) -> None:
        if not raw.strip():
            return
        try:
            message = loads(raw)
        except MalformedJSON as error:
            self._refuse(PARSE_ERROR, f"not JSON: {error}")
            return
        if isinstance(message, dict):
            self._arrived.put_nowait((message, raw))
        else:
            self._refuse(INVALID_REQUEST, "a JSON-RPC message is one object")

    def _oversized(self, head: bytes) -> None:
        self._refuse(INVALID_REQUEST, f"a message may have {MAX_LINE} bytes")

    def _refuse(self, code: int, text: str) -> None:
        if self._out is not None:
            self._out.write({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": text}})

    async def opening(self, within: float) -> OneClient:
        """The client, once its first message has come and said what it can do; after `within` seconds anyway."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                self._first = await self._arrived.get()
                if self._first is None:
                    self._arrived.put_nowait(None)  # the client left without a word: whoever serves must learn of it
        if self._first is not None:
            self.client.see(self._first[0])
        return self.client

    async def pass_on(self, lane: Lane) -> None:
        """Carry messages to the lane or the SDK until the client closes its end."""
        try:
            while (arrived := self._first or await self._arrived.get()) is not None:
                self._first = None
                message, raw = arrived
                if not self._answered(message) and not await lane.offer(message, raw):
                    await self._to_the_sdk(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            log.debug("the session has ended")
        finally:
            self._to_sdk.close()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(MCPError(code=_CLIENT_GONE, message="the client has gone"))

    async def _to_the_sdk(self, message: dict[str, Any]) -> None:
        try:
            await self._to_sdk.send(SessionMessage(jsonrpc_message_adapter.validate_python(message, by_name=False)))
        except ValidationError:
            number = message.get("id") if isinstance(message.get("id"), int | str) else None
            error = {"code": INVALID_REQUEST, "message": "this is not a JSON-RPC 2.0 request, notification or response"}
            await self.send({"jsonrpc": "2.0", "id": number, "error": error})

    def _answered(self, message: Mapping[str, Any]) -> bool:
        """Whether this is the answer to a request of ours."""
        number = message.get("id")
        if "method" in message or not isinstance(number, str) or not number.startswith(_PREFIX):
            return False
        waiting = self._waiting.pop(number, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        return True

    # --- What we send --------------------------------------------------------------------------------------------

    async def write_out(self) -> None:
        """Carry what the SDK sends to the client."""
        async for item in self._from_sdk:
            await self.send(item.message.model_dump(by_alias=True, mode="json", exclude_unset=True))

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write one message to the client. One that it no longer takes is dropped."""
        if self._out is not None:
            self._out.write(message)
            await self._out.drain()

    async def request(self, method: str, params: Mapping[str, Any] | None, timeout: float) -> Mapping[str, Any]:
        """Ask the client something and return its `result`.

        Raises:
            MCPError: it refused, or has gone.
            TimeoutError: no answer within `timeout` seconds; it is told so.
        """
        number = f"{_PREFIX}{next(self._numbers)}"
        waiting: asyncio.Future[Mapping[str, Any]] = self._loop.create_future()
        self._waiting[number] = waiting
        try:
            message = {"jsonrpc": "2.0", "id": number, "method": method}
            await self.send(message if params is None else {**message, "params": params})
            async with asyncio.timeout(timeout):
                return _result(await waiting)
        except (TimeoutError, asyncio.CancelledError):
            self._forget(number, "nobody waits for it any more")
            raise
        finally:
            self._waiting.pop(number, None)

    def _forget(self, number: str, reason: str) -> None:
        if self._out is not None:
            params = {"requestId": number, "reason": reason}
            self._out.write({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})

    # --- The descriptors -----------------------------------------------------------------------------------------

    async def attach(self, source: int, sink: int) -> None:
        """Begin to read from and write to these descriptors."""
        self._out = await open_writer(sink)
        if is_pipe(source):
            await self._loop.connect_read_pipe(lambda: self, os.fdopen(source, "rb", buffering=0))
        else:
            self._reading = self._loop.run_in_executor(None, self._read_file, source)

    def _read_file(self, source: int) -> None:
        """A file for a client (`takeback serve < calls.jsonl`): a thread reads it, since files cannot be awaited."""
        with os.fdopen(source, "rb", buffering=0) as file:
            while data := file.read(_CHUNK):
                self._loop.call_soon_threadsafe(self.data_received, data)
        self._loop.call_soon_threadsafe(self.connection_lost, None)

    async def detach(self) -> None:
        """Write what is left and let go of the descriptors, and of the streams, which the SDK may never have taken."""
        for stream in (self._to_sdk, self.read_stream, self.write_stream, self._from_sdk):
            stream.close()
        if self._out is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._out.drain(empty=True)
            self._out.close()


class Writer(asyncio.Protocol):
    """Writes lines to a descriptor; `drain` waits while the client does not read."""

    def __init__(self) -> None:
        self._room = asyncio.Event()
        self._room.set()
        self._pipe: asyncio.WriteTransport | None = None
        self._file: int | None = None

    async def to_pipe(self, sink: int) -> None:
        """Write to a pipe, a socket or a terminal."""
        loop = asyncio.get_running_loop()
        self._pipe, _ = await loop.connect_write_pipe(lambda: self, os.fdopen(sink, "wb", buffering=0))

    def to_file(self, sink: int) -> None:
        """Write to a plain file."""
        self._file = sink

    def write(self, message: Mapping[str, Any]) -> None:
        """Write one message as a line."""
        line = dumps(message) + b"\n"
        if self._pipe is not None:
            if not self._pipe.is_closing():
                self._pipe.write(line)
        elif self._file is not None:
            with suppress(OSError):
                while line:
                    line = line[os.write(self._file, line) :]

    async def drain(self, *, empty: bool = False) -> None:
        """Wait while the client does not read; with `empty` until it has everything."""
        if empty and self._pipe is not None and not self._pipe.is_closing():
            self._pipe.set_write_buffer_limits(high=0)
            if self._pipe.get_write_buffer_size():
                self._room.clear()
        await self._room.wait()

    def pause_writing(self) -> None:
        """asyncio."""
        self._room.clear()

    def resume_writing(self) -> None:
        """asyncio."""
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio."""
        self._room.set()

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._pipe is not None:
            self._pipe.close()
        elif self._file is not None:
            os.close(self._file)


async def open_writer(sink: int) -> Writer:
    """A writer for a descriptor of any kind."""
    writer = Writer()
    if is_pipe(sink):
        await writer.to_pipe(sink)
    else:
        writer.to_file(sink)
    return writer


def is_pipe(descriptor: int) -> bool:
    """Whether asyncio can wait for the descriptor: a pipe, a socket or a terminal, not a file."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and os.isatty(descriptor))


def _result(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    error, result = answer.get("error"), answer.get("result")
    if isinstance(error, Mapping):
        code = error.get("code")
        raise MCPError(
            code=code if isinstance(code, int) else _CLIENT_GONE,
            message=str(error.get("message", "refused")),
            data=error.get("data"),
        )
    return result if isinstance(result, Mapping) else {}


@asynccontextmanager
async def stdio_transport() -> AsyncIterator[StdioTransport]:
    """Take over stdin and stdout for the protocol. Anything else that writes to stdout meanwhile goes to stderr."""
    sys.stdout.flush()
    wire = os.dup(1)
    transport = StdioTransport()
    try:
        await transport.attach(os.dup(0), os.dup(1))
        os.dup2(2, 1)
        try:
            yield transport
        finally:
            await transport.detach()
    finally:
        os.dup2(wire, 1)
        os.close(wire)


@asynccontextmanager
async def carrying(transport: StdioTransport, lane: Lane) -> AsyncIterator[None]:
    """Carry messages between the client, the lane and the SDK."""
    reading, writing = asyncio.create_task(transport.pass_on(lane)), asyncio.create_task(transport.write_out())
    try:
        yield
    finally:
        reading.cancel()
        await asyncio.wait({writing}, timeout=1.0)  # the SDK has closed its end: this ends by itself
        writing.cancel()
        await asyncio.wait({reading, writing}, timeout=1.0)
