"""Checkpoints as resources, on stdio and over HTTP, in both eras: the run's own, beside those of the upstreams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from takeback.mcp.exchange import trace_of

from .conftest import POLICY, World
from .test_http import BOUND, client_of, serving, told
from .test_passing import BIG, RICH_POLICY

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
NOTES = {"name": "half-way", "summary": "The first is done.\nTwo are left.", "state": {"left": [2]}, "next": ["do 2"]}
OFFERED = 'agent_tools = ["checkpoint"]\ntrace_link = "https://traces.example/t/{trace}"'
LEAN = POLICY.replace('user = "agent"', f'user = "agent"\n{OFFERED}')
RICH = RICH_POLICY.replace("[defaults]", f"[defaults]\n{OFFERED}")
CLAIMING = RICH.replace('"RICH"]', '"RICH", "--claims", "JOURNAL"]')
NOT_THERE = (
    "takeback://checkpoints/c1",
    "takeback://checkpoints/",
    "takeback://checkpoints/../c1",
    "takeback://other",
    "TAKEBACK://checkpoints/c1",
    "takeback:mem://one",
)
UPDATED = "notifications/resources/updated"
CHANGED = "notifications/resources/list_changed"


@pytest.fixture(params=["stdio", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Place:
    """A guard and its clients by one transport, in one era."""

    def __init__(self, world: World, era: str, transport: str) -> None:
        self.world, self.era, self.transport = world, era, transport

    @asynccontextmanager
    async def client(self, policy: str = LEAN) -> AsyncIterator[Any]:
        """A guard by this policy, and one client."""
        self.world.write(policy)
        if self.transport == "stdio":
            async with self.world.guard(stateless=self.era == "stateless") as client:
                yield client
            return
        async with serving(self.world) as (url, _), client_of(url, self.era) as client:
            yield client

    @property
    def missing(self) -> int:
        """The protocol's own word for a resource that is not there."""
        return -32602 if self.era == "stateless" else -32002


@pytest.fixture
def place(world: World, era: str, transport: str) -> Place:
    return Place(world, era, transport)


async def keep(client: Any, **more: Any) -> str:
    """Make a checkpoint; returns its URI."""
    meta = more.pop("_meta", {})
    made = await client.call("takeback_checkpoint", {**NOTES, **more}, _meta=meta)
    return f"takeback://checkpoints/{made['_meta']['io.takeback/checkpoint']}"


async def listed(client: Any, method: str = "resources/list", **params: Any) -> list[Any]:
    """All pages."""
    found: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await client.send(method, {**params, **cursor}))["result"]
        found += page[{"resources/list": "resources"}.get(method, "resourceTemplates")]
        if "nextCursor" not in page:
            return found
        cursor = {"cursor": page["nextCursor"]}


async def test_a_checkpoint_is_listed_and_read(place: Place) -> None:
    async with place.client() as client:
        run: dict[str, Any] = {"_meta": {"io.takeback/run": "r-one"}}
        done = (await client.call("set", {"key": "a", "value": 1}, **run))["_meta"]["io.takeback/action"]
        older = await keep(client, name="older", **run)
        uri = await keep(client, _meta={**run["_meta"], **TRACED})
        found = await listed(client, **run)
        read = (await client.send("resources/read", {"uri": uri, **run}))["result"]["contents"]
    assert [one["uri"] for one in found] == [uri, older]
    assert (found[0]["name"], found[0]["mimeType"]) == ("half-way", "application/json")
    assert found[0]["title"] == found[0]["description"] == "The first is done. Two are left."
    assert [(one["uri"], one["mimeType"]) for one in read] == [(uri, "application/json"), (uri, "text/plain")]
    body = json.loads(read[0]["text"])
    assert (body["name"], body["run"], body["completed"], body["pending"]) == ("half-way", "r-one", [done], [])
    assert (body["summary"], body["state"], body["next"]) == (NOTES["summary"], NOTES["state"], NOTES["next"])
    assert body["last_verified"] == body["verified"][0]["at"]
    assert body["recovery"] == {"mode": "undo", "instructions": 'takeback_undo with what="since half-way"'}
    assert (body["trace"], body["trace_link"]) == (TRACE, f"https://traces.example/t/{TRACE}")
    assert f"Trace: {TRACE} (https://traces.example/t/{TRACE})." in read[1]["text"]


def test_a_trace_longer_than_any_is_none() -> None:
    assert trace_of(TRACED) == TRACE
    assert trace_of({"traceparent": f"00-{'a' * 100_000}-00f067aa0ba902b7-01"}) is None


async def test_tools_and_resources_of_one_connection_are_of_one_run(world: World, era: str) -> None:
    world.write(LEAN)
    async with world.guard(stateless=era == "stateless") as client:
        uri = await keep(client)
        assert [one["uri"] for one in await listed(client)] == [uri]


async def test_the_template_is_offered_and_its_blank_completed(place: Place) -> None:
    async with place.client(CLAIMING) as client:
        own, theirs = await listed(client, "resources/templates/list")
        uri = await keep(client)
        asked = {"ref": {"type": "ref/resource", "uri": own["uriTemplate"]}, "argument": {"name": "id", "value": "c"}}
        completed = (await client.send("completion/complete", asked))["result"]["completion"]
        asked["argument"] = {"name": "id", "value": "x"}
        none = (await client.send("completion/complete", asked))["result"]["completion"]
    assert own["uriTemplate"] == "takeback://checkpoints/{id}"
    assert (theirs["uriTemplate"], theirs["x-unknown"]) == ("mem://{id}", BIG)
    assert completed == {"values": [uri.rpartition("/")[2]], "hasMore": False}
    assert none["values"] == []


async def test_another_runs_checkpoint_is_not_there(place: Place) -> None:
    async with place.client() as client:
        uri = await keep(client, _meta={"io.takeback/run": "r-one"})
        other: dict[str, Any] = {"_meta": {"io.takeback/run": "r-two"}}
        assert await listed(client, **other) == []
        error = (await client.send("resources/read", {"uri": uri, **other}))["error"]
        assert (error["code"], error["data"]) == (place.missing, {"uri": uri})
        stolen = {"cursor": f"takeback:after:{uri.rpartition('/')[2]}", **other}
        assert (await client.send("resources/list", stolen))["error"]["code"] == -32602


async def test_another_tenants_checkpoint_is_not_there(world: World) -> None:
    run: dict[str, Any] = {"_meta": {"io.takeback/run": "r-one"}}
    world.write(LEAN)
    async with world.guard() as client:
        uri = await keep(client, **run)
        assert "result" in await client.send("resources/read", {"uri": uri, **run})
    world.write(LEAN.replace('tenant = "acme"', 'tenant = "zeta"'))
    async with world.guard() as client:
        assert await listed(client, **run) == []
        assert (await client.send("resources/read", {"uri": uri, **run}))["error"]["code"] == -32002


async def test_what_is_not_there_is_said_by_the_guard_and_asked_of_nobody(place: Place) -> None:
    async with place.client(CLAIMING) as client:
        for uri in NOT_THERE:
            error = (await client.send("resources/read", {"uri": uri}))["error"]
            assert (error["code"], error["data"]) == (place.missing, {"uri": uri})
            assert error["message"].startswith("Resource not found: ")
    assert place.world.effects() == []


async def test_an_upstream_that_claims_our_names_is_not_heard(place: Place) -> None:
    """Its resources of such names are not listed, not read, and what it tells of them reaches nobody."""
    async with place.client(CLAIMING) as client:
        uri = await keep(client)
        assert [one["uri"] for one in await listed(client)] == [uri, "mem://one", "mem://last"]
        read = (await client.send("resources/read", {"uri": uri}))["result"]["contents"]
        assert json.loads(read[0]["text"])["name"] == "half-way"
        if place.transport == "stdio" and place.era == "handshake":
            await client.call("touch")
            await client.until(lambda: {"notifications/message", UPDATED} <= {*methods(client)})
            await client.call("touch")
            await client.until(lambda: methods(client).count(UPDATED) > 1)
            assert {m["params"]["uri"] for m in client.told if m["method"] == UPDATED} == {"mem://one"}


async def test_what_the_upstreams_have_stays_as_it_is(place: Place) -> None:
    async with place.client(RICH) as client:
        own = await keep(client)
        found = (await client.send("resources/list"))["result"]
        read = (await client.send("resources/read", {"uri": "mem://one"}))["result"]
        error = (await client.send("resources/read", {"uri": "mem://two"}))["error"]
    assert [one["uri"] for one in found["resources"]] == [own, "mem://one"]
    assert found["resources"][1]["x-unknown"] == BIG
    assert read["contents"] == [{"uri": "mem://one", "text": "content", "x-unknown": BIG}]
    assert (error["code"], error["data"]) == (-32002, {"uri": "mem://two"})


async def test_how_long_an_upstreams_list_may_be_kept_says_nothing_of_ours(world: World) -> None:
    world.write(CLAIMING)
    async with world.guard(stateless=True) as client:
        first = (await client.send("resources/list"))["result"]
        second = (await client.send("resources/list", {"cursor": first["nextCursor"]}))["result"]
    assert (first["ttlMs"], first["cacheScope"]) == (0, "private")
    assert (second["ttlMs"], second["cacheScope"]) == (60000, "public")


async def test_a_long_list_comes_page_by_page_and_the_upstreams_last(world: World) -> None:
    world.write(CLAIMING)
    async with world.guard() as client:
        made = [await keep(client, name=f"n{number}") for number in range(53)]
        first = (await client.send("resources/list"))["result"]
        await keep(client, name="later")  # between two pages: neither twice nor left out
        rest = await listed(client, cursor=first["nextCursor"])
        strange = await client.send("resources/list", {"cursor": "takeback:after:zzz"})
    assert len(first["resources"]) == 50
    assert [one["uri"] for one in [*first["resources"], *rest]] == [*made[::-1], "mem://one", "mem://last"]
    assert strange["error"]["code"] == -32602


async def test_without_the_tool_what_passes_through_is_as_it_was(place: Place) -> None:
    """An upstream's own `takeback://` is its own then."""
    async with place.client(CLAIMING.replace(OFFERED, "")) as client:
        found = (await client.send("resources/list"))["result"]
        read = (await client.send("resources/read", {"uri": "takeback://checkpoints/c1"}))["result"]
        templates = await listed(client, "resources/templates/list")
    assert [one["uri"] for one in found["resources"]] == ["mem://one", "takeback://checkpoints/c1"]
    assert found["nextCursor"] == "takeback:after:theirs"
    assert read["contents"][0]["text"] == "forged"
    assert place.world.effects() == [["resources/read", "takeback://checkpoints/c1"]]
    assert [one["uriTemplate"] for one in templates] == ["mem://{id}", "takeback://checkpoints/{id}"]


async def test_without_the_tool_the_guard_has_no_resources(world: World, era: str) -> None:
    async with world.guard(stateless=era == "stateless") as client:
        found = await client.send("resources/list")
        read = await client.send("resources/read", {"uri": "takeback://checkpoints/c1"})
    assert (found["error"]["code"], read["error"]["code"]) == (-32601, -32601)


@pytest.mark.parametrize(("policy", "declared"), [(LEAN, True), (POLICY, False)])
async def test_the_capability_is_declared_where_only_the_guard_has_resources(
    world: World, era: str, policy: str, declared: bool
) -> None:
    world.write(policy)
    async with world.guard(stateless=era == "stateless") as client:
        found = (await client.handshake())["capabilities"]
    assert ("resources" in found) is declared
    assert not declared or found["resources"]["listChanged"] is True


async def test_over_http_it_is_declared_that_changes_are_told(world: World) -> None:
    world.write(LEAN)
    async with serving(world) as (url, _), client_of(url, "handshake") as client:
        info = {"name": "bare", "version": "1"}
        asked = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        client.headers.pop("mcp-session-id")
        found = (await client.send("initialize", asked))["result"]["capabilities"]
    assert found["resources"] == {"subscribe": False, "listChanged": True}
    assert found["tools"] == {"listChanged": True}


async def test_a_client_on_stdio_hears_of_a_new_one(world: World, era: str) -> None:
    world.write(LEAN)
    async with world.guard(stateless=era == "stateless") as client:
        if client.stateless:
            _ = client.begin("subscriptions/listen", {"notifications": {"resourcesListChanged": True}})
            await client.until(lambda: "notifications/subscriptions/acknowledged" in methods(client))
        await client.call("set", {"key": "a", "value": 1})
        assert CHANGED not in methods(client)
        await keep(client)
        await client.until(lambda: CHANGED in methods(client))


def methods(client: Any) -> list[str]:
    return [message["method"] for message in client.told]


async def test_a_client_over_http_hears_of_a_new_one(world: World, era: str) -> None:
    """In the answer to its call in the handshake era, where it listens in the stateless one; nobody else does."""
    world.write(LEAN)
    async with serving(world) as (url, _), client_of(url, era) as client:
        call = {"name": "takeback_checkpoint", "arguments": NOTES}
        headers = {**client.headers, **client.era_headers("tools/call", call)}
        if not client.stateless:
            async with client.http.stream(
                "POST", url, content=json.dumps(client.body("tools/call", call)).encode(), headers=headers
            ) as stream:
                await told(stream.aiter_lines(), CHANGED)
            return
        wanted = {"notifications": {"resourcesListChanged": True}}
        listening = client.http.stream(
            "POST", url, content=json.dumps(client.body("subscriptions/listen", wanted)).encode(),
            headers={**client.headers, **client.era_headers("subscriptions/listen", wanted)}, timeout=BOUND,
        )  # fmt: skip
        async with listening as stream:
            lines = stream.aiter_lines()
            await told(lines, "notifications/subscriptions/acknowledged")
            await client.call("takeback_checkpoint", dict(NOTES))
            await told(lines, CHANGED)


async def test_one_that_cannot_be_made_is_told_of_to_nobody(world: World) -> None:
    world.write(LEAN)
    async with world.guard() as client:
        result = await client.call("takeback_checkpoint", {**NOTES, "state": {"text": "x" * 20_000}})
        await client.call("echo", {})
    assert result["isError"]
    assert CHANGED not in methods(client)


async def test_subscribing_to_one_asks_nobody_and_promises_nothing(world: World, era: str) -> None:
    world.write(CLAIMING)
    async with world.guard(stateless=era == "stateless") as client:
        uri = await keep(client)
        if client.stateless:
            _ = client.begin("subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri, "mem://one"]}})
            await client.until(lambda: "notifications/subscriptions/acknowledged" in methods(client))
        else:
            assert (await client.send("resources/subscribe", {"uri": uri}))["result"] == {}
            assert (await client.send("resources/unsubscribe", {"uri": uri}))["result"] == {}
            error = (await client.send("resources/subscribe", {"uri": "takeback://checkpoints/none"}))["error"]
            assert error["code"] == -32002
        await client.send("completion/complete", {"ref": {"type": "ref/resource", "uri": uri}, "argument": {}})
    assert world.effects() == []
