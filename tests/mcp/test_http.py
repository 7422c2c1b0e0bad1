"""The face over streamable HTTP, in both eras, with bare HTTP requests."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from .conftest import World
from .raw import META, guard_command, text_of

BOUND = 30.0
CALL = {"name": "add", "arguments": {"key": "mails", "value": "hello"}}


class HttpClient:
    """Posts JSON-RPC. `headers` are sent with each request."""

    def __init__(self, url: str, *, stateless: bool, capabilities: dict[str, Any]) -> None:
        self.url, self.stateless, self.capabilities = url, stateless, capabilities
        self.http = httpx2.AsyncClient(timeout=BOUND)
        self.headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        self.number = 0

    def body(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.number += 1
        if self.stateless:
            envelope = {
                META + "protocolVersion": "2026-07-28",
                META + "clientInfo": {"name": "bare", "version": "1"},
                META + "clientCapabilities": self.capabilities,
            }
            params = {**params, "_meta": {**params.get("_meta", {}), **envelope}}
        return {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}

    def era_headers(self, method: str, params: dict[str, Any]) -> dict[str, str]:
        if not self.stateless:
            return {}
        naming = {"tools/call": "name", "resources/read": "uri"}.get(method)
        name = {"mcp-name": params[naming]} if naming is not None else {}
        return {"mcp-protocol-version": "2026-07-28", "mcp-method": method, **name}

    async def handshake(self) -> None:
        if self.stateless:
            return
        info = {"name": "bare", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": self.capabilities, "clientInfo": info}
        answer = await self.post(self.body("initialize", params))
        self.headers |= {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def post(self, body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(self.url, content=content, headers={**self.headers, **headers})

    async def send(self, method: str, params: dict[str, Any] | None = None, **headers: str) -> Any:
        given = params or {}
        response = await self.post(self.body(method, given), **self.era_headers(method, given), **headers)
        return messages(response)[-1]

    async def call(self, name: str, arguments: dict[str, Any] | None = None, **more: Any) -> Any:
        answer = await self.send("tools/call", {"name": name, "arguments": arguments or {}, **more})
        assert "result" in answer, answer
        return answer["result"]


def messages(response: httpx2.Response) -> list[Any]:
    """What a response holds, whether JSON or an event stream."""
    if response.headers["content-type"].startswith("application/json"):
        return [response.json()]
    return [
        json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line.startswith("data: {")
    ]


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A guard on HTTP: its address and its process."""
    process = await asyncio.create_subprocess_exec(
        *guard_command(world.policy), "--http", "0", env={**os.environ, **world.env}, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(BOUND):
            while (found := re.search(rb"http://[\d.:]+/mcp", await process.stderr.readline())) is None:
                assert process.returncode is None
        reading = asyncio.create_task(process.stderr.read())
        yield found[0].decode(), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), BOUND)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert b"Traceback" not in await reading


@asynccontextmanager
async def client_of(url: str, era: str, *, forms: bool = False) -> AsyncIterator[HttpClient]:
    client = HttpClient(url, stateless=era == "stateless", capabilities={"elicitation": {}} if forms else {})
    try:
        await client.handshake()
        yield client
    finally:
        await client.http.aclose()


@pytest.fixture
async def client(world: World, era: str) -> AsyncIterator[HttpClient]:
    async with serving(world) as (url, _), client_of(url, era) as found:
        yield found


async def test_reads_writes_and_undo(world: World, client: HttpClient) -> None:
    read = await client.call("echo", {"big": 2**70})
    await client.call("set", {"key": "a", "value": 1})
    changed = await client.call("set", {"key": "a", "value": 2})
    undone = await client.call("takeback_undo", {"reason": "wrong"})
    assert read["structuredContent"] == {"big": 2**70}
    assert read["x-unknown"] == 12345678901234567890123
    assert text_of(changed).endswith("a value 1 -> 2. Undo: exact.")
    assert "Undone, exactly" in text_of(undone)
    assert [effect[2] for effect in world.effects()] == [1, 2, 1]


async def test_errors_keep_code_and_data(client: HttpClient) -> None:
    answer = await client.send("tools/call", {"name": "misbehave", "arguments": {"how": "error"}})
    assert answer["error"] == {"code": -31999, "message": "custom", "data": {"deep": [1, {"x": 2}]}}


async def test_a_retry_with_a_new_request_id_has_one_effect(world: World, client: HttpClient) -> None:
    results = [await client.call("set", {"key": "a", "value": 1}) for _ in range(3)]
    assert len({result["_meta"]["io.takeback/action"] for result in results}) == 1
    assert world.effects() == [["set", "a", 1]]


async def test_a_run_is_named_by_header_or_meta(client: HttpClient) -> None:
    params = {"name": "set", "arguments": {"key": "a", "value": 1}}
    answer = await client.send("tools/call", params, **{"takeback-run": "r-one"})
    other = await client.call("set", {"key": "b", "value": 1}, _meta={"io.takeback/run": "r-two"})
    bad = await client.send("tools/call", params, **{"takeback-run": "no run/at all"})
    assert answer["result"]["_meta"]["io.takeback/run"] == "r-one"
    assert other["_meta"]["io.takeback/run"] == "r-two"
    assert "error" in bad


async def test_a_form_in_the_stateless_era(world: World) -> None:
    async with serving(world) as (url, _), client_of(url, "stateless", forms=True) as client:
        first = (await client.send("tools/call", CALL))["result"]
        (name,) = first["inputRequests"]
        answer = {"action": "accept", "content": {"decision": "approve"}}
        result = (await client.send("tools/call", {**CALL, "inputResponses": {name: answer}}))["result"]
    assert result["_meta"]["io.takeback/status"] == "succeeded"
    assert world.effects() == [["add", "mails", "hello"]]


async def test_a_form_in_the_handshake_era_comes_on_the_calls_own_stream(world: World) -> None:
    async with serving(world) as (url, _), client_of(url, "handshake", forms=True) as client:
        found: list[Any] = []
        body = json.dumps(client.body("tools/call", CALL)).encode()
        async with client.http.stream("POST", client.url, content=body, headers=client.headers) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                found.append(json.loads(line.removeprefix("data: ")))
                if found[-1].get("method") == "elicitation/create":
                    answer = {"action": "accept", "content": {"decision": "approve"}}
                    await client.post({"jsonrpc": "2.0", "id": found[-1]["id"], "result": answer})
    assert found[0]["params"]["message"].startswith("Approve lean.add on mails?")
    assert found[-1]["result"]["_meta"]["io.takeback/status"] == "succeeded"
    assert world.effects() == [["add", "mails", "hello"]]


async def test_a_key_named_twice_is_refused(world: World, client: HttpClient) -> None:
    body = json.dumps(client.body("tools/call", {"name": "set", "arguments": {"key": "a", "value": 1}}))
    twice = body.replace('"value": 1', '"value": 1, "key": "b"').encode()
    response = await client.post(twice, **client.era_headers("tools/call", {"name": "set"}))
    assert response.status_code == 400
    assert "twice" in response.text
    assert world.effects() == []


async def test_a_body_beyond_the_bound_is_refused(client: HttpClient) -> None:
    response = await client.post(b'{"x":"' + b"a" * (33 * 1024 * 1024) + b'"}')
    assert response.status_code == 413


async def test_another_host_name_is_refused(client: HttpClient) -> None:
    """A web page that points its own name at loopback must not reach the tools."""
    response = await client.post(client.body("tools/list", {}), host="evil.example")
    assert response.status_code in {400, 403, 421}
    foreign = await client.post(client.body("tools/list", {}), origin="http://evil.example")
    assert foreign.status_code in {400, 403}


async def test_a_disconnect_in_the_middle_leaves_a_record(world: World, client: HttpClient) -> None:
    body = json.dumps(client.body("tools/call", {"name": "set", "arguments": {"key": "a", "value": 1, "slow": 0.3}}))
    headers = {**client.headers, **client.era_headers("tools/call", {"name": "set"}), "takeback-run": "r-lost"}
    hasty = httpx2.AsyncClient(timeout=httpx2.Timeout(BOUND, read=0.15))
    with pytest.raises(httpx2.ReadTimeout):
        await hasty.post(client.url, content=body.encode(), headers=headers)
    await hasty.aclose()
    arguments = {"key": "a", "value": 1, "slow": 0.3}
    again = await client.call("set", arguments, _meta={"io.takeback/run": "r-lost"})
    assert again["_meta"]["io.takeback/status"] == "succeeded"
    assert world.effects() == [["set", "a", 1]]


async def test_the_process_stops_at_sigterm_with_a_client_connected(world: World) -> None:
    async with serving(world) as (url, process), client_of(url, "handshake") as client:
        await client.call("set", {"key": "a", "value": 1})
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), BOUND) == 0


async def test_a_changed_tool_list_reaches_an_open_stream(world: World, client: HttpClient) -> None:
    """On the session's own stream in the handshake era, by subscription in the stateless one."""
    if client.stateless:
        wanted = {"notifications": {"toolsListChanged": True}}
        opening = client.http.stream(
            "POST", client.url, content=json.dumps(client.body("subscriptions/listen", wanted)).encode(),
            headers={**client.headers, **client.era_headers("subscriptions/listen", wanted)},
        )  # fmt: skip
    else:
        opening = client.http.stream("GET", client.url, headers=client.headers)
    async with opening as stream, asyncio.timeout(BOUND):
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        if client.stateless:
            await told(lines, "notifications/subscriptions/acknowledged")
        growing = asyncio.create_task(client.call("grow"))
        await told(lines, "notifications/tools/list_changed")
        await growing
        names = [tool["name"] for tool in (await client.send("tools/list"))["result"]["tools"]]
    assert any(name.startswith("new_") for name in names)


async def told(lines: Any, method: str) -> None:
    """Read a stream up to a notification."""
    async for line in lines:
        if line.startswith("data: {") and json.loads(line.removeprefix("data: ")).get("method") == method:
            return
    raise AssertionError(f"the stream ended without {method}")
