"""The faulty upstream: an MCP server without an SDK, over stdio or streamable HTTP, whose calls go wrong by plan.

`create(reference, title)` takes effect each time; `search(reference)` finds what it made. `set(key, value)` and
`get(key)` do the same for a state. Effects go into a file of SQLite, before or after things go wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.faulty.faults import LIGHTHOUSE, WRITES, Fault, Plan, plan_of
from benchmarks.faulty.wire import GARBAGE, Answer, Wire
from benchmarks.faulty.world import World, operation_of

KEY: Final = "example.org/idempotency-key"
"""Where in `_meta` a key is looked for, by an upstream that honours keys."""

TROUBLE: Final = "internal error: the store did not answer"
"""The same words whether the effect is there or not: that is the point of it."""


def _schema(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}


TOOLS: Final = [
    {
        "name": "create",
        "description": "Create a record under your reference.",
        "inputSchema": _schema("reference", "title"),
    },
    {"name": "search", "description": "Records with a reference.", "inputSchema": _schema("reference")},
    {"name": "set", "description": "Set the value of a key.", "inputSchema": _schema("key", "value")},
    {"name": "get", "description": "The value of a key.", "inputSchema": _schema("key")},
]


class Upstream:
    """The tools, and what goes wrong with them."""

    def __init__(self, world: World, plan: Plan, *, honours_keys: bool) -> None:
        self._world = world
        self._plan = plan
        self._keys = honours_keys
        self._lock = threading.Lock()
        for number, due in world.pending():
            self._later(due, number, lambda _result: None)

    def handle(self, message: dict[str, Any], wire: Wire) -> None:
        """One request. Notifications and answers are not for here."""
        method, number = message.get("method"), message["id"]
        params = message.get("params") or {}
        if method == "initialize":
            wire.answer(_result(number, _hello(params)))
        elif method == "tools/list":
            wire.answer(_result(number, {"tools": TOOLS}))
        elif method == "ping":
            wire.answer(_result(number, {}))
        elif method == "tools/call":
            self._call(number, params, wire)
        else:
            wire.answer({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "Method not found"}})

    def _call(self, number: Any, params: dict[str, Any], wire: Wire) -> None:
        tool, args = params["name"], params.get("arguments") or {}
        key = (params.get("_meta") or {}).get(KEY) if self._keys else None
        with self._lock:
            fault = self._fault(tool, operation_of(args))
            result = self._act(tool, args, key) if fault.acts_first else None
            late = self._world.postpone(tool, args, key) if fault is Fault.LATE and tool in WRITES else None
        self._goes_on(fault, number, result, late, wire)

    def _fault(self, tool: str, operation: str) -> Fault:
        arrival = self._world.arrived(tool, operation)
        return Fault.NONE if operation == LIGHTHOUSE else self._plan.fault(tool, operation, arrival)

    def _act(self, tool: str, args: dict[str, Any], key: str | None) -> dict[str, Any]:
        if tool in WRITES:
            return _said(self._world.apply(tool, args, key))
        found = self._world.read(tool, operation_of(args))
        return _said(found) if found is not None else _failed("not found")

    def _goes_on(
        self, fault: Fault, number: Any, result: Answer | None, late: tuple[int, float] | None, wire: Wire
    ) -> None:
        match fault:
            case Fault.NONE:
                wire.answer(_result(number, result or {}))
            case Fault.DROPPED:
                wire.drop()
            case Fault.ERROR_BEFORE | Fault.ERROR_AFTER:
                wire.answer(_result(number, _failed(TROUBLE)))
            case Fault.RESET_BEFORE | Fault.RESET_AFTER:
                wire.reset()
            case Fault.GARBAGE:
                wire.garbage()
            case Fault.LATE if late is None:  # a read that nobody waits for any more
                wire.drop()
            case Fault.LATE:
                self._later(late[1], late[0], lambda answer: wire.answer(_result(number, answer)))
                wire.drop()

    def _later(self, due: float, number: int, then: Callable[[Answer], None]) -> None:
        """Land a postponed write when it is due, and try to answer it then: nobody may be there to hear it."""

        def land() -> None:
            with self._lock:
                result = self._world.land(number)
            if result is not None:
                then(_said(result))

        timer = threading.Timer(max(due - time.time(), 0), land)
        timer.daemon = True
        timer.start()


def _hello(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "protocolVersion": params.get("protocolVersion", "2025-06-18"),
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "faulty", "version": "1"},
    }


def _result(number: Any, result: dict[str, Any]) -> Answer:
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _said(data: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": json.dumps(data)}]}


def _failed(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": True}


def serve_stdio(upstream: Upstream) -> None:
    """Until the input ends. A reset is the end of the process."""
    writing = threading.Lock()

    def send(text: str) -> None:
        with writing:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    wire = Wire(
        answer=lambda answer: send(json.dumps(answer)),
        garbage=lambda: send(GARBAGE),
        reset=lambda: os._exit(1),
        drop=lambda: None,
    )
    for line in sys.stdin:
        message = json.loads(line) if line.strip() else {}
        if "method" in message and "id" in message:
            upstream.handle(message, wire)


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faulty.upstream")
    parser.add_argument("--world", type=Path, required=True)
    parser.add_argument("--plan", required=True, help="lost, or drawn:SEED:RATE")
    parser.add_argument("--keys", action="store_true", help="honour idempotency keys")
    parser.add_argument("--http", action="store_true")
    options = parser.parse_args()
    upstream = Upstream(World(options.world), plan_of(options.plan), honours_keys=options.keys)
    if options.http:
        from benchmarks.faulty.http_face import serve_http  # noqa: PLC0415 - stdio starts quicker without it

        serve_http(upstream)
    else:
        serve_stdio(upstream)


if __name__ == "__main__":
    main()
