"""A client's calls through the guard, on the wire, in both eras."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .conftest import Guarding, World
from .raw import text_of

ENVELOPE = {"resultType", "ttlMs", "cacheScope"}
BIG = 12345678901234567890123


def bare(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the envelope that the protocol demands."""
    meta = {k: v for k, v in result.get("_meta", {}).items() if k != "io.modelcontextprotocol/serverInfo"}
    return {**{k: v for k, v in result.items() if k not in ENVELOPE}, "_meta": meta}


async def test_a_read_is_json_equal_to_what_the_upstream_sent(world: World, guarding: Guarding) -> None:
    arguments = {"big": BIG, "float": 1.5, "deep": [{"x": None}], "text": "ä\u2028"}
    async with world.direct() as direct:
        expected = await direct.call("echo", arguments, _meta={"x-mine": 1})
    async with guarding() as client:
        result = await client.call("echo", arguments, _meta={"x-mine": 1})
    assert bare(result) == expected
    assert result["structuredContent"]["big"] == BIG


async def test_the_envelope_is_that_of_the_era(guarding: Guarding, era: str) -> None:
    async with guarding() as client:
        result, listed = await client.call("echo"), (await client.send("tools/list"))["result"]
    if era == "stateless":
        assert result["resultType"] == "complete"
        assert listed["cacheScope"] == "private"
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "takeback"
    else:
        assert not ENVELOPE & {*result, *listed}


async def test_definitions_keep_unknown_fields_and_come_from_every_page(guarding: Guarding) -> None:
    async with guarding() as client:
        tools = {tool["name"]: tool for tool in (await client.send("tools/list"))["result"]["tools"]}
    assert tools["get"]["x-unknown"] == {"kept": True}
    assert tools["echo"]["annotations"] == {"readOnlyHint": True, "x-hint": 1}
    assert {"grow", "takeback_history", "takeback_undo", "takeback_repeat"} <= set(tools)


async def test_instructions_introduce_the_tools_and_keep_the_upstreams(world: World) -> None:
    async with world.guard() as client:
        told = await client.handshake()
    assert "takeback_undo" in told["instructions"]
    assert "lean: Lean." in told["instructions"]
    assert len(told["instructions"].split("\n\n")[0].split()) <= 70


async def test_a_write_answers_the_tools_own_result_with_one_block_more(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        await client.call("set", {"key": "a", "value": 1})
        result = await client.call("set", {"key": "a", "value": 2})
    assert result["content"][0]["text"] == '{"key": "a", "value": 2}'
    assert len(result["content"]) == 2
    assert result["content"][1]["text"].endswith("a value 1 -> 2. Undo: exact.")
    meta = {k.removeprefix("io.takeback/"): v for k, v in result["_meta"].items() if k.startswith("io.takeback/")}
    assert meta | {"action": "", "run": ""} == {
        "action": "", "run": "", "status": "succeeded", "replayed": False, "verified": "yes", "undo": "exact",
    }  # fmt: skip
    assert world.effects() == [["set", "a", 1], ["set", "a", 2]]


async def test_a_retry_is_replayed_and_high_low_high_is_three(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        await client.call("set", {"key": "a", "value": "high"})
        again = await client.call("set", {"key": "a", "value": "high"})
        await client.call("set", {"key": "a", "value": "low"})
        await client.call("set", {"key": "a", "value": "high"})
    assert again["_meta"]["io.takeback/replayed"] is True
    assert "nothing more is needed" in text_of(again)
    assert [effect[2] for effect in world.effects()] == ["high", "low", "high"]


async def test_undo_and_history_over_the_wire(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        await client.call("set", {"key": "a", "value": 1})
        await client.call("set", {"key": "a", "value": 2})
        undone = await client.call("takeback_undo", {"reason": "wrong value"})
        history = await client.call("takeback_history")
        now = await client.call("get", {"key": "a"})
    assert undone["isError"] is False
    assert "Undone, exactly" in text_of(undone)
    assert "undo of" in text_of(history)
    assert now["content"][0]["text"] == '{"key": "a", "value": 1}'
    assert [effect[2] for effect in world.effects()] == [1, 2, 1]


async def test_protocol_errors_keep_code_and_data(guarding: Guarding) -> None:
    async with guarding() as client:
        error = (await client.send("tools/call", {"name": "misbehave", "arguments": {"how": "error"}}))["error"]
    assert error == {"code": -31999, "message": "custom", "data": {"deep": [1, {"x": 2}]}}


async def test_progress_reaches_the_client_with_its_own_token(guarding: Guarding) -> None:
    async with guarding() as client:
        await client.call("echo", {}, _meta={"progressToken": "mine"})
    told = [message["params"] for message in client.told if message["method"] == "notifications/progress"]
    assert told == [{"progressToken": "mine", "progress": n, "total": 3, "x-more": n} for n in (1, 2, 3)]


async def test_an_unknown_tool_is_an_error_and_nothing_is_sent(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        error = (await client.send("tools/call", {"name": "no_such_tool", "arguments": {}})).get("error")
    assert error is not None
    assert "no_such_tool" in error["message"]
    assert world.effects() == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"value": 1}, "key"), ({"key": 1, "value": 1}, "key"), ({"key": "a", "value": 1, "colour": "red"}, "colour")],
)
async def test_wrong_arguments_are_the_models_to_mend(
    world: World, guarding: Guarding, arguments: dict[str, Any], named: str
) -> None:
    async with guarding() as client:
        result = await client.call("set", arguments)
    assert result["isError"] is True
    assert named in text_of(result)
    assert "Nothing was" in text_of(result)
    assert world.effects() == []


async def test_a_key_named_twice_is_refused_before_anything_happens(world: World) -> None:
    async with world.guard() as client:
        arguments = b'{"key":"a","key":"b","value":1}'
        head = b'{"jsonrpc":"2.0","id":"t","method":"tools/call","params":{"name":"set","arguments":'
        line = head + arguments + b"}}"
        waiting = asyncio.get_running_loop().create_future()
        client._waiting["t"] = waiting
        client.raw(line)
        answer = await asyncio.wait_for(waiting, 30)
    assert "twice" in answer["error"]["message"]
    assert world.effects() == []


async def test_lines_that_are_no_json_rpc_are_answered_and_the_session_goes_on(world: World) -> None:
    async with world.guard() as client:
        for line in (b"{", b"[1]", b'"text"', b'{"jsonrpc":"2.0"}', b"\xff\xfe"):
            client.raw(line)
        await client.until(lambda: sum("error" in message for message in client.told) == 5)
        assert (await client.call("echo"))["content"]


async def test_many_calls_at_once_each_get_their_own_answer(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        calls = [client.call("echo", {"n": n}) for n in range(60)] + [
            client.call("set", {"key": f"k{n}", "value": n}) for n in range(20)
        ]
        results = await asyncio.gather(*calls)
    assert [r["structuredContent"]["n"] for r in results[:60]] == list(range(60))
    assert all(r["_meta"]["io.takeback/status"] == "succeeded" for r in results[60:])
    assert len(world.effects()) == 20


async def test_equal_calls_at_once_have_one_effect(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        results = await asyncio.gather(*(client.call("set", {"key": "a", "value": 1}) for _ in range(10)))
    assert len({r["_meta"]["io.takeback/action"] for r in results}) == 1
    assert world.effects() == [["set", "a", 1]]


async def test_a_cancelled_call_is_carried_to_its_end_and_recorded(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        given_up = client.begin("tools/call", {"name": "set", "arguments": {"key": "a", "value": 1}}, number="c1")
        client.notify("notifications/cancelled", {"requestId": "c1"})
        result = await client.call("set", {"key": "a", "value": 1})
        assert not given_up.done()
    assert world.effects() == [["set", "a", 1]]
    assert result["_meta"]["io.takeback/status"] == "succeeded"


async def test_a_client_that_leaves_in_the_middle_leaves_a_record(world: World) -> None:
    async with world.guard() as client:
        left = [
            client.begin("tools/call", {"name": "set", "arguments": {"key": f"k{n}", "value": n}}) for n in range(10)
        ]
        assert len(left) == 10
    async with world.guard() as client:
        history = text_of(await client.call("takeback_history", {"filter": "k"}))
    assert "running" not in history
    assert len(world.effects()) <= 10
