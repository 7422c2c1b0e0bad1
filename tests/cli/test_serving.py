"""`serve --http`, `--version` and the help."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import urllib.request
from typing import Any

import pytest

from tests.mcp.conftest import World
from tests.mcp.raw import BOUND

from .commands import command, inside, takeback

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "web", "version": "1"}}
COMMANDS = ["serve", "wrap", "init", "check", "runs", "history", "show", "explain", "approvals", "undo", "play"]
COMMANDS += ["approve", "deny", "install", "uninstall", "freeze", "thaw", "freezes"]


async def test_over_http_it_says_where_answers_there_and_stops_when_told(world: World) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("serve", "--http", "0", "--policy", world.policy),
        env={**os.environ, **world.env}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        told = ""
        while not (found := re.search(r"serving (http://127\.0\.0\.1:\d+/mcp)", told)):
            line = await asyncio.wait_for(process.stderr.readline(), BOUND)
            assert line, told
            told += line.decode()
        answer = await asyncio.to_thread(post, found[1], {"id": 1, "method": "initialize", "params": HELLO})
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), BOUND)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "takeback" in answer
    assert (process.returncode, out) == (0, b"")
    assert err.decode().strip() == "takeback: stopping; what is in flight is finished first"


def post(url: str, message: dict[str, Any]) -> str:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=BOUND) as response:
        return str(response.read().decode())


def test_the_program_says_its_version() -> None:
    done = takeback("--version", env={})
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"takeback \d+\.\d+\.\d+\n", done.out)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = inside(name, "--help", env={})
    assert (done.code, done.err) == (0, "")
    assert f" {name} " in done.out.splitlines()[0]
    assert name in inside("--help", env={}).out
