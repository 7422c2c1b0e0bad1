"""A guard that is killed outright in the middle of a write, and the one that comes after it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from .conftest import POLICY, World
from .raw import text_of

RUN = {"io.takeback/run": "r-killed"}


async def effect(world: World) -> None:
    """Wait until the upstream has acted: its journal is the only signal that leaves it at that moment."""
    async with asyncio.timeout(30):
        while not world.effects():
            await asyncio.sleep(0.01)


async def test_what_was_sent_is_in_the_ledger_and_is_not_sent_again(world: World) -> None:
    kept = POLICY.replace('"--journal",', '"--keeps", "--journal",', 1)
    world.write(kept.replace('user = "agent"', 'user = "agent"\njoin_within = "1s"'))
    call = {"name": "set", "arguments": {"key": "a", "value": 1, "slow": 1.0}, "_meta": RUN}
    async with world.guard() as client:
        lost = client.begin("tools/call", call)
        await effect(world)
        os.kill(client.process.pid, signal.SIGKILL)
        await client.process.wait()
        assert not lost.done() or lost.exception() is not None
    async with world.guard() as client:
        again = (await client.send("tools/call", call))["result"]
        history = text_of(await client.call("takeback_history", _meta=RUN))
        other = (await client.send("tools/call", {**call, "arguments": {"key": "a", "value": 2}}))["result"]
    assert again["_meta"]["io.takeback/status"] == "succeeded"  # the guard is known to be dead: its work is looked at
    assert f"{again['_meta']['io.takeback/action']}" in history
    assert not other.get("isError")
    assert world.effects() == [["set", "a", 1], ["set", "a", 2]]


async def test_what_was_answered_survives_the_kill(world: World) -> None:
    call = {"name": "set", "arguments": {"key": "a", "value": 1}, "_meta": RUN}
    async with world.guard() as client:
        first = (await client.send("tools/call", call))["result"]
        os.kill(client.process.pid, signal.SIGKILL)
        await client.process.wait()
    async with world.guard() as client:
        again = (await client.send("tools/call", call))["result"]
    assert again["_meta"]["io.takeback/action"] == first["_meta"]["io.takeback/action"]
    assert "[takeback" in text_of(first)
    assert len(world.effects()) == 1


DESK = Path(__file__).parents[2] / "examples" / "helpdesk" / "mcp_server.py"
TICKETS = ("T-182", "T-204", "T-207")


def desk_policy(database: Path) -> str:
    words = [str(DESK), "--db", str(database)]
    return (
        POLICY[: POLICY.index("[upstream.lean]")].replace('user = "agent"', 'user = "agent"\njoin_within = "1s"')
        + f"[upstream.desk]\ncommand = {json.dumps(sys.executable)}\nargs = {json.dumps(words)}\n"
        + """
[[rule]]
tool = "desk.update_ticket"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "ticket", id = "args.ticket_id" }
read = { tool = "desk.get_ticket", args = { ticket_id = "args.ticket_id" } }
ignore = ["updated_at", "version"]
undo = { tool = "desk.update_ticket", args = { ticket_id = "target.id", assignee = "before.assignee" } }
"""
    )


def tickets(database: Path) -> dict[str, tuple[str | None, int]]:
    """Whom each ticket is assigned to, and how often it was written, in the desk's own tables."""
    with closing(sqlite3.connect(database)) as desk:
        rows = desk.execute("SELECT ticket_id, assignee, version FROM tickets")
        return {ticket: (assignee, version) for ticket, assignee, version in rows if ticket in TICKETS}


async def test_an_undo_of_several_that_is_killed_goes_on_where_it_stood(world: World) -> None:
    """What had gone back is found gone back, what was under way is not sent again, and the rest goes back."""
    database = world.folder / "desk.db"
    world.write(desk_policy(database))
    undo: dict[str, Any] = {"what": "last 3", "reason": "a test"}
    async with world.guard() as client:
        await client.call("get_ticket", ticket_id=TICKETS[0])
        before = tickets(database)
        for ticket in TICKETS:
            arguments = {"ticket_id": ticket, "assignee": "zoe"}
            await client.send("tools/call", {"name": "update_ticket", "arguments": arguments, "_meta": RUN})
        preview = await client.send("tools/call", {"name": "takeback_undo", "arguments": undo, "_meta": RUN})
        undo["confirm"] = preview["result"]["_meta"]["io.takeback/confirm"]
        lost = client.begin("tools/call", {"name": "takeback_undo", "arguments": undo, "_meta": RUN})
        async with asyncio.timeout(30):
            while sum(version for _, version in tickets(database).values()) < written(before, more=5):
                await asyncio.sleep(0.001)
        os.kill(client.process.pid, signal.SIGKILL)
        await client.process.wait()
        assert not lost.done() or lost.exception() is not None
    async with world.guard() as client:
        told = (await client.send("tools/call", {"name": "takeback_undo", "arguments": undo, "_meta": RUN}))["result"]
    assert tickets(database) == {ticket: (assignee, version + 2) for ticket, (assignee, version) in before.items()}
    assert "of 3" in text_of(told) or "already undone" in text_of(told)


def written(before: dict[str, tuple[str | None, int]], *, more: int) -> int:
    return sum(version for _, version in before.values()) + more
