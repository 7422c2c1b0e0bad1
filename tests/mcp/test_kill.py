"""A guard that is killed outright in the middle of a write, and the one that comes after it."""

from __future__ import annotations

import asyncio
import os
import signal

from .conftest import POLICY, World
from .raw import text_of

RUN = {"io.takeback/run": "r-killed"}


async def effect(world: World) -> None:
    """Wait until the upstream has acted: its journal is the only signal that leaves it at that moment."""
    async with asyncio.timeout(30):
        while not world.effects():
            await asyncio.sleep(0.01)


async def test_what_was_sent_is_in_the_ledger_and_is_not_sent_again(world: World) -> None:
    world.write(POLICY.replace('user = "agent"', 'user = "agent"\njoin_within = "1s"'))
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
    assert again["_meta"]["io.takeback/status"] == "running"
    assert "In progress" in text_of(again)
    assert f"{again['_meta']['io.takeback/action']}" in history
    assert "running" in history
    assert other["isError"] is True
    assert world.effects() == [["set", "a", 1]]


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
