"""The harness's side: the zygote, the lives that it forks, and the line to one of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.crashes.life import Life
from tests.crashes.upstream import await_end, kill

_ROOT: Final = Path(__file__).parents[2]
_PATIENCE: Final = 30.0
_RUN_KEY: Final = "io.takeback/run"


class Died(Exception):
    """The guard is dead."""


class Line:
    """The line to one guard."""

    def __init__(self, pid: int, there: socket.socket, back: socket.socket) -> None:
        self.pid = pid
        for one in (there, back):
            one.settimeout(_PATIENCE)
        self._socket, self._back, self._file = there, back, back.makefile("rb")
        self._number = 0

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Tell the guard, and wait for its answer. Raises Died."""
        return self.answer_to(self.tell(order))

    def tell(self, order: dict[str, Any]) -> int:
        """Tell the guard; returns the number of the order. Raises Died."""
        self._number += 1
        self._send({"id": self._number, **order})
        return self._number

    def answer_to(self, number: int) -> dict[str, Any]:
        """The answer to an order, past those to others. Raises Died."""
        while (answer := self._receive())["id"] != number:
            pass
        return answer

    def end(self) -> list[str]:
        """Let it end in order; the boundaries that it passed. Raises Died."""
        self._send({"do": "end"})
        return list(self.answer_to(0)["seen"])

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise Died from None

    def _receive(self) -> dict[str, Any]:
        try:
            text = self._file.readline()
        except ConnectionError:
            text = b""
        if not text.endswith(b"\n"):
            raise Died
        message: dict[str, Any] = json.loads(text)
        return message

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        """Let go of the line, and see to it that nobody is at its other end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        kill(self.pid)
        self._file.close()
        self._socket.close()
        self._back.close()


class FaceLine(Line):
    """A line on which MCP is spoken. `seen_in` is a file that the guard leaves when it ends in order."""

    def __init__(self, pid: int, there: socket.socket, back: socket.socket, seen_in: Path) -> None:
        super().__init__(pid, there, back)
        self.seen_in = seen_in

    def begin(self) -> None:
        """The handshake. Raises Died."""
        client = {"name": "crashes", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        self._send({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": params})
        self.answer_to_id("hello")
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = f"step {self._number}"
        params = {"name": order["name"], "arguments": order["arguments"], "_meta": {_RUN_KEY: order["run"]}}
        self._send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
        answer = self.answer_to_id(number)
        return {"result": answer["result"]} if "result" in answer else {"answered": str(answer["error"])}

    def answer_to_id(self, number: str) -> dict[str, Any]:
        while (answer := self._receive()).get("id") != number:
            pass
        return answer

    def end(self) -> list[str]:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        with suppress(Died):
            while True:
                self._receive()
        await_end(self.pid)
        if not self.seen_in.exists():
            raise Died
        return []


class Zygote:
    """Forks lives."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def begin(self, life: Life) -> Line:
        """Fork a life. A face is told hello."""
        there, its_in = socket.socketpair()
        back, its_out = socket.socketpair()
        with its_in, its_out:
            socket.send_fds(self._control, [life.line()], [its_in.fileno(), its_out.fileno()])
        pid = int(self._control.recv(32))
        if not life.face:
            back.close()
            return Line(pid, there, there)
        line = FaceLine(pid, there, back, Path(life.seen_in or ""))
        line.begin()
        return line


@contextmanager
def zygote() -> Iterator[Zygote]:
    """A zygote, until the end of the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_PATIENCE * 2)
    with ours:
        with theirs:
            command = [sys.executable, "-m", "tests.crashes.zygote", str(theirs.fileno())]
            process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=_ROOT)
        try:
            yield Zygote(ours)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
