"""Over HTTP: when nobody can say what became of a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from takeback.ports import NotSent, OutcomeUnknown
from takeback_tools.mcp import exchange, http
from takeback_tools.mcp.channel import Hooks
from takeback_tools.mcp.settings import McpSettings

from .ears import Start, ended
from .raw_http import Got, Raw, Reply, ask, event, replies, silent

INTERNAL = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"crashed"}}'


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Busy", "504 Late", "408 Late", "202 Accepted"])
@pytest.mark.parametrize("body", [b"", INTERNAL, b"<html>"])
async def test_a_status_that_says_nothing_about_the_deed(reach: Start, raw: Raw, status: str, body: bytes) -> None:
    server = await raw(x__do=replies(status, body))
    with pytest.raises(OutcomeUnknown) as caught:
        await ask(reach(server.url))
    assert caught.value.kind == "lost"


async def test_a_reset_after_the_request_disturbs_no_other_call(reach: Start, raw: Raw) -> None:
    go = asyncio.Event()

    async def reset(got: Got, reply: Reply) -> None:
        reply.reset()

    async def later(got: Got, reply: Reply) -> None:
        await go.wait()
        await reply.result(got, {"late": got.message["params"]})

    async def streamed(got: Got, reply: Reply) -> None:
        await reply.stream()
        await go.wait()
        await reply.events(event({"jsonrpc": "2.0", "id": got.message["id"], "result": {"streamed": True}}))
        reply.close()

    server = await raw(x__do=reset, later=later, streamed=streamed)
    upstream = reach(server.url)
    beside = [asyncio.create_task(upstream.request(what, {"n": 1})) for what in ("later", "later", "streamed")]
    await server.until("later", 2)
    await server.until("streamed")
    with pytest.raises(OutcomeUnknown) as caught:
        await ask(upstream)
    assert caught.value.kind == "lost"
    go.set()
    assert await ended(asyncio.gather(*beside)) == [{"late": {"n": 1}}, {"late": {"n": 1}}, {"streamed": True}]
    assert len(server.seen("x/do")) == 1  # never sent a second time
    assert len(server.seen("initialize")) == 1


async def test_a_connection_that_ends_within_the_answer(reach: Start, raw: Raw) -> None:
    async def half(got: Got, reply: Reply) -> None:
        await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        reply.close()

    with pytest.raises(OutcomeUnknown) as caught:
        await ask(reach((await raw(x__do=half)).url))
    assert caught.value.kind == "lost"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>please log in</html>",
        b"",
        b"[]",
        b"5",
        b'{"jsonrpc":"2.0","id":$ID}',
        b'{"jsonrpc":"2.0","id":$ID,"result":"text"}',
        b'{"jsonrpc":"2.0","id":null,"result":{}}',
        b'{"jsonrpc":"2.0","id":[],"result":{}}',
        b'{"jsonrpc":"2.0","id":4711,"result":{}}',
        b'{"jsonrpc":"2.0","id":$ID,"method":"x","result":{}}',
        b"HTTP/1.1 nonsense",
    ],
)
async def test_an_answer_that_is_none(reach: Start, raw: Raw, body: bytes) -> None:
    server = await raw(x__do=replies("200 OK", body))
    with pytest.raises(OutcomeUnknown) as caught:
        await ask(reach(server.url))
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize("data", ["no json", '{"jsonrpc":"2.0","id":$ID,"result":[]}'])
async def test_an_answer_that_is_none_in_an_event_stream(reach: Start, raw: Raw, data: str) -> None:
    async def handler(got: Got, reply: Reply) -> None:
        await reply.stream(event(data.replace("$ID", json.dumps(got.message["id"]))))

    with pytest.raises(OutcomeUnknown) as caught:
        await ask(reach((await raw(x__do=handler)).url))
    assert caught.value.kind == "malformed"


async def test_what_is_no_http_at_all(reach: Start, raw: Raw) -> None:
    async def handler(got: Got, reply: Reply) -> None:
        await reply.raw(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    with pytest.raises(OutcomeUnknown):
        await ask(reach((await raw(x__do=handler)).url))


async def endless(got: Got, reply: Reply) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while True:
        await reply.raw(b"x" * 10_000)


async def endless_event(got: Got, reply: Reply) -> None:
    await reply.stream()
    while True:
        await reply.raw(b"data: " + b"x" * 10_000)


async def endless_refusal(got: Got, reply: Reply) -> None:
    await reply.raw(b"HTTP/1.1 400 No\r\ncontent-type: application/json\r\n\r\n")
    while True:
        await reply.raw(b"x" * 10_000)


@pytest.mark.parametrize("handler", [endless, endless_event, endless_refusal])
async def test_a_body_beyond_the_bound(
    reach: Start, raw: Raw, monkeypatch: pytest.MonkeyPatch, handler: Callable[[Got, Reply], Awaitable[None]]
) -> None:
    monkeypatch.setattr(exchange, "MAX_MESSAGE", 100_000)
    with pytest.raises(OutcomeUnknown) as caught:
        await ask(reach((await raw(x__do=handler)).url))
    assert caught.value.kind == "malformed"


async def trickling(got: Got, reply: Reply) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
    await reply.hold()


async def silent_stream(got: Got, reply: Reply) -> None:
    await reply.stream(": nothing yet")
    await reply.hold()


@pytest.mark.parametrize("handler", [silent, trickling, silent_stream])
async def test_a_time_out_leaves_the_outcome_unknown_and_tells_the_server(
    reach: Start, raw: Raw, handler: Callable[[Got, Reply], Awaitable[None]]
) -> None:
    server = await raw(x__do=handler)
    upstream = reach(server.url)
    await upstream.start()
    with pytest.raises(OutcomeUnknown, match=r"no answer to x/do within 0\.2 s") as caught:
        await ask(upstream, timeout=0.2)
    assert caught.value.kind == "timeout"
    told = (await server.until("notifications/cancelled"))[0].message
    assert told["params"]["requestId"] == server.seen("x/do")[0].message["id"]


async def test_a_caller_that_gives_up_tells_the_server(reach: Start, raw: Raw) -> None:
    server = await raw(x__do=silent)
    call = asyncio.create_task(reach(server.url).request("x/do", {}))
    await server.until("x/do")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await server.until("notifications/cancelled")


async def test_initialize_is_bounded_and_never_cancelled(reach: Start, raw: Raw) -> None:
    server = await raw(initialize=silent)
    with pytest.raises(NotSent, match=r"no answer to initialize within 0\.2 s"):
        await ask(reach(server.url, start_timeout=0.2))
    assert [one.what for one in server.got] == ["initialize"]
    alone = http.HttpChannel("far", McpSettings(url=server.url), Hooks())
    with pytest.raises(OutcomeUnknown):
        await alone.request("initialize", {}, timeout=0.05)
    assert not alone._background
    await ended(alone.close())


async def test_close_ends_calls_in_flight_with_an_unknown_outcome(reach: Start, raw: Raw) -> None:
    server = await raw(x__do=silent, streamed=silent_stream, resumable=resumable)
    upstream = reach(server.url)
    calls = [asyncio.create_task(upstream.request(what, {})) for what in ("x/do", "streamed", "resumable")]
    for what in ("x/do", "streamed", "resumable"):
        await server.until(what)
    await ended(upstream.close(), 5.0)
    for failure in await ended(asyncio.gather(*calls, return_exceptions=True)):
        assert isinstance(failure, OutcomeUnknown)
        assert failure.kind == "lost"
    with pytest.raises(NotSent):
        await ask(upstream)


async def resumable(got: Got, reply: Reply) -> None:
    await reply.stream("id: 7\ndata:")
    await reply.hold()


async def test_a_stream_that_ends_before_the_answer(reach: Start, raw: Raw) -> None:
    async def handler(got: Got, reply: Reply) -> None:
        await reply.stream(event({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}))
        reply.close()

    with pytest.raises(OutcomeUnknown, match="ended without the answer") as caught:
        await ask(reach((await raw(x__do=handler)).url))
    assert caught.value.kind == "lost"


async def breaks_off(got: Got, reply: Reply) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"n": 1}}
    await reply.stream(event(message, id=f"{got.message['id']}-1", retry=1))
    reply.close()


async def test_a_stream_that_breaks_off_is_resumed(reach: Start, raw: Raw) -> None:
    closed = asyncio.Event()

    async def rest(got: Got, reply: Reply) -> None:
        if "last-event-id" not in got.headers:
            await reply.status("405 Method Not Allowed")
            return
        number, part = got.headers["last-event-id"].split("-")
        if part == "1":
            await reply.stream(f"id: {number}-2\ndata:")
            reply.close()
            return
        await reply.stream(event({"jsonrpc": "2.0", "id": int(number), "result": {"resumed": True}}))
        await reply.gone()
        closed.set()

    server = await raw(x__do=breaks_off, GET=rest)
    upstream = reach(server.url)
    assert await ask(upstream) == {"resumed": True}
    await ended(closed.wait())
    resumed = [one for one in server.seen("GET") if "last-event-id" in one.headers]
    assert [one.headers["mcp-session-id"] for one in resumed] == ["s1", "s1"]
    assert len(server.seen("x/do")) == 1


@pytest.mark.parametrize("status", ["405 Method Not Allowed", "404 Not Found", "500 Oops", "307 There"])
async def test_a_stream_that_cannot_be_resumed(reach: Start, raw: Raw, status: str) -> None:
    server = await raw(x__do=breaks_off, GET=replies(status, location="http://127.0.0.1:1/"))
    with pytest.raises(OutcomeUnknown, match="ended without the answer") as caught:
        await ask(reach(server.url))
    assert caught.value.kind == "lost"


async def test_secrets_of_headers_are_in_no_failure(reach: Start, raw: Raw) -> None:
    async def leaks(got: Got, reply: Reply) -> None:
        await reply.status(f"500 {got.headers['authorization']} {got.headers['x-key']}")

    server = await raw(x__do=leaks)
    with pytest.raises(OutcomeUnknown) as caught:
        await ask(reach(server.url, headers={"Authorization": "Bearer abcdef-123456", "X-Key": "sesame-open"}))
    assert "abcdef" not in str(caught.value)
    assert "sesame" not in str(caught.value)
