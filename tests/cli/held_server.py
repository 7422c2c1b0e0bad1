"""A small MCP server over pipes with one record, which answers nothing any more at the point that it is told to.

`held_server.py RECORD JOURNAL HOLD BEGUN`: the record as JSON, what was written line by line, a file that says where to
hold (`get`, `before` a write or `after` it), and a named pipe on which it says that it has come there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STRING = {"type": "string"}
TOOLS = [
    {"name": "get", "inputSchema": {"type": "object", "properties": {"id": STRING}, "required": ["id"]}},
    {"name": "set", "inputSchema": {"type": "object", "properties": {"id": STRING, "value": STRING}}},
]


class Held(Exception):
    """No answer."""


class Server:
    def __init__(self, record: Path, journal: Path, hold: Path, begun: Path) -> None:
        self.record, self.journal, self.hold, self.begun = record, journal, hold, begun

    def stop_at(self, point: str) -> None:
        if self.hold.exists() and self.hold.read_text() == point:
            self.begun.write_bytes(b"x")
            raise Held

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        if name == "get":
            self.stop_at("get")
            return json.loads(self.record.read_text())
        self.stop_at("before")
        self.record.write_text(json.dumps({"id": arguments["id"], "value": arguments["value"]}))
        with self.journal.open("a") as file:
            file.write(json.dumps(arguments["value"]) + "\n")
        self.stop_at("after")
        return {"ok": True}

    def answer(self, message: dict[str, Any]) -> Any:
        match message["method"]:
            case "initialize":
                version = message["params"]["protocolVersion"]
                info = {"name": "held", "version": "1"}
                return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                return {"tools": TOOLS}
            case _:
                found = self.call(message["params"]["name"], message["params"]["arguments"])
                return {"content": [{"type": "text", "text": json.dumps(found)}], "structuredContent": found}


def main() -> None:
    server = Server(*map(Path, sys.argv[1:]))
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        try:
            result = server.answer(message)
        except Held:
            continue
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
