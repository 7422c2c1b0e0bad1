"""A write that is conditional on what was read: nobody's edit is lost between the read and the write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from takeback.core.results import VERSION
from takeback.core.vocabulary import Status
from takeback.ports import Changed, OutcomeUnknown
from takeback.testing import GuardForTests, MemoryTools, ToolError, guarded
from tests.guard.test_life import HIGH, said
from tests.guard.world import POLICY, SCHEMAS, Desk

BY_HEADER = POLICY.replace('id = "set"\n', 'id = "set"\ncondition = { header = "If-Match" }\n').replace(
    'command = "in-memory"', 'url = "http://desk.example/mcp"'
)
BY_ARGUMENT = POLICY.replace(
    'id = "set"\n',
    'id = "set"\ncondition = { argument = "revision", version = "before.revision", '
    "failed = \"error.contains('stale')\" }\n",
).replace('ignore = ["seen"]', 'ignore = ["seen", "revision"]')


class Versioned(MemoryTools):
    """Tools whose reads name a version and whose `set` obeys `If-Match`, as an HTTP API would."""

    desk: Revised

    async def request(self, method: str, params: Mapping[str, Any] | None, **how: Any) -> dict[str, Any]:
        assert params is not None
        if params["name"] == "set":
            wanted = (how.get("headers") or {}).get("If-Match")
            self.desk.meddled()
            held = f'"{self.desk.records[params["arguments"]["id"]]["revision"]}"'
            if wanted is not None and wanted != held:
                raise Changed("HTTP 412 Precondition Failed")
        result = await super().request(method, params, **how)
        if params["name"] == "get" and "structuredContent" in result:
            result["_meta"] = {VERSION: f'"{result["structuredContent"]["revision"]}"'}
        return result


class Revised(Desk):
    """A desk that numbers its records' states; somebody else may `meddle` just before a write arrives."""

    def __init__(self, *, schemas: dict[str, Any] | None = None) -> None:
        super().__init__()
        for one in self.records.values():
            one["revision"] = 1
        self.meddle: list[dict[str, Any]] = []
        tools = Versioned("desk", self.tools.functions, schemas or SCHEMAS)
        tools.desk = self
        self.tools = tools

    def meddled(self) -> None:
        while self.meddle:
            self.edit(self.meddle.pop(0))

    def edit(self, change: dict[str, Any]) -> None:
        self.records["T-1"].update(change)
        self.records["T-1"]["revision"] += 1

    def _set(self, args: dict[str, Any]) -> Any:
        wanted = args.pop("revision", None)
        if wanted is not None and wanted != self.records[args["id"]]["revision"]:
            raise ToolError("the revision is stale")
        self.records[args["id"]]["revision"] += 1
        return super()._set(args)


@asynccontextmanager
async def over(policy: str, desk: Desk, folder: Path) -> AsyncIterator[GuardForTests]:
    async with guarded(policy, [desk.tools], folder) as guard:
        yield guard


OPEN = {**SCHEMAS, "set": {**SCHEMAS["set"], "properties": {**SCHEMAS["set"]["properties"], "revision": {}}}}


@pytest.mark.parametrize(("policy", "schemas"), [(BY_HEADER, None), (BY_ARGUMENT, OPEN)], ids=["header", "argument"])
async def test_an_edit_between_read_and_write_is_kept_and_the_agent_decides_anew(
    tmp_path: Path, policy: str, schemas: dict[str, Any] | None
) -> None:
    desk = Revised(schemas=schemas)
    desk.meddle = [{"priority": "urgent"}]
    async with over(policy, desk, tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, reply.action.in_force) == (Status.FAILED, False)
        assert "changed by somebody else between reading and writing. Nothing was written." in said(reply)
        assert "urgent" in said(reply)
        assert (desk.records["T-1"]["priority"], desk.effects) == ("urgent", 0)
        again = await guard.call("set", HIGH)
        assert again.action is not None
        assert (again.action.id, again.action.status) == (reply.action.id, Status.SUCCEEDED)
        assert (desk.records["T-1"]["priority"], desk.effects) == ("high", 1)


async def test_an_undo_whose_target_is_changed_in_the_last_instant_writes_nothing(tmp_path: Path) -> None:
    desk = Revised()
    async with over(BY_HEADER, desk, tmp_path) as guard:
        done = await guard.call("set", HIGH)
        assert done.action is not None
        desk.meddle = [{"status": "waiting"}]
        answer = await guard.undo(done.action.id)
        assert not answer.ok
        assert "Nothing was written" in answer.text
        assert (desk.records["T-1"]["priority"], desk.records["T-1"]["status"]) == ("high", "waiting")
        answer = await guard.undo(done.action.id)
        assert answer.ok, answer.text
        assert "unconditioned" not in answer.text
        assert (desk.records["T-1"]["priority"], desk.records["T-1"]["status"]) == ("normal", "waiting")


async def test_without_a_condition_the_undo_says_that_it_was_unconditioned(tmp_path: Path) -> None:
    desk = Revised()
    async with over(POLICY.replace('ignore = ["seen"]', 'ignore = ["seen", "revision"]'), desk, tmp_path) as guard:
        done = await guard.call("set", HIGH)
        assert done.action is not None
        answer = await guard.undo(done.action.id)
        assert answer.ok, answer.text
        assert "unconditioned" in answer.text


@pytest.mark.parametrize(
    ("chain", "said_so"),
    [
        ("{set}, {charge}", False),  # touches nothing of the target
        ("{set}, {link}", True),
        ("{link}, {set}", True),  # the last step is conditional, the one before was not
    ],
)
async def test_a_chain_is_unconditioned_only_by_what_changes_the_target(
    tmp_path: Path, chain: str, said_so: bool
) -> None:
    undo = '{ tool = "desk.set", args = { id = "target.id", priority = "before.priority", status = "before.status" } }'
    others = {name: f'{{ tool = "desk.{name}", args = {{ id = "target.id" }} }}' for name in ("charge", "link")}
    desk = Revised()
    policy = BY_HEADER.replace(f"undo = {undo}", f"undo = [{chain.format(set=undo, **others)}]")
    async with over(policy.replace('ignore = ["seen"]', 'ignore = ["seen", "revision"]'), desk, tmp_path) as guard:
        done = await guard.call("set", HIGH)
        assert done.action is not None
        preview = await guard.undo(done.action.id)
        answer = await guard.undo(done.action.id, confirm=preview.confirm)
        assert answer.outcome is not None, answer.text
        assert ("unconditioned" in answer.text) is said_so, answer.text


async def test_the_header_holds_the_version_that_was_read_last(tmp_path: Path) -> None:
    desk = Revised()
    async with over(BY_HEADER, desk, tmp_path) as guard:
        await guard.call("set", HIGH)
        sent = [h for (name, _), h in zip(desk.tools.calls, desk.tools.headers, strict=True) if name == "set"]
        assert sent == [{"If-Match": '"1"'}]


async def test_a_refused_condition_says_nothing_of_an_earlier_attempt_in_doubt(tmp_path: Path) -> None:
    """Our own lost attempt may be what changed the version: 412 to the next one does not mean that nothing happened."""
    key = 'idempotency = { header = "Idempotency-Key" }'
    keyed = BY_HEADER.replace('lands_within = "1s"', f'lands_within = "1s"\n{key}')
    desk = Revised()
    desk.tools.faults["set"] = [("after", OutcomeUnknown("lost", "the reply was lost"))]
    async with over(keyed, desk, tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, reply.action.in_force) != (Status.FAILED, False)
        assert (desk.records["T-1"]["priority"], desk.effects) == ("high", 1)
