"""What passes the guard unguarded."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from takeback.core.freezing import Freeze, FreezeKind
from takeback.ledger import open_ledger

from .conftest import Guarding, World

RICH_POLICY = """
[ledger]
url = "sqlite+aiosqlite:///${STATE}/takeback.db"
[defaults]
unknown_tools = "allow"
[upstream.rich]
command = "PYTHON"
args = ["RICH"]
[[rule]]
tool = "rich.touch"
class = "read_only"
"""

TWO_POLICY = (
    RICH_POLICY
    + """
[upstream.lean]
command = "PYTHON"
args = ["LEAN"]
"""
)

BIG = 2**70


@pytest.fixture
def rich(world: World) -> World:
    world.write(RICH_POLICY)
    return world


@pytest.mark.parametrize(
    ("method", "params", "path"),
    [
        ("resources/list", {}, ("resources", 0, "x-unknown")),
        ("resources/templates/list", {}, ("resourceTemplates", 0, "x-unknown")),
        ("resources/read", {"uri": "mem://one"}, ("contents", 0, "x-unknown")),
        ("prompts/list", {}, ("prompts", 0, "arguments", 0, "x-unknown")),
        ("prompts/get", {"name": "greet"}, ("messages", 0, "content", "x-unknown")),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "a"}},
            ("completion", "x-unknown"),
        ),
    ],
)
async def test_requests_pass_with_unknown_fields_and_big_numbers(
    rich: World, guarding: Guarding, method: str, params: dict[str, object], path: tuple[str | int, ...]
) -> None:
    async with guarding() as client:
        found = (await client.send(method, params))["result"]
    for step in path:
        found = found[step]
    assert found == BIG


async def test_their_errors_keep_code_and_data(rich: World, guarding: Guarding) -> None:
    async with guarding() as client:
        error = (await client.send("resources/read", {"uri": "mem://two"}))["error"]
    assert (error["code"], error["data"]) == (-32002, {"uri": "mem://two"})


async def frozen(world: World, *, reads: bool) -> None:
    ledger = await open_ledger(f"sqlite+aiosqlite:///{world.folder}/takeback.db")
    said = {"since": datetime.now(UTC), "frozen_by": "anna", "reason": "it leaks"}
    named = {"id": "z1", "tenant": "default", "kind": FreezeKind.UPSTREAM, "name": "rich"}
    await ledger.freeze(Freeze(reads=reads, **named, **said))  # type: ignore[arg-type]
    await ledger.close()


@pytest.mark.parametrize("policy", [RICH_POLICY, TWO_POLICY])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/list", {}),
        ("resources/read", {"uri": "mem://one"}),
        ("prompts/get", {"name": "greet"}),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "a"}},
        ),
    ],
)
async def test_nothing_passes_of_an_upstream_whose_reads_are_frozen(
    world: World, policy: str, method: str, params: dict[str, object]
) -> None:
    world.write(policy)
    await frozen(world, reads=True)
    async with world.guard() as client:
        error = (await client.send(method, params))["error"]
    assert (error["code"], "it leaks" in error["message"], "thaw" in error["message"]) == (-32004, True, True)


async def test_what_only_reads_passes_while_writes_are_frozen(rich: World) -> None:
    await frozen(rich, reads=False)
    async with rich.guard() as client:
        assert "result" in await client.send("resources/read", {"uri": "mem://one"})


async def test_notifications_pass(rich: World) -> None:
    async with rich.guard() as client:
        await client.call("touch")
        await client.until(lambda: len(client.told) >= 2)
    assert {message["method"] for message in client.told} == {
        "notifications/resources/updated",
        "notifications/message",
    }
    assert all(message["params"]["x-unknown"] == BIG for message in client.told)


async def test_an_upstream_hears_that_nobody_wants_to_hear_of_a_resource_any_more(rich: World) -> None:
    async with rich.guard() as client:
        assert (await client.send("resources/subscribe", {"uri": "mem://one"}))["result"] == {}
        assert (await client.send("resources/unsubscribe", {"uri": "mem://one"}))["result"] == {"x-unknown": BIG}


async def test_a_changed_tool_list_is_told_and_shown(world: World) -> None:
    async with world.guard() as client:
        await client.call("grow")
        await client.until(lambda: any(m["method"] == "notifications/tools/list_changed" for m in client.told))
        names = [tool["name"] for tool in (await client.send("tools/list"))["result"]["tools"]]
    assert any(name.startswith("new_") for name in names)


async def test_several_upstreams_get_prefixes_and_requests_find_their_owner(world: World, guarding: Guarding) -> None:
    world.write(TWO_POLICY)
    async with guarding() as client:
        names = {tool["name"] for tool in (await client.send("tools/list"))["result"]["tools"]}
        read = (await client.send("resources/read", {"uri": "mem://one"}))["result"]
        called = await client.call("rich_touch")
    assert {"rich_touch", "lean_get", "takeback_undo"} <= names
    assert read["contents"][0]["text"] == "content"
    assert called["content"][0]["text"] == "touched"


async def test_a_method_that_nobody_serves_is_refused(world: World, guarding: Guarding) -> None:
    async with guarding() as client:
        answer = await client.send("resources/list")
    assert answer["error"]["code"] == -32601
    assert "Traceback" not in json.dumps(answer)


async def test_logging_levels_pass_and_nothing_is_said_on_stderr_about_it(rich: World) -> None:
    async with rich.guard() as client:
        told = await client.handshake()
        answer = await client.send("logging/setLevel", {"level": "debug"})
    assert "logging" in told["capabilities"]
    assert answer["result"] == {}
    assert b"Deprecat" not in client.stderr
