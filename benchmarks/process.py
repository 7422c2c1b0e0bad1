"""A measured server as a process of ours: its pipes, its stderr, its memory, and its end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import psutil

BOUND: Final = 30.0
"""Seconds for anything that is waited for: a start, an answer, an end."""

QUIET_WITHIN: Final = 5.0
"""Seconds that a server gets to finish what it does on its own after a load."""

_SERVING: Final = re.compile(rb"serving http://127\.0\.0\.1:(\d+)")
_STDOUT: Final = 1
_ERRORS_KEPT: Final = 20
_LOOK_EVERY: Final = 0.05
_BUSY_SHARE: Final = 0.1


class ServerProcess(asyncio.SubprocessProtocol):
    """The pipes are asyncio's protocols and not its streams, so that the client costs as little as it can."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.on_line: Callable[[bytes], None] = lambda _line: None
        self.port: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.pid = 0
        self._out = b""
        self._errors: deque[bytes] = deque(maxlen=_ERRORS_KEPT)
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        self.pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """asyncio."""
        if fd != _STDOUT:
            self._error(data)
            return
        lines = (self._out + data if self._out else data).split(b"\n")
        self._out = lines.pop()
        for line in lines:
            self.on_line(line)

    def _error(self, data: bytes) -> None:
        self._errors.append(data)
        found = _SERVING.search(b"".join(self._errors))
        if found and not self.port.done():
            self.port.set_result(int(found.group(1)))

    def process_exited(self) -> None:
        """asyncio. Whoever waits for the port learns that there will be none."""
        if not self.ended.done():
            self.ended.set_result(None)
        self.port.cancel()

    def write(self, line: bytes) -> None:
        """One line to its standard input."""
        assert self._stdin is not None
        self._stdin.write(line)

    @property
    def last_words(self) -> str:
        """The end of its stderr, for when something went wrong."""
        return b"".join(self._errors).decode("utf-8", "replace").strip()

    async def close(self) -> None:
        """Close its input; where that is not enough, ask it, and then kill it."""
        assert self._transport is not None
        assert self._stdin is not None
        self._stdin.close()
        for end in (None, self._transport.terminate, self._transport.kill):
            if self.ended.done():
                break
            if end is not None:
                end()
            await asyncio.wait({self.ended}, timeout=BOUND / 10)
        self._transport.close()


@asynccontextmanager
async def started(
    command: Sequence[str], env: Mapping[str, str], folder: Path, *, serves_http: bool
) -> AsyncIterator[ServerProcess]:
    """Start a server and stop it at the end. One that serves HTTP tells its port on stderr."""
    loop = asyncio.get_running_loop()
    _, process = await loop.subprocess_exec(ServerProcess, *command, env={**os.environ, **env}, cwd=folder)
    try:
        if serves_http:
            await asyncio.wait({process.port}, timeout=BOUND)
            if not process.port.done() or process.port.cancelled():
                raise RuntimeError(f"{command[-1]} does not serve: {process.last_words}")
        yield process
    finally:
        if serves_http and not process.ended.done():
            os.kill(process.pid, signal.SIGTERM)
            await asyncio.wait({process.ended}, timeout=BOUND)
        await process.close()


def processor_seconds(pid: int) -> float:
    """What a process has used of the processors so far, in its own code and for it in the kernel."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def peak_memory(pid: int) -> int:
    """Bytes: the most that was ever resident where the system keeps that (Linux), else what is resident now."""
    if sys.platform == "linux":
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(psutil.Process(pid).memory_info().rss)


async def quiet(pid: int) -> None:
    """Wait until the server rests: what it still does after a load must not be charged to whoever comes next."""
    loop = asyncio.get_running_loop()
    until, before = loop.time() + QUIET_WITHIN, processor_seconds(pid)
    while loop.time() < until:
        await asyncio.sleep(_LOOK_EVERY)
        now = processor_seconds(pid)
        if now - before <= _LOOK_EVERY * _BUSY_SHARE:
            return
        before = now
