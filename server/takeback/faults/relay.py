"""Stands before an MCP server on stdio and does to one call what it was told: `relay.py FOLDER PROGRAM [ARGUMENT...]`.

A program of its own, of the standard library alone; `lines.FaultyLines` writes its orders. `order.json` names a fault
and a tool; the next call of that tool takes the order away. A call that is late waits for the named pipe `landing`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

NOISE: Final = b"\x00\xff{{ this is no message\n"
ERROR: Final = {"isError": True, "content": [{"type": "text", "text": "the tool failed"}]}


def message_of(line: bytes) -> dict[str, Any]:
    """The message on a line; empty where there is none."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class Relay:
    """One server, and the faults that its calls under way meet, by request id."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._folder = folder
        self._faults: dict[Any, str] = {}
        self._writing = threading.Lock()
        # Its errors go where those of this program go.
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - as asked

    def run(self) -> None:
        """Until one of the two ends is gone."""
        threading.Thread(target=self._forth, daemon=True).start()
        for line in _of(self._server.stdout):
            self._back(line)
        self._server.wait()

    def _forth(self) -> None:
        for line in sys.stdin.buffer:
            message = message_of(line)
            fault = self._ordered(message)
            if fault is None:
                self._to_server(line)
            else:
                self._send(fault, line, message["id"])
        _of(self._server.stdin).close()

    def _ordered(self, message: dict[str, Any]) -> str | None:
        """The fault that this call meets. Whoever moves the order away has it."""
        order = self._folder / "order.json"
        if message.get("method") != "tools/call" or not order.exists():
            return None
        wanted = json.loads(order.read_text())
        if message["params"]["name"] != wanted["tool"]:
            return None
        order.rename(self._folder / "taken.json")
        return str(wanted["fault"])

    def _send(self, fault: str, line: bytes, number: Any) -> None:
        match fault:
            case "cut before":
                self._die()
            case "error before":
                self._to_client(_error(number))
            case "late":
                threading.Thread(target=self._late, args=(line,), daemon=True).start()
            case "delivered twice":
                self._to_server(line + line)
            case _:
                self._faults[number] = fault
                self._to_server(line)

    def _late(self, line: bytes) -> None:
        (self._folder / "landing").read_bytes()  # opens when somebody opens the other end
        self._to_server(line)

    def _back(self, line: bytes) -> None:
        number = message_of(line).get("id")
        ends: dict[str, Callable[[], None]] = {
            "reply lost": lambda: None,
            "answered twice": lambda: self._to_client(line + line),
            "error after": lambda: self._to_client(_error(number)),
            "garbage": lambda: self._to_client(NOISE),
            "truncated": lambda: self._die(line[: len(line) // 2]),
            "cut after": self._die,
        }
        ends.get(self._faults.pop(number, ""), lambda: self._to_client(line))()

    def _die(self, last: bytes = b"") -> None:
        self._to_client(last)
        self._server.kill()
        self._server.wait()
        os._exit(1)

    def _to_server(self, data: bytes) -> None:
        there = _of(self._server.stdin)
        there.write(data)
        there.flush()

    def _to_client(self, data: bytes) -> None:
        with self._writing:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _of(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None  # asked for
    return end


def _error(number: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": ERROR}).encode() + b"\n"


if __name__ == "__main__":
    Relay(Path(sys.argv[1]), sys.argv[2:]).run()
