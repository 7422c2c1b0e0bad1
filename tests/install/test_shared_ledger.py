"""Several wrapped servers of one user: as clients start them, all on one state folder, writing at the same time."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

from takeback.core.clients.entries import entries
from takeback.core.jsonc import read
from tests.cli.commands import inside
from tests.mcp.conftest import LEAN
from tests.mcp.raw import RawClient, started

SERVERS = 3
WRITES = 12
RULES = """
[[rule]]
tool = "NAME.get"
class = "read_only"
[[rule]]
tool = "NAME.set"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.key" }
read = { tool = "NAME.get", args = { key = "args.key" } }
undo = { tool = "NAME.set", args = { key = "target.id", value = "before.value" } }
"""


def configured(folder: Path) -> Path:
    """A client's configuration: a name that policies do not take, and one that two projects have."""
    places = [("mcpServers", "my records"), ("mcpServers", "records"), ("projects", "a")]
    config: dict[str, Any] = {"mcpServers": {}, "projects": {}}
    for number, (table, name) in enumerate(places):
        entry = {"command": sys.executable, "args": [str(LEAN), "--journal", str(folder / f"journal-{number}")]}
        config[table][name] = {"mcpServers": {"records": entry}} if table == "projects" else entry
    path = folder / "config.json"
    path.write_text(json.dumps(config, indent=2))
    return path


def commands(config: Path) -> list[list[str]]:
    """What the clients start for each server, word for word."""
    return [[entry.node.value["command"], *entry.node.value["args"]] for entry in entries(read(config.read_text()))]


async def all_started(stack: AsyncExitStack, config: Path, env: dict[str, str]) -> list[RawClient]:
    """All of them at once, as a client does."""
    words = commands(config)
    assert len(words) == SERVERS
    return await asyncio.gather(*(stack.enter_async_context(started(*each, env=env)) for each in words))


async def test_wrapped_servers_share_one_ledger_while_all_of_them_write(tmp_path: Path) -> None:
    config, state = configured(tmp_path), tmp_path / "state"
    env = {"TAKEBACK_STATE": str(state)}
    done = await asyncio.to_thread(inside, "install", "--all", "--config", config, env=env)
    assert done.code == 0

    async with AsyncExitStack() as stack:  # a ledger that is made, and policies that are drafted, by all at once
        clients = await all_started(stack, config, env)
        for client in clients:
            assert {t["name"] for t in (await client.send("tools/list"))["result"]["tools"]} >= {"set", "takeback_undo"}

    policies = sorted((state / "policies").iterdir())
    assert len(policies) == SERVERS
    for policy in policies:
        drafted = policy.read_text().partition("\n[[rule]]")[0]
        policy.write_text(drafted + RULES.replace("NAME", policy.stem))

    async with AsyncExitStack() as stack:
        clients = await all_started(stack, config, env)
        answers = await asyncio.gather(*(written(client) for client in clients))
        actions = {action for found in answers for action in found}
        assert len(actions) == SERVERS * WRITES
        await asyncio.gather(*(undone(client) for client in clients))

    check_ledger(state / "takeback.db", actions)
    for number in range(SERVERS):
        effects = [json.loads(line) for line in (tmp_path / f"journal-{number}").read_text().splitlines()]
        assert sorted(value for _, _, value in effects) == sorted([*range(WRITES), WRITES - 2])


async def written(client: RawClient) -> list[str]:
    """Writes in a row to a record that every server has under the same name; returns the actions."""
    found = []
    for value in range(WRITES):
        result = await client.call("set", {"key": "shared", "value": value})
        assert not result.get("isError"), result
        assert result["_meta"]["io.takeback/verified"] == "yes"
        found.append(str(result["_meta"]["io.takeback/action"]))
    return found


async def undone(client: RawClient) -> None:
    """The last write of this server's own run, and of no other."""
    result: dict[str, Any] = await client.call("takeback_undo", {"reason": "a test"})
    assert result["_meta"]["io.takeback/outcome"] == "exact", result


def check_ledger(path: Path, actions: set[str]) -> None:
    """Whole, with every action of every server, each in the status in which its client was told it is."""
    with closing(sqlite3.connect(path)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = ledger.execute("SELECT id, status FROM actions").fetchall()
        assert ledger.execute("SELECT count(*) FROM runs").fetchone()[0] >= SERVERS
    assert actions <= {action for action, _ in rows}
    status = [status for action, status in rows if action in actions]
    assert sorted(set(status)) == ["compensated", "succeeded"]
    assert status.count("compensated") == SERVERS
