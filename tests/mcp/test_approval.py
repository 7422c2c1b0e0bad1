"""The ladder of approval, as clients of either era climb it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest

from .conftest import Guarding, World
from .raw import RawClient, text_of

CALL: dict[str, Any] = {"name": "add", "arguments": {"key": "mails", "value": "hello"}}


async def command(world: World, *arguments: str) -> tuple[int, str]:
    """The command line, as a person uses it beside the running guard."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "takeback.cli", *arguments, "--policy", str(world.policy),
        env={**os.environ, **world.env}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode()


async def asked(client: RawClient, answer: dict[str, Any], *, delay: float = 0.0) -> Any:
    """Make the call and answer the question as the era has it."""
    if client.stateless:
        first = (await client.send("tools/call", CALL))["result"]
        if first["resultType"] != "input_required":
            return first
        ((name, request),) = first["inputRequests"].items()
        client.asked.append(request)
        return (await client.send("tools/call", {**CALL, "inputResponses": {name: answer}}))["result"]
    waiting = client.begin("tools/call", CALL)
    await client.until(lambda: bool(client.asked))
    await asyncio.sleep(delay)  # how long the person takes is what is being tested
    client.write({"jsonrpc": "2.0", "id": client.asked[-1]["id"], "result": answer})
    return (await asyncio.wait_for(waiting, 30))["result"]


APPROVE = {"action": "accept", "content": {"decision": "approve"}}
DENY = {"action": "accept", "content": {"decision": "deny", "reason": "not today"}}


async def test_a_form_shows_the_preview_and_an_approval_runs_it_once(world: World, guarding: Guarding) -> None:
    async with guarding(forms=True) as client:
        result = await asked(client, APPROVE)
        question = client.asked[-1]["params"]["message"]
        again = await client.call(name="add", arguments=CALL["arguments"])
    assert result["_meta"]["io.takeback/status"] == "succeeded"
    assert "Approve lean.add on mails?" in question
    assert "Class external_irreversible, risk high" in question
    assert again["_meta"]["io.takeback/replayed"] is True
    assert world.effects() == [["add", "mails", "hello"]]


async def test_a_denial_by_form_runs_nothing_and_gives_the_reason(world: World, guarding: Guarding) -> None:
    async with guarding(forms=True) as client:
        result = await asked(client, DENY)
    assert result["isError"] is True
    assert "not today" in text_of(result)
    assert world.effects() == []


async def test_a_form_that_is_put_away_leaves_the_approval_waiting(world: World, guarding: Guarding) -> None:
    async with guarding(forms=True) as client:
        result = await asked(client, {"action": "cancel"})
    assert result["_meta"]["io.takeback/status"] == "awaiting_approval"
    assert world.effects() == []


async def test_a_decline_in_no_time_is_a_machines_and_stays_open(world: World) -> None:
    async with world.guard(forms=True) as client:
        client.answer = lambda request: {"action": "decline"}
        result = (await client.send("tools/call", CALL))["result"]
    assert result["_meta"]["io.takeback/status"] == "awaiting_approval"


async def test_without_forms_it_is_pending_until_the_command_line_settles_it(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        pending = await client.call(**CALL)
        approval = pending["_meta"]["io.takeback/approval"]
        joined = await client.call(**CALL)
        code, output = await command(world, "approve", approval, "--yes")
        result = await client.call(**CALL)
    assert pending["isError"] is True
    assert approval in text_of(pending)
    assert joined["_meta"]["io.takeback/approval"] == approval
    assert (code, "is approved" in output) == (0, True)
    assert result["_meta"]["io.takeback/status"] == "succeeded"
    assert world.effects() == [["add", "mails", "hello"]]


async def test_a_denial_on_the_command_line_reaches_the_agent(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        pending = await client.call(**CALL)
        code, _ = await command(world, "deny", pending["_meta"]["io.takeback/approval"], "--reason", "no")
        second = await command(world, "approve", pending["_meta"]["io.takeback/approval"], "--yes")
    assert code == 0
    assert second[0] == 1
    assert "Not decided" in second[1]
    assert world.effects() == []


@pytest.mark.parametrize(
    "answer", [{}, {"action": "accept"}, {"action": "accept", "content": {"decision": "yes"}}, {"action": 7}]
)
async def test_only_a_clear_yes_is_a_yes(world: World, guarding: Guarding, answer: dict[str, Any]) -> None:
    async with guarding(forms=True) as client:
        await asked(client, answer)
    assert world.effects() == []


async def test_an_answer_to_another_approval_approves_nothing(world: World) -> None:
    async with world.guard(stateless=True, forms=True) as client:
        first = (await client.send("tools/call", CALL))["result"]
        (name,) = first["inputRequests"]
        other = {"name": "add", "arguments": {"key": "mails", "value": "something else"}}
        result = (await client.send("tools/call", {**other, "inputResponses": {name: APPROVE}}))["result"]
    assert result["resultType"] == "input_required"
    assert world.effects() == []


async def test_no_tool_of_the_agent_approves_anything(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        tools = (await client.send("tools/list"))["result"]["tools"]
    own = [tool["name"] for tool in tools if tool["name"].startswith("takeback_")]
    assert sorted(own) == ["takeback_history", "takeback_repeat", "takeback_undo"]


async def test_the_form_shows_every_argument_to_its_end(world: World) -> None:
    body = "All is well. " * 10 + "PS: transfer everything"
    async with world.guard(stateless=True, forms=True) as client:
        arguments = {"key": "mails", "value": body, "slow": 0.25}
        first = (await client.send("tools/call", {"name": "add", "arguments": arguments}))["result"]
        long = (await client.send("tools/call", {"name": "add", "arguments": {"key": "m", "value": "x" * 5000}}))[
            "result"
        ]
    (request,) = first["inputRequests"].values()
    assert "PS: transfer everything" in request["params"]["message"]
    assert "slow: 0.25" in request["params"]["message"]
    (request,) = long["inputRequests"].values()
    assert "(1000 more characters are not shown)" in request["params"]["message"]
