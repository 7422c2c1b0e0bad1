"""What passes over streamable HTTP beside the answer: notifications, progress, and what the server asks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from takeback.core.jsontext import JSON
from takeback_tools.mcp import http
from takeback_tools.mcp.connector import McpConnector

from .ears import Ear, Start, ended
from .raw_http import Got, Raw, RawHttp, Reply, answer, event, note, streams

BEYOND = 12345678901234567890123


async def test_unknown_fields_big_integers_and_line_separators_are_intact(reach: Start, raw: Raw) -> None:
    async def streamed(got: Got, reply: Reply) -> None:
        await reply.stream(event(answer(got, **got.message["params"])))

    server = await raw(streamed=streamed)
    upstream = reach(server.url)
    params = {"big": BEYOND, "_meta": {"x": BEYOND}, "text": "\u2028\u2029\u0085\x0b\x0c\x1c\r\n", "x-new": [None]}
    for method in ("echo", "streamed"):
        assert await ended(upstream.request(method, params)) == params


async def test_an_event_stream_with_raw_line_separators_and_several_data_lines(reach: Start, raw: Raw) -> None:
    async def streamed(got: Got, reply: Reply) -> None:
        text = f'{{"jsonrpc":"2.0","id":{got.message["id"]},\ndata: "result":{{"text":"a\u2028b\u0085c"}}}}'
        await reply.stream(event(text, event="message"))

    server = await raw(streamed=streamed)
    assert await ended(reach(server.url).request("streamed", {})) == {"text": "a\u2028b\u0085c"}


async def test_what_does_not_belong_in_a_stream_is_passed_over(reach: Start, raw: Raw) -> None:
    odd: list[Any] = [5, [], '"text"', {"jsonrpc": "2.0"}, {"id": [], "result": {}}, {"id": {}, "method": 7}]
    other = [{"jsonrpc": "2.0", "id": 4711, "result": {}}, {"jsonrpc": "2.0", "id": [1], "method": "ping"}]
    server = await raw(x__do=streams(*[lambda _, one=one: one for one in (*odd, *other)], lambda got: answer(got, n=1)))
    assert await ended(reach(server.url).request("x/do", {})) == {"n": 1}


async def test_a_batch_holds_the_answer(reach: Start, raw: Raw) -> None:
    async def batch(got: Got, reply: Reply) -> None:
        await reply.json([note("notifications/message", n=1), answer(got, n=2)])

    server = await raw(
        batch=batch, streamed=streams(lambda got: [note("notifications/message", n=1), answer(got, n=3)])
    )
    upstream, ear = reach(server.url), Ear()
    upstream.on_notification(ear.notified)
    assert await ended(upstream.request("batch", {})) == {"n": 2}
    assert await ended(upstream.request("streamed", {})) == {"n": 3}
    assert await ear.until(2) == [("notifications/message", {"n": 1})] * 2


async def test_progress_goes_to_the_request_it_belongs_to(reach: Start, raw: Raw) -> None:
    go = asyncio.Event()

    def progress(got: Got) -> Any:
        return note("notifications/progress", progressToken=got.message["params"]["_meta"]["progressToken"], progress=1)

    async def elsewhere(got: Got, reply: Reply) -> None:
        await reply.stream(event(note("notifications/progress", progressToken=77, progress=9)), event(progress(got)))
        await go.wait()
        await reply.events(event(answer(got)))

    server = await raw(
        x__do=elsewhere, quiet=streams(lambda got: note("notifications/progress", progressToken=1), answer)
    )
    upstream, ear = reach(server.url), Ear()
    call = asyncio.create_task(upstream.request("x/do", {"_meta": {"progressToken": "foreign"}}, progress=ear.progress))
    await ear.until(1)
    await ended(upstream.request("quiet", {"_meta": {"progressToken": "foreign", "x": 1}}))
    go.set()
    await ended(call)
    assert ear.heard == [{"progress": 1}]
    assert server.seen("quiet")[0].message["params"]["_meta"] == {"x": 1}


async def test_progress_may_come_over_the_listening_stream(reach: Start, raw: Raw) -> None:
    told, go = asyncio.Event(), asyncio.Event()
    token: list[Any] = []

    async def calls(got: Got, reply: Reply) -> None:
        token.append(got.message["params"]["_meta"]["progressToken"])
        told.set()
        await go.wait()
        await reply.json(answer(got))

    async def listens(got: Got, reply: Reply) -> None:
        await reply.stream()
        await told.wait()
        await reply.events(event(note("notifications/progress", progressToken=token[0], progress=1)))
        await reply.hold()

    server = await raw(x__do=calls, GET=listens)
    ear = Ear()
    call = asyncio.create_task(reach(server.url).request("x/do", {}, progress=ear.progress))
    assert await ear.until(1) == [{"progress": 1}]
    go.set()
    await ended(call)


async def test_the_listening_stream_is_opened_again_where_it_ended(
    reach: Start, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LISTEN_PAUSE", (0.01, 0.05))

    async def listens(got: Got, reply: Reply) -> None:
        tried = len(server.seen("GET"))
        if tried == 2:
            reply.reset()
            return
        await reply.stream(event(note("notifications/message", n=tried), id=f"e{tried}"))
        if tried == 1:
            reply.close()
        else:
            await reply.hold()

    server = await raw(GET=listens)
    upstream, ear = reach(server.url), Ear()
    upstream.on_notification(ear.notified)
    await upstream.start()
    assert [params["n"] for _, params in await ear.until(2)] == [1, 3]
    assert [one.headers.get("last-event-id") for one in server.seen("GET")] == [None, "e1", "e1"]
    assert {one.headers["mcp-session-id"] for one in server.seen("GET")} == {"s1"}


async def test_a_server_without_a_listening_stream_is_asked_once(
    reach: Start, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LISTEN_PAUSE", (0.0, 0.0))
    server = await raw()
    upstream = reach(server.url)
    await ended(upstream.request("echo", {}))
    await server.until("GET")
    for _ in range(5):
        await ended(upstream.request("echo", {}))
    assert len(server.seen("GET")) == 1


# --- What the server asks --------------------------------------------------------------------------------------------


async def asked(reach: Start, raw: Raw, question: dict[str, Any], *, over: str) -> tuple[McpConnector, RawHttp]:
    """A server that asks over the stream of a call or over the listening one, and a call that waits at it."""

    async def asks(got: Got, reply: Reply) -> None:
        await reply.stream(event(question))
        await reply.hold()

    server = await raw(**{over: asks})
    return reach(server.url), server


@pytest.mark.parametrize("over", ["x__do", "GET"])
async def test_a_question_is_answered_by_the_handler(reach: Start, raw: Raw, over: str) -> None:
    upstream, server = await asked(
        reach, raw, {"jsonrpc": "2.0", "id": "q", "method": "roots/list", "params": {"n": BEYOND}}, over=over
    )

    async def handler(method: str, params: JSON) -> dict[str, Any]:
        return {"method": method, **params}

    upstream.on_request(handler)
    call = asyncio.create_task(upstream.request("x/do" if over == "x__do" else "echo", {}))
    reply = (await server.until("answer"))[0]
    assert reply.message == {"jsonrpc": "2.0", "id": "q", "result": {"method": "roots/list", "n": BEYOND}}
    assert reply.headers["mcp-session-id"] == "s1"
    call.cancel()


async def test_a_question_is_refused_without_a_handler_and_a_ping_answered(reach: Start, raw: Raw) -> None:
    for question, expected in (("elicitation/create", -32601), ("ping", None)):
        upstream, server = await asked(reach, raw, {"jsonrpc": "2.0", "id": 3, "method": question}, over="x__do")
        call = asyncio.create_task(upstream.request("x/do", {}))
        message = (await server.until("answer"))[0].message
        assert message["error"]["code"] == expected if expected else message["result"] == {}
        call.cancel()


async def test_the_server_can_take_its_question_back(reach: Start, raw: Raw) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def handler(method: str, params: JSON) -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return {}

    async def asks(got: Got, reply: Reply) -> None:
        await reply.stream(event({"jsonrpc": "2.0", "id": 3, "method": "elicitation/create", "params": {}}))
        await begun.wait()
        await reply.events(event(note("notifications/cancelled", requestId=3)), event(answer(got)))

    server = await raw(x__do=asks)
    upstream = reach(server.url)
    upstream.on_request(handler)
    await ended(upstream.request("x/do", {}))
    await ended(stopped.wait())
    assert server.seen("answer") == []
