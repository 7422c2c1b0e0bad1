"""The stateless era over HTTP, against a server made of bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from takeback.ports import NotSent, OutcomeUnknown
from takeback_tools.mcp import connection as connecting

from .ears import Start, ended
from .raw_http import INFO, Got, Raw, Reply, accepted, answer, event, note, streams

BEYOND = 12345678901234567890123


async def refused(got: Got, reply: Reply) -> None:
    error = {"code": -32022, "message": "Unsupported protocol version"}
    await reply.json({"jsonrpc": "2.0", "id": got.message["id"], "error": error}, "400 Bad Request")


async def discovered(got: Got, reply: Reply) -> None:
    result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "serverInfo": INFO}
    await reply.json(answer(got, **result))


async def listed(got: Got, reply: Reply) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "string", "x-mcp-header": "Id"}}}
    await reply.json(answer(got, tools=[{"name": "t", "inputSchema": schema}]))


async def no_such_method(got: Got, reply: Reply) -> None:
    error = {"code": -32601, "message": "Method not found"}
    await reply.json({"jsonrpc": "2.0", "id": got.message["id"], "error": error}, "404 Not Found")


STATELESS: dict[str, Any] = {
    "initialize": refused,
    "server__discover": discovered,
    "tools__list": listed,
    "tools__call": streams(answer),
    "subscriptions__listen": no_such_method,
}


async def test_a_stateless_server_gets_its_envelope_and_nothing_of_the_handshake(reach: Start, raw: Raw) -> None:
    server = await raw(**STATELESS)
    upstream = reach(server.url, capabilities={"elicitation": {}})
    await ended(upstream.request("tools/call", {"name": "t", "arguments": {"id": "7"}, "_meta": {"x": BEYOND}}))
    await server.until("subscriptions/listen")
    one = server.seen("tools/call")[0]
    meta = one.message["params"]["_meta"]
    assert meta["x"] == BEYOND
    assert meta["io.modelcontextprotocol/protocolVersion"] == "2026-07-28"
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {"elicitation": {}}
    assert one.headers["mcp-param-id"] == "7"
    assert not server.seen("notifications/initialized")
    assert not server.seen("GET")


async def test_the_list_of_tools_is_read_once_for_many_calls(reach: Start, raw: Raw) -> None:
    server = await raw(**STATELESS)
    upstream = reach(server.url)
    await ended(asyncio.gather(*[upstream.request("tools/call", {"name": "t"}) for _ in range(20)]))
    assert len(server.seen("tools/list")) == 1
    assert len(server.seen("tools/call")) == 20


async def test_a_call_is_not_sent_when_its_headers_cannot_be_known(reach: Start, raw: Raw) -> None:
    async def broken(got: Got, reply: Reply) -> None:
        await reply.status("502 Bad Gateway")

    server = await raw(**{**STATELESS, "tools__list": broken})
    with pytest.raises(NotSent, match="could not be listed"):
        await ended(reach(server.url).request("tools/call", {"name": "t"}))
    assert not server.seen("tools/call")


async def test_a_cancelled_call_of_the_stateless_era_is_told_by_the_closed_stream(reach: Start, raw: Raw) -> None:
    closed = asyncio.Event()

    async def waits(got: Got, reply: Reply) -> None:
        try:
            await reply.stream()
            while not reply.writer.transport.is_closing():
                await reply.events(": still here")
                await asyncio.sleep(0)
        finally:
            closed.set()

    server = await raw(**{**STATELESS, "tools__call": waits})
    with pytest.raises(OutcomeUnknown):
        await ended(reach(server.url).request("tools/call", {"name": "t"}, timeout=0.1))
    await ended(closed.wait())
    assert not server.seen("notifications/cancelled")


async def test_a_broken_stream_of_the_stateless_era_is_not_resumed(reach: Start, raw: Raw) -> None:
    async def breaks(got: Got, reply: Reply) -> None:
        await reply.stream(event(note("notifications/message"), id=1))
        reply.close()

    server = await raw(**{**STATELESS, "tools__call": breaks})
    with pytest.raises(OutcomeUnknown):
        await ended(reach(server.url).request("tools/call", {"name": "t"}))
    assert not server.seen("GET")


async def test_a_subscription_that_ended_is_made_again_and_the_list_read_anew(
    reach: Start, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "HOLD_OFF", (0.01, 0.02))

    async def listens(got: Got, reply: Reply) -> None:
        if len(server.seen("subscriptions/listen")) == 1:
            await server.until("tools/list")
            reply.reset()
        else:
            await reply.stream(": listening")
            await reply.hold()

    server = await raw(**{**STATELESS, "subscriptions__listen": listens})
    upstream = reach(server.url)
    await ended(upstream.tools())
    await server.until("subscriptions/listen", 2)
    await ended(upstream.tools())
    await ended(upstream.tools())
    assert len(server.seen("tools/list")) == 2


async def test_neither_handshake_nor_discovery(reach: Start, raw: Raw) -> None:
    server = await raw(initialize=refused, server__discover=no_such_method, notifications__initialized=accepted)
    with pytest.raises(NotSent, match="Unsupported protocol version"):
        await ended(reach(server.url).start())


async def test_a_server_of_versions_that_nobody_knows(reach: Start, raw: Raw) -> None:
    async def future(got: Got, reply: Reply) -> None:
        await reply.json(answer(got, supportedVersions=["2031-01-01"], capabilities={}))

    server = await raw(initialize=refused, server__discover=future)
    with pytest.raises(NotSent, match="2031-01-01"):
        await ended(reach(server.url).start())


async def test_a_refusal_that_is_not_about_the_handshake_is_passed_on(reach: Start, raw: Raw) -> None:
    async def unauthorized(got: Got, reply: Reply) -> None:
        await reply.status("401 Unauthorized")

    server = await raw(initialize=unauthorized)
    with pytest.raises(NotSent, match=r"401.*credentials"):
        await ended(reach(server.url).start())
    assert not server.seen("server/discover")
