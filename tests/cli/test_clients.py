"""What docs/clients.md tells people to write starts a guard that shakes hands."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.conftest import LEAN, World
from tests.mcp.raw import started

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
BLOCKS = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def servers(block: str) -> list[dict[str, Any]]:
    document = json.loads(block)
    (found,) = [table for name, table in document.items() if name in {"mcpServers", "servers"}]
    return list(found.values())


def placed(words: list[str], policy: Path) -> tuple[str, ...]:
    """The placeholders of the page replaced as it says."""
    known = {"/path/to/policy.toml": str(policy), "${workspaceFolder}/policy.toml": str(policy)}
    return tuple(known.get(word, word) for word in words)


def documented() -> list[list[str]]:
    return [[server["command"], *server["args"]] for block in BLOCKS for server in servers(block)]


def test_every_client_of_the_page_has_a_configuration() -> None:
    assert len(BLOCKS) == len(documented()) == 4
    assert all(server.get("type", "stdio") == "stdio" for block in BLOCKS for server in servers(block))


async def test_the_documented_commands_start_a_guard(world: World) -> None:
    commands = {placed(words, world.policy) for words in documented()}
    shell = re.search(r"^claude mcp add takeback -- (.*)$", PAGE, re.MULTILINE)
    assert shell is not None
    commands.add(placed(shell[1].split(), world.policy))
    for words in commands:
        async with started(*words, env={**world.env, "PATH": PATH}) as client:
            tools = (await client.send("tools/list"))["result"]["tools"]
        assert "takeback_undo" in {tool["name"] for tool in tools}
        assert client.process.returncode == 0


async def test_the_documented_wrapping_starts_a_guard(world: World) -> None:
    found = re.search(r'`("command": "takeback", "args": \[.*?\])`', PAGE)
    assert found is not None
    entry = json.loads("{" + found[1] + "}")
    assert entry["args"][-2:] == ["uvx", "mcp-server-git"]
    words = [entry["command"], *entry["args"][:-2], sys.executable, str(LEAN)]
    async with started(*words, env={**world.env, "PATH": PATH}) as client:
        tools = (await client.send("tools/list"))["result"]["tools"]
    assert tools[0]["name"] == "get"  # names stay


@pytest.mark.parametrize("what", ["--http", "Takeback-Run", "io.takeback/run"])
def test_the_page_says_how_it_goes_over_http(what: str) -> None:
    assert what in PAGE
