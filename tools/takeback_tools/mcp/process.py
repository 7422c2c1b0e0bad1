"""MCP over stdio: the upstream is a process of ours, in a process group of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, cast

from takeback.core.lines import Lines
from takeback.ports import Downstream, NotSent, ProgressSink
from takeback_tools.mcp.channel import MAX_MESSAGE, Hooks
from takeback_tools.mcp.peer import Peer
from takeback_tools.mcp.settings import McpSettings

log = logging.getLogger(__name__)

PATIENCE: Final = 2.0
"""Seconds that a process gets to end by itself, and again after it was asked to."""

LAST_WORDS: Final = 0.5
"""Seconds that output may still arrive after the process has ended; longer, and a grandchild holds the pipe."""

_STDERR_KEPT: Final = 8
_STDERR_LINE: Final = 2000
_STDOUT, _STDERR = 1, 2
_WINDOWS: Final = sys.platform == "win32"


class ProcessChannel(asyncio.SubprocessProtocol):
    """One process and the JSON-RPC peer on its pipes.

    The pipes are asyncio's own, without worker threads: a line goes from the pipe to the waiting call in one turn of
    the loop.
    """

    version = ""

    def __init__(self, name: str, settings: McpSettings, hooks: Hooks) -> None:
        loop = asyncio.get_running_loop()
        self._name, self._settings = name, settings
        self._peer = Peer(self._write, hooks, limit=MAX_MESSAGE)
        self._errors: deque[str] = deque(maxlen=_STDERR_KEPT)
        self._stderr = Lines(self._error_line, self._error_line, _STDERR_LINE)
        self._stdin: asyncio.WriteTransport | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._exited = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()

    # --- asyncio's protocol --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """asyncio."""
        if fd == _STDOUT:
            self._peer.feed(data)
        else:
            self._stderr.feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """asyncio. Without stdout no answer can come, without stdin no request goes out, whatever else still lives."""
        if fd == _STDERR:
            self._stderr.finish()
        elif fd == _STDOUT:
            self._peer.finish()
            self._ending("closed its output")
        else:
            self._ending("closed its input")

    def process_exited(self) -> None:
        """asyncio. What is already in the pipes is still read."""
        if not self._exited.done():
            self._exited.set_result(None)
        self._ending("ended")

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio. The process has ended, and everything that it wrote has been read."""
        self._end()

    def pause_writing(self) -> None:
        """asyncio."""
        self._peer.pause()

    def resume_writing(self) -> None:
        """asyncio."""
        self._peer.resume()

    # --- The channel ---------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The process's id, while it lives."""
        return self._transport.get_pid() if self._transport is not None and not self._exited.done() else None

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
        downstream: Downstream | None = None,
    ) -> dict[str, Any]:
        """As `Channel.request`."""
        return await self._peer.request(method, params, timeout=timeout, progress=progress, downstream=downstream)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """As `Channel.notify`."""
        self._peer.notify(method, params)

    @property
    def diagnosis(self) -> str:
        """The last lines of stderr, and text on stdout that is no JSON-RPC."""
        parts = []
        if self._errors:
            parts.append("its last words on stderr: " + " / ".join(self._errors))
        if self._peer.noise:
            parts.append("on stdout, where only JSON-RPC belongs: " + " / ".join(self._peer.noise))
        return "; ".join(parts)

    def _write(self, line: bytes) -> bool:
        if self._stdin is None or self._stdin.is_closing() or self.lost.done():
            return False
        self._stdin.write(line)
        return True

    def _error_line(self, line: bytes) -> None:
        text = self._settings.redacted(line.decode("utf-8", "replace").rstrip())
        if text:
            self._errors.append(text)
            log.info("%s: %s", self._name, text)

    def _ending(self, how: str) -> None:
        """Nothing new is sent from now on. Its last answers, last words and exit status may be a moment behind."""
        if not self.lost.done():
            self.lost.set_result(f"upstream {self._name} {how}")
            asyncio.get_running_loop().call_later(LAST_WORDS, self._end)

    def _end(self) -> None:
        if self._peer.ended is not None:
            return
        code = self._transport.get_returncode() if self._transport is not None else None
        self._peer.lose(self.lost.result() + (f" (exit status {code})" if code is not None else ""))
        self._signal(signal.SIGTERM)

    # --- The end -------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close its input, and if it does not end by that, ask it, then kill it, with all that it started."""
        if self._transport is None:
            return
        if not self.lost.done():
            self.lost.set_result(f"upstream {self._name} was stopped")
        if self._stdin is not None:
            self._stdin.close()
        if not await self._gone():
            self._signal(signal.SIGTERM)
            if not await self._gone():
                log.warning("%s does not end; killed", self._name)
        self._signal(signal.SIGKILL if not _WINDOWS else signal.SIGTERM)
        await self._gone()
        self._end()
        self._transport.close()

    async def _gone(self) -> bool:
        done, _ = await asyncio.wait({self._exited}, timeout=PATIENCE)
        return bool(done)

    def _signal(self, number: int) -> None:
        """To the whole group: wrappers such as npx leave a child behind otherwise."""
        if self._transport is None:
            return
        try:
            if _WINDOWS:
                self._transport.send_signal(number)
            else:
                os.killpg(self._transport.get_pid(), number)
        except (ProcessLookupError, PermissionError):
            pass


async def launch(name: str, settings: McpSettings, hooks: Hooks) -> ProcessChannel:
    """Start the upstream's process.

    Raises:
        NotSent: it cannot be started; the message says why.
    """
    if settings.command is None:
        raise NotSent(f"upstream {name} has no command")
    loop = asyncio.get_running_loop()
    try:
        _, channel = await loop.subprocess_exec(
            lambda: ProcessChannel(name, settings, hooks),
            settings.command,
            *settings.args,
            env={**os.environ, **settings.env},
            cwd=settings.cwd,
            start_new_session=not _WINDOWS,
        )
    except (OSError, ValueError) as error:
        # It is the folder that does not exist, or the command: the error knows.
        why = f"{error.filename or settings.command}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise NotSent(f"upstream {name} cannot be started: {why}") from None
    return channel
