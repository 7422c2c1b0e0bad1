"""Sessions of streamable HTTP, and the headers that travel."""

from __future__ import annotations

import pytest

from takeback.ports import NotSent
from takeback_tools.mcp import http

from .ears import Start, ended
from .raw_http import Got, Raw, Reply, ask, opened, replies, silent

UNKNOWN = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Session not found"}}'


@pytest.mark.parametrize(("status", "body"), [("404 Not Found", UNKNOWN), ("404 Not Found", b""), ("400 Bad", UNKNOWN)])
async def test_a_session_that_the_server_ended_is_made_anew(reach: Start, raw: Raw, status: str, body: bytes) -> None:
    sessions = iter(["s1", "s2"])

    async def opens(got: Got, reply: Reply) -> None:
        await reply.result(got, {"protocolVersion": "2025-11-25", "capabilities": {}}, mcp_session_id=next(sessions))

    async def knows(got: Got, reply: Reply) -> None:
        if got.headers["mcp-session-id"] == "s2":
            await reply.result(got, {"session": "s2"})
        else:
            await reply.status(status, body)

    server = await raw(initialize=opens, x__do=knows)
    upstream = reach(server.url)
    with pytest.raises(NotSent, match="session"):
        await ask(upstream)
    assert await ask(upstream) == {"session": "s2"}
    assert "mcp-session-id" not in server.seen("initialize")[1].headers


async def test_a_session_is_deleted_at_the_end(reach: Start, raw: Raw) -> None:
    server = await raw(DELETE=replies("200 OK"))
    upstream = reach(server.url)
    await ask(upstream, "echo")
    await ended(upstream.close())
    assert [one.headers["mcp-session-id"] for one in server.seen("DELETE")] == ["s1"]


async def test_close_is_bounded_when_the_server_does_not_answer(
    reach: Start, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CLOSE_TIMEOUT", 0.1)
    server = await raw(DELETE=silent, GET=silent)
    upstream = reach(server.url)
    await ask(upstream, "echo")
    assert upstream._home._session is not None
    channel = upstream._home._session.channel
    assert isinstance(channel, http.HttpChannel)
    await ended(upstream.close(), 3.0)
    assert not channel._background


async def test_headers_of_the_settings_and_of_the_request_travel(reach: Start, raw: Raw) -> None:
    server = await raw(initialize=opened)
    upstream = reach(server.url, headers={"Authorization": "Bearer abcdef-123456", "Content-Type": "text/plain"})
    await ask(upstream, "echo", headers={"Idempotency-Key": "k1"})
    await ask(upstream, "echo")
    first, second = server.seen("echo")
    assert first.headers["idempotency-key"] == "k1"
    assert "idempotency-key" not in second.headers
    assert {one.headers["authorization"] for one in server.got} == {"Bearer abcdef-123456"}
    for one in (first, second, *server.seen("notifications/initialized")):
        assert one.headers["content-type"] == "application/json"
        assert one.headers["mcp-protocol-version"] == "2025-11-25"
        assert one.headers["mcp-session-id"] == "s1"
