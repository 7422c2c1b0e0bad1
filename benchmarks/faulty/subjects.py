"""What stands between the agent and the faulty upstream, each started as its own documentation says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from benchmarks.faulty.place import ROOT, Place, Subject, Transport
from benchmarks.faulty.policy import write_policy
from tests.third_party.environments import programs

WITHIN: Final = 60.0
"""Seconds for a start, and for an end."""

_UPSTREAM: Final = re.compile(rb"serving (http://127\.0\.0\.1:\d+/mcp)")
_UVICORN: Final = re.compile(rb"running on (http://127\.0\.0\.1:\d+)")


class Running:
    """A subject with a client connected to it. `agent.Connection`.

    The client lives in a task of its own: the SDK's transports end the task that opened them when they break, and that
    must not be the agent's.
    """

    def __init__(self, place: Place, url: str | None) -> None:
        self._place = place
        self._url = url
        self._task: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """As `agent.Connection`."""
        assert self._client is not None
        return self._client

    async def start(self) -> None:
        """Start what is to be started, and connect. Raises RuntimeError where that does not work."""
        connected: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        self._task = asyncio.create_task(self._live(connected, self._leave))
        waited: set[asyncio.Future[Any]] = {connected, self._task}
        await asyncio.wait(waited, timeout=WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if not connected.done():
            raise RuntimeError(
                f"{self._place.subject} does not start; {self._place.folder / 'stderr.log'} has its words"
            )
        self._client = connected.result()

    async def stop(self) -> None:
        """End the connection and what was started for it."""
        assert self._task is not None
        self._leave.set()
        done, _ = await asyncio.wait({self._task}, timeout=WITHIN)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=WITHIN)

    async def restart(self) -> None:
        """As `agent.Connection`."""
        await self.stop()
        await self.start()

    async def _live(self, connected: asyncio.Future[Client], leave: asyncio.Event) -> None:
        with contextlib.suppress(Exception):  # a transport that broke says so at its end; the agent has seen it by then
            async with AsyncExitStack() as stack:
                connected.set_result(await stack.enter_async_context(await self._connecting(stack)))
                await leave.wait()

    async def _connecting(self, stack: AsyncExitStack) -> Client:
        server = await self._server(stack)
        if isinstance(server, str):
            return Client(server, mode="legacy")  # all subjects speak that era
        log = stack.enter_context((self._place.folder / "stderr.log").open("a", encoding="utf-8"))
        return Client(stdio_client(server, errlog=log), mode="legacy")

    async def _server(self, stack: AsyncExitStack) -> StdioServerParameters | str:
        match self._place.subject:
            case Subject.DIRECT:
                return self._url or self._stdio(self._place.upstream())
            case Subject.FASTMCP:
                return self._stdio(self._fastmcp())
            case Subject.MCP_PROXY:
                return await self._mcp_proxy(stack)
            case _:
                policy = write_policy(self._place, self._url)
                return self._stdio([sys.executable, "-m", "takeback.cli", "serve", "--policy", str(policy)])

    def _stdio(self, command: Sequence[str]) -> StdioServerParameters:
        return StdioServerParameters(command=command[0], args=list(command[1:]), env=self._env(), cwd=ROOT)

    def _env(self) -> dict[str, str]:
        own = {"TAKEBACK_STATE": str(self._place.folder), "PYTHONPATH": str(ROOT)}
        return {**os.environ, **own, "FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_HOME": str(self._place.folder)}

    def _fastmcp(self) -> list[str]:
        """`fastmcp run` with a configuration of MCP servers, which is a proxy to them."""
        command = self._place.upstream()
        local = {"command": command[0], "args": command[1:], "env": self._env(), "cwd": str(ROOT)}
        server = {"url": self._url, "transport": "http"} if self._url else local
        path = self._place.folder / "mcp.json"
        path.write_text(json.dumps({"mcpServers": {"faulty": server}}), encoding="utf-8")
        program = str(programs("fastmcp") / "fastmcp")
        return [program, "run", str(path), "--no-banner", "--log-level", "CRITICAL"]

    async def _mcp_proxy(self, stack: AsyncExitStack) -> StdioServerParameters | str:
        """Towards HTTP it is spoken to over stdio; towards stdio it serves HTTP: it turns one into the other."""
        program = str(programs("mcp-proxy") / "mcp-proxy")
        if self._url:
            return self._stdio([program, "--transport", "streamablehttp", self._url])
        command = [program, "--port", "0", "--pass-environment", "--", *self._place.upstream()]
        base = await stack.enter_async_context(serving(command, self._env(), _UVICORN))
        return f"{base}/mcp"


@asynccontextmanager
async def running(place: Place) -> AsyncIterator[Running]:
    """A subject in front of an upstream; over HTTP, the upstream is started first and outlives the subject."""
    async with AsyncExitStack() as stack:
        url = None
        if place.transport is Transport.HTTP:
            url = await stack.enter_async_context(serving([*place.upstream(), "--http"], {}, _UPSTREAM))
        subject = Running(place, url)
        await subject.start()
        try:
            yield subject
        finally:
            await subject.stop()


@asynccontextmanager
async def serving(command: Sequence[str], env: dict[str, str], said: re.Pattern[bytes]) -> AsyncIterator[str]:
    """Start a server that says on stderr where it listens; it is ended at the end. Yields its address."""
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **env}, cwd=ROOT, stdin=null, stdout=null, stderr=pipe, limit=2**20
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(WITHIN):
            address = await _said(process.stderr, said)
        reading = asyncio.create_task(_drained(process.stderr))
        yield address
        await _end(process)
        await asyncio.wait_for(reading, WITHIN)
    finally:
        await _end(process)


async def _said(stream: asyncio.StreamReader, said: re.Pattern[bytes]) -> str:
    told = b""
    while not (found := said.search(told)):
        line = await stream.readline()
        if not line:
            raise RuntimeError(f"it does not serve: {told.decode(errors='replace')}")
        told += line
    return found[1].decode()


async def _drained(stream: asyncio.StreamReader) -> None:
    while await stream.read(2**16):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        process.send_signal(sign)
        try:
            await asyncio.wait_for(process.wait(), WITHIN / 6)
        except TimeoutError:
            continue
