"""Plans over the wire, in both eras: offered by policy, agreed to by one form, and gone on with after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from .conftest import POLICY, Guarding, World
from .raw import RawClient, text_of

RUN = {"io.takeback/run": "r-plan"}
OFFERED = POLICY.replace('"--journal",', '"--keeps", "--journal",', 1).replace(
    'user = "agent"', 'user = "agent"\nagent_tools = ["checkpoint", "plan"]'
)


def step(name: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"id": name, "tool": tool, "arguments": arguments}


def plan(*groups: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": "Two and a mail", "reason": "asked for", "groups": [{"steps": steps} for steps in groups]}


MAIL = plan([step("mail", "add", key="mails", value="hello")], [step("a", "set", key="a", value=1)])
SLOW = plan(
    [step("a", "set", key="a", value=1, slow=0.5)],
    [step("b", "set", key="b", value=2), step("c", "set", key="c", value=3)],
    [step("d", "set", key="a", value=4)],
)
APPROVE = {"action": "accept", "content": {"decision": "approve"}}


@pytest.fixture
def offered(world: World) -> World:
    world.write(OFFERED)
    return world


async def names(client: RawClient) -> set[str]:
    return {tool["name"] for tool in (await client.send("tools/list"))["result"]["tools"]}


async def test_the_tools_are_offered_where_the_policy_says_so(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        assert {name for name in await names(client) if name.startswith("takeback_")} == {
            "takeback_history",
            "takeback_undo",
            "takeback_repeat",
        }
    world.write(OFFERED)
    async with guarding() as client:
        assert {"takeback_plan", "takeback_checkpoint"} <= await names(client)


async def asked(client: RawClient, call: dict[str, Any], answer: dict[str, Any]) -> Any:
    """Make the call and answer the question as the era has it."""
    if client.stateless:
        first = (await client.send("tools/call", call))["result"]
        ((name, request),) = first["inputRequests"].items()
        client.asked.append(request)
        return (await client.send("tools/call", {**call, "inputResponses": {name: answer}}))["result"]
    waiting = client.begin("tools/call", call)
    await client.until(lambda: bool(client.asked))
    await asyncio.sleep(0.4)  # a person needs longer than a machine
    client.write({"jsonrpc": "2.0", "id": client.asked[-1]["id"], "result": answer})
    return (await asyncio.wait_for(waiting, 30))["result"]


async def test_one_form_covers_the_whole_plan(offered: World, guarding: Guarding) -> None:
    async with guarding(forms=True) as client:
        result = await asked(client, {"name": "takeback_plan", "arguments": MAIL, "_meta": RUN}, APPROVE)
        question = client.asked[-1]["params"]["message"]
    assert result["_meta"]["io.takeback/status"] == "succeeded", text_of(result)
    assert "Group 2 (from here on not everything can be taken back):" in question
    assert offered.effects() == [["set", "a", 1], ["add", "mails", "hello"]]


async def test_a_plan_that_is_malformed_runs_nothing(offered: World, guarding: Guarding) -> None:
    async with guarding() as client:
        result = await client.call("takeback_plan", {"title": "x", "reason": "y", "groups": [{"steps": []}]})
        other = await client.call("takeback_plan", {"reason": "y"})
    assert result["isError"]
    assert other["isError"]
    assert "malformed" in text_of(other)
    assert offered.effects() == []


async def test_a_plan_in_the_middle_of_which_the_guard_is_killed_is_finished_by_the_next_one(
    offered: World, guarding: Guarding
) -> None:
    """Nobody asks: the next guard finds it in the ledger."""
    call = {"name": "takeback_plan", "arguments": SLOW, "_meta": RUN}
    async with guarding() as client:
        lost = client.begin("tools/call", call)
        async with asyncio.timeout(30):
            while not offered.effects():
                await asyncio.sleep(0.01)
        os.kill(client.process.pid, signal.SIGKILL)
        await client.process.wait()
        assert not lost.done() or lost.exception() is not None
    async with guarding() as client:
        async with asyncio.timeout(30):
            while len(offered.effects()) < 4:
                await asyncio.sleep(0.05)
        done = (await client.send("tools/call", call))["result"]
    assert done["_meta"]["io.takeback/status"] == "succeeded", text_of(done)
    assert sorted(offered.effects()) == [["set", "a", 1], ["set", "a", 4], ["set", "b", 2], ["set", "c", 3]]
