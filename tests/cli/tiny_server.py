"""The smallest MCP server over pipes, which starts in no time, and fails in the way that it is told to.

`--tools` is the JSON list of tools. Where `--begun` is given, a call first says there that it has begun, and waits for
`--release` before it takes effect in `--journal`; all three are paths, the first two of named pipes. Once there is a
file `--changed`, it holds the tools, and each call tells that they changed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any


def say(number: Any, result: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}) + "\n")
    sys.stdout.flush()


def answer(options: argparse.Namespace, message: dict[str, Any]) -> Any:
    if options.fault == "garbled":
        return "nonsense"
    if message["method"] == "initialize":
        version = message["params"]["protocolVersion"]
        info = {"name": "tiny", "version": "1"}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    if message["method"] == "tools/list":
        if options.changed and options.changed.exists():
            return {"tools": json.loads(options.changed.read_text())}
        return {"tools": [{"nam": 1}] if options.fault == "toolless" else json.loads(options.tools)}
    return call(options, message["params"])


def call(options: argparse.Namespace, params: dict[str, Any]) -> Any:
    if options.changed and options.changed.exists():
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}) + "\n")
    if options.begun:
        options.begun.write_bytes(b"x")
        with options.release.open("rb", buffering=0) as release:
            release.read(1)
    if options.journal:
        with options.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps([params["name"], params.get("arguments")]) + "\n")
    return {"content": [{"type": "text", "text": "done"}]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", default='[{"name": "write", "inputSchema": {"type": "object"}}]')
    parser.add_argument("--fault", choices=["mute", "chatty", "garbled", "toolless", "quits"])
    for path in ("--begun", "--release", "--journal", "--started", "--changed"):
        parser.add_argument(path, type=Path)
    options = parser.parse_args()
    if options.started:
        options.started.write_text(f"{os.getpid()}\n")
    if options.fault == "quits":
        sys.exit("no licence found")
    if options.fault == "chatty":
        sys.stdout.write("Server listening on port 3000\n")
        sys.stdout.flush()
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and options.fault not in {"mute", "chatty"}:
            say(message["id"], answer(options, message))


if __name__ == "__main__":
    main()
