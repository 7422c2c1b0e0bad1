"""Streamable HTTP against a server of the SDK, in both eras, with JSON and with event streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from takeback.core.jsontext import JSON
from takeback.ports import Answered, NotSent, OutcomeUnknown
from takeback_tools.mcp.connector import McpConnector

from .ears import BOUND, Ear, Start, ended

Sdk = Callable[..., str]

HANDSHAKE = ("--mode", "stream")
STATELESS = ("--mode", "stream", "--stateless-era")
EVERY = {
    "handshake-stream": HANDSHAKE,
    "handshake-json": ("--mode", "json"),
    "stateless-stream": STATELESS,
    "stateless-json": ("--mode", "json", "--stateless-era"),
}
every_server = pytest.mark.parametrize("options", EVERY.values(), ids=EVERY.keys())
each_era = pytest.mark.parametrize("options", [HANDSHAKE, STATELESS], ids=["handshake", "stateless"])

FORM: dict[str, Any] = {"elicitation": {"form": {}}}


@pytest.fixture
def at(reach: Start, sdk: Sdk) -> Start:
    def make(options: tuple[str, ...], **settings: Any) -> McpConnector:
        return reach(f"{sdk(*options)}/mcp", **settings)

    return make


async def call(upstream: McpConnector, name: str, arguments: Any = None, **options: Any) -> dict[str, Any]:
    return await ended(upstream.request("tools/call", {"name": name, "arguments": arguments or {}}, **options))


@every_server
async def test_tools_calls_and_what_was_agreed(at: Start, options: tuple[str, ...]) -> None:
    upstream = at(options)
    tools = await ended(upstream.tools())
    assert [tool.name for tool in tools][:2] == ["echo", "steps"]
    assert (await call(upstream, "echo", {"n": 2**53 + 1, "region": "eu"}))["structuredContent"]["n"] == 2**53 + 1
    assert upstream.instructions == "Of the SDK."
    assert "tools" in upstream.capabilities


@every_server
async def test_an_error_keeps_code_message_and_data(at: Start, options: tuple[str, ...]) -> None:
    with pytest.raises(Answered) as caught:
        await call(at(options), "broken")
    assert (caught.value.code, caught.value.message, caught.value.data) == (-31999, "custom", {"deep": [1]})


@every_server
async def test_an_unknown_method_is_an_answer(at: Start, options: tuple[str, ...]) -> None:
    with pytest.raises(Answered) as caught:
        await ended(at(options).request("resources/list", None))
    assert caught.value.code == -32601


@each_era
async def test_progress_comes_in_order_and_before_the_answer(at: Start, options: tuple[str, ...]) -> None:
    ear = Ear()
    await call(at(options), "steps", progress=ear.progress)
    assert [params["progress"] for params in ear.heard] == [1, 2, 3]
    assert all("progressToken" not in params for params in ear.heard)


@every_server
async def test_many_calls_at_a_time(at: Start, options: tuple[str, ...]) -> None:
    upstream = at(options)
    answers = await ended(asyncio.gather(*[call(upstream, "echo", {"n": n}) for n in range(50)]))
    assert [answer["structuredContent"]["n"] for answer in answers] == list(range(50))


async def test_the_server_asks_over_the_stream_of_the_call(at: Start) -> None:
    upstream = at(HANDSHAKE, capabilities=FORM)

    async def handler(method: str, params: JSON) -> dict[str, Any]:
        assert method == "elicitation/create"
        return {"action": "accept", "content": {"sure": params["message"] == "Sure?"}}

    upstream.on_request(handler)
    answer = await call(upstream, "ask")
    assert answer["structuredContent"] == {"action": "accept", "content": {"sure": True}}


async def test_a_refused_question_does_not_hang_the_call(at: Start) -> None:
    with pytest.raises(Answered):
        await call(at(HANDSHAKE, capabilities=FORM), "ask")


@each_era
async def test_a_changed_list_is_heard_and_read_again(at: Start, options: tuple[str, ...]) -> None:
    upstream, ear = at(options), Ear()
    upstream.on_notification(ear.notified)
    before = await ended(upstream.tools())
    assert await upstream.tools() is before
    await heard_after(upstream, ear, "grow")
    assert set(map(repr, ear.heard)) == {repr(("notifications/tools/list_changed", None))}
    assert len(await ended(upstream.tools())) > len(before)


async def heard_after(upstream: McpConnector, ear: Ear, tool: str) -> None:
    """Call until the listening stream, which opens beside the first requests, is there to bring what follows."""
    async with asyncio.timeout(BOUND):
        while not ear.heard:
            await call(upstream, tool)


async def test_a_stream_that_the_server_drops_is_resumed(at: Start) -> None:
    assert (await call(at(HANDSHAKE), "drop", {"n": 1}))["structuredContent"] == {"n": 1}


async def test_a_session_that_the_server_forgot_is_made_anew(at: Start, sdk: Sdk) -> None:
    upstream = at(HANDSHAKE)
    await call(upstream, "echo")
    async with httpx2.AsyncClient() as client:
        await client.get(f"{sdk(*HANDSHAKE)}/forget")
    with pytest.raises(NotSent):
        await call(upstream, "echo")
    assert (await call(upstream, "echo", {"n": 2}))["structuredContent"] == {"n": 2}


async def test_a_closed_session_is_gone_at_the_server(at: Start, sdk: Sdk) -> None:
    upstream = at(HANDSHAKE)
    session = (await call(upstream, "headers"))["structuredContent"]["mcp-session-id"]
    await ended(upstream.close())
    headers = {"mcp-session-id": session, "accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient() as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert (await client.post(f"{sdk(*HANDSHAKE)}/mcp", json=body, headers=headers)).status_code == 404


@every_server
async def test_a_time_out_leaves_the_outcome_unknown_and_the_connection_usable(
    at: Start, options: tuple[str, ...]
) -> None:
    upstream = at(options)
    await ended(upstream.start())
    with pytest.raises(OutcomeUnknown) as caught:
        await call(upstream, "never", timeout=0.2)
    assert caught.value.kind == "timeout"
    assert (await call(upstream, "echo", {"n": 1}))["structuredContent"] == {"n": 1}


async def test_the_headers_of_the_stateless_era(at: Start) -> None:
    upstream = at(STATELESS, headers={"Authorization": "Bearer abcdef-123456"})
    headers = (await call(upstream, "headers", headers={"Idempotency-Key": "k1"}))["structuredContent"]
    assert headers["mcp-method"] == "tools/call"
    assert headers["mcp-name"] == "headers"
    assert headers["mcp-protocol-version"] == "2026-07-28"
    assert headers["authorization"] == "Bearer abcdef-123456"
    assert headers["idempotency-key"] == "k1"
    assert "mcp-session-id" not in headers


async def test_arguments_that_the_schema_wants_in_headers_travel_there(at: Start) -> None:
    """Without them the server refuses the call; a value that no header can hold travels encoded."""
    upstream = at(STATELESS)
    for region in ("eu-1", "Zürich\n", " padded "):
        assert (await call(upstream, "echo", {"region": region}))["structuredContent"] == {"region": region}
