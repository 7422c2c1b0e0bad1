"""Guards as processes that serve HTTP on one ledger, what is behind them, and a client that speaks to them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

BOUND: Final = 60.0
META: Final = "io.takeback/"
APART: Final = "neighbours"
"""What a guard lives without that is on a machine of its own: it sees nobody die, and waits for leases to run out."""

_PROTOCOL: Final = "io.modelcontextprotocol/"
_ENVELOPE: Final[dict[str, Any]] = {
    _PROTOCOL + "protocolVersion": "2026-07-28",
    _PROTOCOL + "clientInfo": {"name": "several", "version": "1"},
    _PROTOCOL + "clientCapabilities": {},
}
_ROOT: Final = Path(__file__).parents[2]


@dataclass(slots=True)
class Guard:
    """One `takeback serve --http`, which may be killed and started again. `log` is what it said.

    `without` names what it lives without (`tests.several.bare`).
    """

    policy: Path
    without: str = ""
    port: int = 0
    process: Process | None = None
    log: list[bytes] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it and wait until it listens."""
        program = ("tests.several.bare", self.without) if self.without else ("takeback.cli",)
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *program, "serve", "--policy", str(self.policy), "--http", "0", cwd=_ROOT,
            env={**os.environ, "TAKEBACK_STATE": str(self.policy.parent)}, stderr=PIPE, stdin=DEVNULL,
        )  # fmt: skip
        assert self.process.stderr is not None
        try:
            self.port = await asyncio.wait_for(self._listens(self.process), BOUND)
        except BaseException:
            self.process.kill()
            await self.process.wait()
            raise
        self._reading = asyncio.create_task(self._read(self.process.stderr))

    async def _listens(self, process: Process) -> int:
        while not (found := re.search(rb"http://127\.0\.0\.1:(\d+)/mcp", line := await _line(process))):
            self.log.append(line)
        return int(found[1])

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.log.append(line)

    async def kill(self) -> None:
        """SIGKILL, and wait until it has ended."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """As an operator stops it."""
        await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> None:
        if self.process is None or self._reading is None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            await asyncio.wait_for(self.process.wait(), BOUND)
        finally:
            if self.process.returncode is None:
                self.process.kill()
        await asyncio.wait_for(self._reading, BOUND)
        self.process = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


async def _line(process: Process) -> bytes:
    assert process.stderr is not None
    line = await process.stderr.readline()
    assert line, "the guard did not start"
    return line


@asynccontextmanager
async def guards(policy: Path, number: int, *, without: str = "") -> AsyncIterator[list[Guard]]:
    """So many guards, started together and stopped at the end. What one without a safeguard says is not looked at."""
    sound = without in {"", APART}
    found = [Guard(policy, without) for _ in range(number)]
    async with AsyncExitStack() as stack:
        for guard in found:
            stack.push_async_callback(guard.stop)
        await found[0].start()  # one makes the tables
        await asyncio.gather(*(guard.start() for guard in found[1:]))
        yield found
    assert not sound or [line for guard in found for line in guard.log if b"Traceback" in line] == []


class Counter:
    """The API behind the guards, in its own process."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._http = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=BOUND)

    async def effects(self) -> list[str]:
        """What it was made to do, in order."""
        return list((await self._http.get("/test/effects")).json()["effects"])

    async def hold(self) -> None:
        """From now on writes are carried out and not answered."""
        await self._http.post("/test/hold")

    async def held(self) -> None:
        """Return when a write was carried out and waits for its answer."""
        await self._http.get("/test/held")

    async def open(self) -> None:
        """Answer what waits, and everything from now on."""
        await self._http.post("/test/open")

    async def close(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def counting(slowest: int = 0) -> AsyncIterator[Counter]:
    """An API that runs. `slowest`: milliseconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.several.counter", str(slowest), cwd=_ROOT, stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        counter = Counter(int(await asyncio.wait_for(process.stdout.readline(), BOUND)))
        yield counter
        await counter.close()
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), BOUND)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered: the guard's word on the action, and the text that the model gets."""

    status: str
    action: str
    text: str
    error: bool
    approval: str = ""
    replayed: bool = False

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Answer:
        """From a JSON-RPC response."""
        if "result" not in message:
            return cls("", "", json.dumps(message.get("error")), error=True)
        result = message["result"]
        meta, texts = result.get("_meta", {}), [block.get("text", "") for block in result["content"]]
        return cls(
            meta.get(META + "status", ""), meta.get(META + "action", ""), "\n".join(texts),
            bool(result.get("isError")), meta.get(META + "approval", ""), bool(meta.get(META + "replayed")),
        )  # fmt: skip


class Agent:
    """A client of the stateless era: each request by itself, on a connection of its own."""

    def __init__(self, url: str, *, connections: int = 64) -> None:
        self.url = url
        bounds = httpx2.Limits(max_connections=connections, max_keepalive_connections=0)
        self._http = httpx2.AsyncClient(timeout=BOUND, limits=bounds)
        self._number = 0

    async def call(self, name: str, arguments: Mapping[str, Any], *, run: str = "r-one", at: str = "") -> Answer:
        """One tool call, to `at` or where the agent calls by default. Raises httpx2.TransportError; HTTPStatusError."""
        params = {
            "name": name,
            "arguments": dict(arguments),
            "_meta": {**_ENVELOPE, **({META + "run": run} if run else {})},
        }
        self._number += 1
        response = await self._http.post(
            at or self.url,
            json={"jsonrpc": "2.0", "id": self._number, "method": "tools/call", "params": params},
            headers={
                "accept": "application/json, text/event-stream", "mcp-protocol-version": "2026-07-28",
                "mcp-method": "tools/call", "mcp-name": name,
            },
        )  # fmt: skip
        response.raise_for_status()
        return Answer.of(_messages(response)[-1])

    async def close(self) -> None:
        await self._http.aclose()


def _messages(response: httpx2.Response) -> Sequence[Any]:
    if response.headers["content-type"].startswith("application/json"):
        return [response.json()]
    lines = response.text.splitlines()
    found = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    if not found:
        raise httpx2.RemoteProtocolError("the answer broke off")
    return found


@asynccontextmanager
async def agent(url: str) -> AsyncIterator[Agent]:
    """An agent, closed at the end."""
    found = Agent(url)
    try:
        yield found
    finally:
        await found.close()
