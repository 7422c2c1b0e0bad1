"""A client that knows nothing but JSON-RPC, so that what the guard says is seen as it is on the wire."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.undo_table.record import answered

BOUND = 30.0
META = "io.modelcontextprotocol/"

Answerer = Callable[[dict[str, Any]], "dict[str, Any] | None"]


class RawClient:
    """Speaks lines of JSON with a process.

    `told` are the notifications that came; `answer` replies to its requests; `undos` are the answers to each undo.
    """

    def __init__(self, process: asyncio.subprocess.Process, *, stateless: bool, capabilities: dict[str, Any]) -> None:
        self.process, self.stateless, self.capabilities = process, stateless, capabilities
        self.told: list[dict[str, Any]] = []
        self.answer: Answerer = lambda request: None
        self.asked: list[dict[str, Any]] = []
        self.undos: list[dict[str, Any]] = []
        self.stderr = b""
        self._number = 0
        self._waiting: dict[Any, asyncio.Future[Any]] = {}
        self._arrived = asyncio.Event()
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._errors())]

    async def handshake(self) -> Any:
        """Agree on a version; returns what the server said of itself."""
        if self.stateless:
            return (await self.send("server/discover"))["result"]
        params = {
            "protocolVersion": "2025-11-25",
            "capabilities": self.capabilities,
            "clientInfo": {"name": "raw", "version": "1"},
        }
        result = (await self.send("initialize", params))["result"]
        self.notify("notifications/initialized")
        return result

    async def send(self, method: str, params: Mapping[str, Any] | None = None, *, number: Any = None) -> Any:
        """One request; returns the whole response."""
        return await asyncio.wait_for(self.begin(method, params, number=number), BOUND)

    def begin(self, method: str, params: Mapping[str, Any] | None = None, *, number: Any = None) -> asyncio.Future[Any]:
        """Send one request without waiting."""
        self._number += 1
        number = self._number if number is None else number
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        self.write({"jsonrpc": "2.0", "id": number, "method": method, "params": self._enveloped(params)})
        return waiting

    def _enveloped(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        given = dict(params or {})
        if self.stateless:
            envelope = {
                META + "protocolVersion": "2026-07-28",
                META + "clientInfo": {"name": "raw", "version": "1"},
                META + "clientCapabilities": self.capabilities,
            }
            given["_meta"] = {**given.get("_meta", {}), **envelope}
        return given

    async def call(self, name: str, arguments: dict[str, Any] | None = None, **more: Any) -> Any:
        """One tool call; returns its result. Raises AssertionError on a protocol error."""
        answer = await self.send("tools/call", {"name": name, "arguments": arguments or {}, **more})
        assert "result" in answer, answer
        if name == "takeback_undo":
            self.undos.append(answered(answer["result"].get("_meta", {}), text_of(answer["result"])))
        return answer["result"]

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        self.write(message if params is None else {**message, "params": dict(params)})

    def write(self, message: Mapping[str, Any]) -> None:
        self.raw(json.dumps(message).encode())

    def raw(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that arrives makes it true."""
        async with asyncio.timeout(BOUND):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self._message(json.loads(line))
            self._arrived.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"the server ended: {self.stderr.decode()}"))

    def _message(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            waiting = self._waiting.pop(message.get("id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            elif waiting is None:
                self.told.append(message)
        elif "id" in message:
            self.asked.append(message)
            result = self.answer(message)
            if result is not None:
                self.write({"jsonrpc": "2.0", "id": message["id"], "result": result})
        else:
            self.told.append(message)

    async def _errors(self) -> None:
        assert self.process.stderr is not None
        while data := await self.process.stderr.read(1 << 16):
            self.stderr += data

    async def close(self) -> int:
        """Close our end and wait for the process to end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            return await asyncio.wait_for(self.process.wait(), BOUND)
        finally:
            await asyncio.wait(self._tasks, timeout=BOUND)


@asynccontextmanager
async def started(
    *command: str,
    env: Mapping[str, str] | None = None,
    stateless: bool = False,
    capabilities: dict[str, Any] | None = None,
) -> AsyncIterator[RawClient]:
    """A server as a process, and a client that has shaken hands with it."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(env or {})}, limit=1 << 26
    )
    client = RawClient(process, stateless=stateless, capabilities=capabilities or {})
    try:
        await client.handshake()
        yield client
    finally:
        if process.returncode is None:
            try:
                await client.close()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


def guard_command(policy: Path) -> tuple[str, ...]:
    """`takeback serve` for a policy."""
    return (sys.executable, "-m", "takeback.cli", "serve", "--policy", str(policy))


def text_of(result: Mapping[str, Any]) -> str:
    """All text of a tool result."""
    return "\n".join(block["text"] for block in result["content"] if block["type"] == "text")
