"""The transport of 2024-11-05: against a server of the SDK, and against one made of bytes that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from takeback.core.jsontext import JSON
from takeback.ports import Answered, NotSent, OutcomeUnknown
from takeback_tools.mcp.connector import McpConnector

from .ears import Ear, Start, ended, failure_of
from .raw_http import VERSION, Got, Handler, Raw, RawHttp, Reply, accepted, event, note

Sdk = Callable[..., str]

SSE = ("--mode", "sse")


@pytest.fixture
def at(reach: Start, sdk: Sdk) -> Start:
    def make(**settings: Any) -> McpConnector:
        return reach(f"{sdk(*SSE)}/sse", transport="sse", **settings)

    return make


async def call(upstream: McpConnector, name: str, arguments: Any = None, **options: Any) -> dict[str, Any]:
    return await ended(upstream.request("tools/call", {"name": name, "arguments": arguments or {}}, **options))


# --- The SDK's server ------------------------------------------------------------------------------------------------


async def test_tools_calls_progress_and_errors(at: Start) -> None:
    upstream, ear = at(), Ear()
    assert [tool.name for tool in await ended(upstream.tools())][:2] == ["echo", "steps"]
    assert (await call(upstream, "echo", {"n": 2**53 + 1}))["structuredContent"] == {"n": 2**53 + 1}
    await call(upstream, "steps", progress=ear.progress)
    assert [params["progress"] for params in ear.heard] == [1, 2, 3]
    with pytest.raises(Answered) as caught:
        await call(upstream, "broken")
    assert (caught.value.code, caught.value.data) == (-31999, {"deep": [1]})


async def test_many_calls_at_a_time(at: Start) -> None:
    upstream = at()
    answers = await ended(asyncio.gather(*[call(upstream, "echo", {"n": n}) for n in range(50)]))
    assert [answer["structuredContent"]["n"] for answer in answers] == list(range(50))


async def test_headers_of_the_settings_and_of_the_request_travel(at: Start) -> None:
    upstream = at(headers={"Authorization": "Bearer abcdef-123456"})
    await upstream.start()
    first, second = await ended(
        asyncio.gather(call(upstream, "headers", headers={"Idempotency-Key": "k1"}), call(upstream, "headers"))
    )
    assert first["structuredContent"]["authorization"] == "Bearer abcdef-123456"
    assert first["structuredContent"]["idempotency-key"] == "k1"
    assert "idempotency-key" not in second["structuredContent"]


async def test_the_server_asks_and_the_list_changes(at: Start) -> None:
    upstream, ear = at(capabilities={"elicitation": {"form": {}}}), Ear()
    upstream.on_notification(ear.notified)

    async def handler(method: str, params: JSON) -> dict[str, Any]:
        return {"action": "decline"}

    upstream.on_request(handler)
    assert (await call(upstream, "ask"))["structuredContent"]["action"] == "decline"
    before = await upstream.tools()
    await call(upstream, "grow")
    assert [method for method, _ in await ear.until(1)] == ["notifications/tools/list_changed"]
    assert len(await ended(upstream.tools())) == len(before) + 1


async def test_a_stream_that_ends_leaves_calls_unknown_and_is_opened_again(at: Start, sdk: Sdk) -> None:
    upstream = at()
    await ended(upstream.start())
    calls = [asyncio.create_task(call(upstream, "never")) for _ in range(3)]
    await call(upstream, "echo")
    async with httpx2.AsyncClient() as client:
        await client.get(f"{sdk(*SSE)}/hang-up")
    for failure in await ended(asyncio.gather(*calls, return_exceptions=True)):
        assert isinstance(failure, OutcomeUnknown)
        assert failure.kind == "lost"
    assert (await call(upstream, "echo", {"n": 1}))["structuredContent"] == {"n": 1}


async def test_a_time_out_leaves_the_outcome_unknown(at: Start) -> None:
    upstream = at()
    await ended(upstream.start())
    failure = await failure_of(call(upstream, "never", timeout=0.1))
    assert isinstance(failure, OutcomeUnknown)
    assert failure.kind == "timeout"
    assert (await call(upstream, "echo", {"n": 1}))["structuredContent"] == {"n": 1}


# --- A server that misbehaves ----------------------------------------------------------------------------------------


class OldServer:
    """Names an endpoint, answers over the stream, and takes what is posted."""

    def __init__(self, endpoint: str = "/post") -> None:
        self.endpoint = endpoint
        self.streams: list[Reply] = []

    async def listen(self, got: Got, reply: Reply) -> None:
        self.streams.append(reply)
        await reply.stream(f"event: endpoint\ndata: {self.endpoint}")
        await reply.hold()

    async def tell(self, message: Any) -> None:
        await self.streams[-1].events(event(message, event="message"))

    async def initialize(self, got: Got, reply: Reply) -> None:
        await accepted(got, reply)
        result = {"protocolVersion": VERSION, "capabilities": {}}
        await self.tell({"jsonrpc": "2.0", "id": got.message["id"], "result": result})

    async def echo(self, got: Got, reply: Reply) -> None:
        await accepted(got, reply)
        await self.tell({"jsonrpc": "2.0", "id": got.message["id"], "result": got.message.get("params") or {}})

    def handlers(self, **more: Handler) -> dict[str, Handler]:
        return {"GET": self.listen, "initialize": self.initialize, "echo": self.echo, **more}


@pytest.fixture
def old(reach: Start, raw: Raw) -> Callable[..., Awaitable[tuple[McpConnector, RawHttp, OldServer]]]:
    async def make(
        endpoint: str = "/post", settings: dict[str, Any] | None = None, **handlers: Handler
    ) -> tuple[McpConnector, RawHttp, OldServer]:
        fixture = OldServer(endpoint)
        server = await raw(**fixture.handlers(**handlers))
        return reach(server.url, transport="sse", **(settings or {})), server, fixture

    return make


Old = Callable[..., Awaitable[tuple[McpConnector, RawHttp, OldServer]]]


async def test_an_endpoint_elsewhere_is_refused(old: Old, raw: Raw) -> None:
    elsewhere = await raw()
    for endpoint in (elsewhere.url, "//127.0.0.2/x", "https://127.0.0.1/post"):
        upstream, _, _ = await old(endpoint, {"headers": {"Authorization": "Bearer abcdef-123456"}})
        with pytest.raises(NotSent, match="endpoint elsewhere"):
            await ended(upstream.start())
    assert elsewhere.got == []


async def test_an_endpoint_that_is_none_is_reported(old: Old) -> None:
    upstream, _, _ = await old("http://127.0.0.1:http/")
    with pytest.raises(NotSent, match="Invalid port"):
        await ended(upstream.start())


async def test_an_absolute_endpoint_of_the_same_origin_is_used(old: Old) -> None:
    upstream, server, fixture = await old()
    fixture.endpoint = f"http://127.0.0.1:{server.port}/post?session=1"
    assert await ended(upstream.request("echo", {"n": 1})) == {"n": 1}
    assert server.seen("echo")[0].path == "/post?session=1"


async def test_a_server_that_names_no_endpoint_is_given_up(old: Old) -> None:
    async def listens(got: Got, reply: Reply) -> None:
        await reply.stream(": nothing")
        await reply.hold()

    upstream, _, _ = await old(settings={"start_timeout": 0.2}, GET=listens)
    with pytest.raises(NotSent, match=r"named no endpoint within 0\.2 s"):
        await ended(upstream.start())


async def test_a_refusal_of_the_stream_is_reported(old: Old) -> None:
    async def refuses(got: Got, reply: Reply) -> None:
        await reply.status("401 Unauthorized")

    upstream, _, _ = await old(GET=refuses)
    with pytest.raises(NotSent, match="401"):
        await ended(upstream.start())


async def test_initialized_arrives_before_what_follows(old: Old) -> None:
    order: list[str] = []

    async def late(got: Got, reply: Reply) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        order.append(got.what)
        await accepted(got, reply)

    upstream, server, fixture = await old(notifications__initialized=late)

    async def noted(got: Got, reply: Reply) -> None:
        order.append(got.what)
        await fixture.echo(got, reply)

    await ended(upstream.start())
    server.handlers["echo"] = noted
    await ended(upstream.request("echo", {}))
    assert order == ["notifications/initialized", "echo"]


@pytest.mark.parametrize(
    ("status", "kind"), [("500 Oops", OutcomeUnknown), ("413 Long", Answered), ("429 Slow", Answered)]
)
async def test_what_a_refused_post_means(old: Old, status: str, kind: type[Exception]) -> None:
    async def refuses(got: Got, reply: Reply) -> None:
        await reply.status(status)

    upstream, _, _ = await old(x__do=refuses)
    assert type(await failure_of(upstream.request("x/do", {}))) is kind
    assert await ended(upstream.request("echo", {"n": 1})) == {"n": 1}


async def test_a_post_whose_connection_breaks_leaves_only_its_own_outcome_unknown(old: Old) -> None:
    async def reset(got: Got, reply: Reply) -> None:
        reply.reset()

    upstream, server, fixture = await old(x__do=reset, later=accepted)
    call = asyncio.create_task(upstream.request("later", {}))
    later = (await server.until("later"))[0]
    failure = await failure_of(upstream.request("x/do", {}))
    assert isinstance(failure, OutcomeUnknown)
    await fixture.tell({"jsonrpc": "2.0", "id": later.message["id"], "result": {"n": 1}})
    assert await ended(call) == {"n": 1}


async def test_a_session_that_the_server_forgot_is_made_anew(old: Old) -> None:
    async def forgets(got: Got, reply: Reply) -> None:
        await reply.status("404 Not Found")

    upstream, server, _ = await old(x__do=forgets)
    assert isinstance(await failure_of(upstream.request("x/do", {})), NotSent)
    assert await ended(upstream.request("echo", {"n": 1})) == {"n": 1}
    assert len(server.seen("GET")) == 2


async def test_an_answer_of_ours_that_is_refused_is_not_taken_for_a_request(old: Old) -> None:
    async def refuses(got: Got, reply: Reply) -> None:
        await reply.status("400 Bad Request")

    upstream, server, fixture = await old(later=accepted, answer=refuses)
    call = asyncio.create_task(upstream.request("later", {}))
    number = (await server.until("later"))[0].message["id"]
    await fixture.tell({"jsonrpc": "2.0", "id": number, "method": "ping"})
    await server.until("answer")
    await ended(upstream.request("echo", {}))
    await fixture.tell({"jsonrpc": "2.0", "id": number, "result": {"n": 1}})
    assert await ended(call) == {"n": 1}


async def test_a_caller_that_gives_up_tells_the_server(old: Old) -> None:
    upstream, server, _ = await old(later=accepted)
    call = asyncio.create_task(upstream.request("later", {}))
    number = (await server.until("later"))[0].message["id"]
    call.cancel()
    assert (await server.until("notifications/cancelled"))[0].message["params"]["requestId"] == number


async def test_noise_and_malformed_replies(old: Old) -> None:
    upstream, server, fixture = await old(later=accepted)
    upstream.on_notification((ear := Ear()).notified)
    call = asyncio.create_task(upstream.request("later", {}))
    number = (await server.until("later"))[0].message["id"]
    noise: list[Any] = ["no json", [], 5, note("notifications/message", n=1)]
    for message in noise:
        await fixture.tell(message)
    await fixture.tell({"jsonrpc": "2.0", "id": number, "result": "text"})
    failure = await failure_of(call)
    assert isinstance(failure, OutcomeUnknown)
    assert failure.kind == "malformed"
    assert await ear.until(1) == [("notifications/message", {"n": 1})]


async def test_close_ends_calls_in_flight(old: Old) -> None:
    upstream, server, _ = await old(later=accepted)
    call = asyncio.create_task(upstream.request("later", {}))
    await server.until("later")
    await ended(upstream.close(), 5.0)
    assert isinstance(await failure_of(call), OutcomeUnknown)
    assert isinstance(await failure_of(upstream.request("echo", {})), NotSent)
