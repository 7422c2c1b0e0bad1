"""What passes over stdio: content, order, and who gets which answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from takeback.core.jsontext import JSON
from takeback.ports import Answered, OutcomeUnknown
from takeback_tools.mcp import process, underway

from .ears import Ear, Start, ended

HUGE = 2**53 + 1
BEYOND = 12345678901234567890123


def line(**message: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", **message})


async def test_unknown_fields_big_integers_and_meta_are_intact_both_ways(lean: Start) -> None:
    arguments = {"big": HUGE, "beyond": BEYOND, "x-new": [None, {"deep": 1.5}], "text": "\u2028\u0085\r\ud83dé"}
    meta = {"example.com/trace": {"id": BEYOND}, "x": 1}
    params = {"name": "echo", "arguments": arguments, "_meta": meta, "x-param": 1}
    result = await lean().request("tools/call", params)
    assert result["structuredContent"] == arguments
    assert result["x-unknown"] == BEYOND
    assert result["_meta"] == {"seen": meta}
    assert result["content"][0]["x-block"] == 1.5
    assert type(result["structuredContent"]["big"]) is int


async def test_unknown_params_reach_the_server(odd: Start) -> None:
    params = {"x-param": HUGE, "_meta": {"progress": BEYOND}, "nested": {"_meta": {"progressToken": "kept"}}}
    assert await odd().request("x/echo", params) == params


async def test_an_error_keeps_code_message_and_data(lean: Start) -> None:
    with pytest.raises(Answered) as caught:
        await lean().request("tools/call", {"name": "misbehave", "arguments": {"how": "error"}})
    assert (caught.value.code, caught.value.message, caught.value.data) == (-31999, "custom", {"deep": [1, {"x": 2}]})


async def test_progress_comes_in_order_and_before_the_answer(lean: Start) -> None:
    ear = Ear()
    params = {"name": "echo", "arguments": {}, "_meta": {"progressToken": "the client's own", "x": 1}}

    async def lags(params: Any) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        await ear.progress(params)

    result = await lean().request("tools/call", params, progress=lags)
    assert ear.heard == [{"progress": n, "total": 3, "x-more": n} for n in (1, 2, 3)]
    assert result["_meta"]["seen"]["x"] == 1
    assert result["_meta"]["seen"]["progressToken"] != "the client's own"


async def test_a_progress_token_of_another_hop_does_not_travel(lean: Start) -> None:
    params = {"name": "echo", "arguments": {}, "_meta": {"progressToken": "foreign", "x": 1}}
    assert (await lean().request("tools/call", params))["_meta"] == {"seen": {"x": 1}}


async def test_progress_goes_to_the_request_it_belongs_to(odd: Start) -> None:
    upstream, mine, other = odd(), Ear(), Ear()
    waiting = asyncio.create_task(upstream.request("x/never", {}, progress=other.progress))
    await upstream.request("x/echo", {})
    tokens: list[Any] = [77, "no", []]
    progress = [line(method="notifications/progress", params={"progressToken": t, "progress": 1}) for t in tokens]
    own = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$ID,"progress":2}}'
    await upstream.request("x/say", {"lines": [*progress, own]}, progress=mine.progress)
    assert (mine.heard, other.heard) == ([{"progress": 2}], [])
    waiting.cancel()


async def test_a_progress_listener_that_fails_or_hangs_does_not_keep_the_answer(
    odd: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "SINK_GRACE", 0.05)
    own = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$ID,"progress":2}}'

    async def hangs(params: Any) -> None:
        await asyncio.Event().wait()

    async def fails(params: Any) -> None:
        raise ValueError("the listener's own trouble")

    for sink in (hangs, fails):
        assert await ended(odd().request("x/say", {"lines": [own]}, progress=sink)) == {}


async def test_a_hundred_requests_at_a_time_get_their_own_answers(odd: Start) -> None:
    upstream = odd()
    calls = [upstream.request("x/gather", {"count": 100, "which": which}) for which in range(100)]
    answers = await ended(asyncio.gather(*calls))
    assert [answer["which"] for answer in answers] == list(range(100))


async def test_an_id_that_comes_back_as_text_is_still_matched(odd: Start) -> None:
    answer = '{"jsonrpc":"2.0","id":"$ID","result":{"as":"text"}}'
    assert await odd().request("x/say", {"lines": [answer], "answer": False}) == {"as": "text"}


async def test_a_batch_of_messages_is_taken_apart(odd: Start) -> None:
    upstream, ear = odd(), Ear()
    upstream.on_notification(ear.notified)
    batch = '[{"jsonrpc":"2.0","method":"x/one"},{"jsonrpc":"2.0","id":$ID,"result":{"in":"batch"}}]'
    assert await upstream.request("x/say", {"lines": [batch], "answer": False}) == {"in": "batch"}
    assert await ear.until(1) == [("x/one", None)]


async def test_tools_of_all_pages_in_order_and_as_sent(lean: Start) -> None:
    tools = await lean().tools()
    assert [tool.name for tool in tools] == ["get", "set", "add", "echo", "misbehave", "ask", "grow"]
    assert tools[0].raw["x-unknown"] == {"kept": True}


async def test_a_tool_list_without_end_is_given_up(odd: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takeback_tools.mcp.listing.PAGES", 20)
    with pytest.raises(OutcomeUnknown, match="does not end"):
        await ended(odd().tools())


async def test_a_changed_list_is_read_again_and_the_listeners_hear_of_it(lean: Start) -> None:
    upstream, ear = lean(), Ear()
    upstream.on_notification(ear.notified)
    before = await upstream.tools()
    assert await upstream.tools() is before
    await upstream.request("tools/call", {"name": "grow"})
    assert [tool.name for tool in await upstream.tools()] == [*(tool.name for tool in before), "new_7"]
    assert await ear.until(1) == [("notifications/tools/list_changed", None)]


async def test_notifications_come_in_order_beside_listeners_that_lag_fail_and_hang(odd: Start) -> None:
    upstream, quick, slow, failing = odd(), Ear(), Ear(), Ear()

    async def fails(name: str, method: str, params: JSON) -> None:
        await failing.notified(name, method, params)
        raise ValueError("the listener's own trouble")

    async def lags(name: str, method: str, params: JSON) -> None:
        await asyncio.sleep(0)
        await slow.notified(name, method, params)

    async def hangs(name: str, method: str, params: JSON) -> None:
        await asyncio.Event().wait()

    for sink in (lags, fails, hangs, quick.notified):
        upstream.on_notification(sink)
    told = [line(method="notifications/message", params={"n": n}) for n in range(50)]
    await upstream.request("x/say", {"lines": told})
    for ear in (quick, slow, failing):
        assert [params["n"] for _, params in await ear.until(50)] == list(range(50))


# --- What the server asks --------------------------------------------------------------------------------------------


async def test_a_request_of_the_server_is_answered_by_the_handler(lean: Start) -> None:
    upstream = lean()

    async def handler(method: str, params: JSON) -> dict[str, Any]:
        return {"action": "accept", "method": method, "message": params["message"], "big": BEYOND}

    upstream.on_request(handler)
    result = await upstream.request("tools/call", {"name": "ask"})
    reply = json.loads(result["content"][0]["text"])
    wanted = {"action": "accept", "method": "elicitation/create", "message": "Sure?", "big": BEYOND}
    assert reply == {"answer": wanted, "error": None}


async def test_a_request_of_the_server_is_refused_without_a_handler(lean: Start) -> None:
    result = await lean().request("tools/call", {"name": "ask"})
    assert json.loads(result["content"][0]["text"])["error"]["code"] == -32601


async def test_a_handler_that_fails_tells_the_server_nothing_of_it(
    odd: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(method: str, params: JSON) -> dict[str, Any]:
        raise ValueError("a private matter")

    async def refuses(method: str, params: JSON) -> dict[str, Any]:
        raise Answered(-32001, "not now", {"x": 1})

    upstream = odd()
    upstream.on_request(fails)
    replies = asyncio.create_task(upstream.request("x/replies", {"count": 1}))
    await upstream.request("x/say", {"lines": [line(id="a", method="roots/list")]})
    assert (await ended(replies))["replies"][0]["error"] == {"code": -32603, "message": "Internal error"}
    upstream.on_request(refuses)
    await upstream.request("x/say", {"lines": [line(id="b", method="roots/list")]})
    second = (await ended(upstream.request("x/replies", {"count": 2})))["replies"][1]
    assert second == {"jsonrpc": "2.0", "id": "b", "error": {"code": -32001, "message": "not now", "data": {"x": 1}}}


async def test_ping_is_answered_whatever_the_handler_says(odd: Start) -> None:
    upstream = odd()
    await upstream.request("x/say", {"lines": [line(id=f"p{n}", method="ping") for n in range(3)]})
    replies = (await ended(upstream.request("x/replies", {"count": 3})))["replies"]
    assert replies == [{"jsonrpc": "2.0", "id": f"p{n}", "result": {}} for n in range(3)]


async def test_the_server_can_take_its_request_back(odd: Start) -> None:
    upstream, begun, stopped = odd(), asyncio.Event(), asyncio.Event()

    async def handler(method: str, params: JSON) -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return {}

    upstream.on_request(handler)
    await upstream.request("x/say", {"lines": [line(id=5, method="elicitation/create", params={})]})
    await ended(begun.wait())
    back = line(method="notifications/cancelled", params={"requestId": 5})
    await upstream.request("x/say", {"lines": [back, line(id=6, method="ping")]})
    await ended(stopped.wait())
    replies = (await ended(upstream.request("x/replies", {"count": 1})))["replies"]
    assert [reply["id"] for reply in replies] == [6]


async def test_requests_of_the_server_are_bounded_in_number(odd: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takeback_tools.mcp.asked.MAX_ASKED", 3)
    upstream, go = odd(), asyncio.Event()

    async def handler(method: str, params: JSON) -> dict[str, Any]:
        await go.wait()
        return {}

    upstream.on_request(handler)
    await upstream.request("x/say", {"lines": [line(id=n, method="roots/list") for n in range(5)]})
    replies = (await ended(upstream.request("x/replies", {"count": 2})))["replies"]
    assert [(reply["id"], reply["error"]["code"]) for reply in replies] == [(3, -32000), (4, -32000)]
    go.set()
    await ended(upstream.request("x/replies", {"count": 5}))


# --- What should not arrive ------------------------------------------------------------------------------------------


async def test_text_on_stdout_is_ignored_and_named_in_the_diagnosis(odd: Start) -> None:
    upstream = odd()
    noise = [
        "Server listening on nothing",
        '"only text"',
        "5",
        "[]",
        "[1]",
        '{"jsonrpc":"2.0"}',
        '{"id":[],"result":{}}',
    ]
    assert await upstream.request("x/say", {"lines": ["", *noise]}) == {}
    with pytest.raises(OutcomeUnknown, match="on stdout, where only JSON-RPC belongs: Server listening on nothing / "):
        await upstream.request("x/die", {"words": "bye"})


@pytest.mark.parametrize(
    "reply",
    [
        '{"jsonrpc":"2.0","id":$ID,"result":"not an object"}',
        '{"jsonrpc":"2.0","id":$ID,"result":[]}',
        '{"jsonrpc":"2.0","id":$ID}',
        '{"jsonrpc":"2.0","id":$ID,"error":"text"}',
        '{"jsonrpc":"2.0","id":$ID,"result":{},"error":{"code":1,"message":"both"}}',
    ],
)
async def test_a_malformed_reply_leaves_the_outcome_unknown(odd: Start, reply: str) -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        await odd().request("x/say", {"lines": [reply], "answer": False})
    assert caught.value.kind == "malformed"


async def test_an_answer_beyond_the_bound_leaves_the_outcome_unknown(
    odd: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MAX_MESSAGE", 10_000)
    upstream = odd()
    quiet = asyncio.create_task(upstream.request("x/never", {}))
    await upstream.request("x/echo", {})
    with pytest.raises(OutcomeUnknown, match="longer than 10000 bytes") as caught:
        await ended(upstream.request("x/big", {"size": 50_000}))
    assert caught.value.kind == "malformed"
    assert not quiet.done()
    assert await upstream.request("x/echo", {"still": "there"}) == {"still": "there"}
    quiet.cancel()


async def test_params_that_are_no_json_are_not_sent(odd: Start) -> None:
    from takeback.ports import NotSent

    upstream = odd()
    with pytest.raises(NotSent, match="cannot be written as JSON"):
        await upstream.request("x/echo", {"set": {1, 2}})
    seen = (await upstream.request("x/seen", {}))["seen"]
    assert [method for method, *_ in seen] == ["initialize", "notifications/initialized", "x/seen"]
