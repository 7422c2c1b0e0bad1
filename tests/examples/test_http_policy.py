"""What the HTTP form's own protection is worth behind a guard, under faults, counted in its tables."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from desk.catalogue import OPERATIONS
from tests.examples.helpdesk_guarded import over_http
from tests.examples.helpdesk_http import PATIENCE, desk_api, tables
from tests.mcp.raw import RawClient, text_of

REFUND = {"invoice_id": "I-1001", "amount_cents": 5000}
HIGH = {"ticket_id": "T-182", "priority": "high"}


class World:
    """One desk with its faults, and a look at its tables past guard and API."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.faults = folder, folder / "faults.json"

    def plan(self, operation: str, mode: str, **more: Any) -> None:
        self.faults.write_text(json.dumps({operation: {"mode": mode, "once": True, **more}}))

    def refunds(self) -> list[int]:
        return [row["amount_cents"] for row in tables(self.db)["refunds"] if row["invoice_id"] == "I-1001"]

    def ticket(self) -> dict[str, Any]:
        (found,) = [row for row in tables(self.db)["tickets"] if row["ticket_id"] == "T-182"]
        return found

    @property
    def db(self) -> Path:
        return self.folder / "desk.db"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not holds():
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def status(answer: dict[str, Any]) -> str:
    return str(answer["_meta"]["io.takeback/status"])


LOST = [
    "reset_before",
    "reset_after",
    "busy_before",
    "busy_after",
    "error_before",
    "error_after",
    "truncated",
    "garbage",
]


async def test_a_refund_whose_reply_is_lost_is_paid_once_and_known(world: World) -> None:
    async with over_http(world.folder, world.faults) as agent:
        for cents, mode in enumerate(LOST, start=1000):
            refund = {"invoice_id": "I-1001", "amount_cents": cents}
            world.plan("issue_refund", mode)
            answer = await agent.call("issue_refund", refund)
            assert status(answer) == "succeeded", (mode, text_of(answer))
            assert answer["_meta"]["io.takeback/verified"] == "yes", mode
            assert world.faults.read_text() == "{}", mode
            again = await agent.call("issue_refund", refund)
            assert again["_meta"]["io.takeback/replayed"] is True, mode
            assert world.refunds().count(cents) == 1, mode


async def test_an_update_whose_reply_is_lost_is_made_once(world: World) -> None:
    async with over_http(world.folder, world.faults) as agent:
        for version, mode in enumerate(LOST, start=2):
            world.plan("update_ticket", mode)
            answer = await agent.call("update_ticket", {"ticket_id": "T-182", "subject": mode})
            assert status(answer) == "succeeded", (mode, text_of(answer))
            assert world.faults.read_text() == "{}", mode
            assert (world.ticket()["subject"], world.ticket()["version"]) == (mode, version)


async def test_a_process_that_dies_after_the_effect_is_asked_again_when_it_is_back(world: World) -> None:
    world.plan("issue_refund", "exit_after_commit")
    port = free_port()
    async with over_http(world.folder, world.faults, port=port) as agent:
        asking = asyncio.ensure_future(agent.call("issue_refund", REFUND))
        await until(lambda: world.refunds() == [5000])
        async with desk_api(world.db, port=port):
            answer = await asking
            assert status(answer) == "succeeded", text_of(answer)
    assert world.refunds() == [5000]


def overtake(world: World) -> None:
    by = {"name": "update_ticket", "arguments": {"ticket_id": "T-182", "priority": "urgent"}}
    world.plan("update_ticket", "overtaken", by=by)


async def test_a_write_that_is_overtaken_is_not_made(world: World) -> None:
    overtake(world)
    async with over_http(world.folder, world.faults) as agent:
        answer = await agent.call("update_ticket", HIGH)
        assert "Nothing was written" in text_of(answer)
        assert (world.ticket()["priority"], world.ticket()["version"]) == ("urgent", 2)


async def test_an_undo_that_is_overtaken_writes_nothing_and_then_leaves_the_conflict_to_people(world: World) -> None:
    async with over_http(world.folder, world.faults) as agent:
        done = (await agent.call("update_ticket", HIGH))["_meta"]["io.takeback/action"]
        overtake(world)
        assert "Nothing was written" in text_of(await undone(agent, done))
        assert (world.ticket()["priority"], world.ticket()["version"]) == ("urgent", 3)
        assert "changed by others since" in text_of(await undone(agent, done))
        assert (world.ticket()["priority"], world.ticket()["version"]) == ("urgent", 3)


async def undone(agent: RawClient, action: str) -> dict[str, Any]:
    asked = {"what": action, "reason": "a test"}
    preview: dict[str, Any] = await agent.call("takeback_undo", asked)
    confirm = preview["_meta"].get("io.takeback/confirm")
    return await agent.call("takeback_undo", {**asked, "confirm": confirm}) if confirm else preview


async def test_an_undo_says_that_it_was_conditional_by_not_saying_otherwise(world: World) -> None:
    async with over_http(world.folder) as agent:
        done = (await agent.call("update_ticket", HIGH))["_meta"]["io.takeback/action"]
        answer = await undone(agent, done)
        assert answer["_meta"]["io.takeback/outcome"] == "exact"
        assert "unconditioned" not in text_of(answer)


async def test_a_job_that_fails_is_a_failed_action(world: World) -> None:
    world.plan("job", "error_before")
    async with over_http(world.folder, world.faults) as agent:
        answer = await agent.call("write_report", {"tenant": "acme"})
        assert (answer["isError"], status(answer)) == (True, "failed"), text_of(answer)
        assert "job failed" in text_of(answer)
    assert [row["status"] for row in tables(world.db)["jobs"]] == ["done", "failed"]


async def test_the_tools_are_those_of_the_mcp_form(world: World) -> None:
    async with over_http(world.folder) as agent:
        offered = {tool["name"]: tool for tool in (await agent.send("tools/list"))["result"]["tools"]}
    assert {name for name in offered if not name.startswith("takeback_")} == set(OPERATIONS)
    for name, operation in OPERATIONS.items():
        arguments = offered[name]["inputSchema"]
        assert set(arguments["properties"]) == set(operation.arguments["properties"]), name
        assert set(arguments.get("required", [])) == set(operation.arguments["required"]), name
