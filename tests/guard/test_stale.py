"""Stale memory: a write whose target changed since its run last saw it is refused, with the differences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from takeback.core.vocabulary import Status
from takeback.guard.going_on import go_on
from takeback.guard.replies import Reply
from takeback.ports import NotSent
from takeback.testing import GuardForTests, ToolError, guarded
from tests.guard.test_life import HIGH, actions, failed, said
from tests.guard.world import POLICY, Desk

REFUSE: Final = 'volatile = ["note"]\nstale = "refuse"\n'
STALE: Final = POLICY.replace('volatile = ["note"]\n', REFUSE)
SSN: Final = "078-05-1120"
CHANGED: Final = "changed since this run last read it"


@pytest.fixture
async def guard(desk: Desk, tmp_path: Path) -> AsyncIterator[GuardForTests]:
    """A guard whose rule for `set` has `stale = "refuse"`."""
    async with guarded(STALE, [desk.tools], tmp_path) as found:
        yield found


async def look(guard: GuardForTests, record: str = "T-1") -> Reply:
    return await guard.call("get", {"id": record})


def somebody(desk: Desk, record: str = "T-1", **fields: Any) -> None:
    """Somebody else edits a record, past the guard."""
    desk.records[record].update(fields)


def ran(reply: Reply) -> bool:
    return reply.action is not None and reply.action.status is Status.SUCCEEDED


# --- what is refused, and what heals it ---


async def test_a_write_to_what_others_changed_since_is_refused_with_the_differences(
    guard: GuardForTests, desk: Desk
) -> None:
    await look(guard)
    somebody(desk, priority="urgent", status="waiting")
    reply = await guard.call("set", HIGH)
    assert failed(reply)
    assert said(reply) == (
        "Not executed: T-1 (About T-1) changed since this run last read it (priority normal -> urgent, status open -> "
        "waiting). Nothing was changed. Read it again and decide anew; if the change is still wanted then, call again."
    )
    assert (reply.result or {})["_meta"]["io.takeback/layer"] == "model"
    assert (desk.effects, desk.records["T-1"]["priority"]) == (0, "urgent")


async def test_read_again_it_goes_on(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    somebody(desk, priority="urgent")
    assert failed(await guard.call("set", HIGH))
    assert failed(await guard.call("set", HIGH)), "asking again is not looking again"
    await look(guard)
    assert ran(await guard.call("set", HIGH))
    assert (desk.effects, desk.records["T-1"]["priority"]) == (1, "high")


async def test_the_refused_attempt_is_on_record_with_the_fields_and_without_their_values(
    guard: GuardForTests, desk: Desk
) -> None:
    await look(guard)
    somebody(desk, priority="urgent")
    reply = await guard.call("set", HIGH)
    [denied] = await actions(guard)
    assert reply.action == denied
    assert denied.status is Status.DENIED
    [event] = await guard.ledger.events("acme", denied.id)
    assert event.detail == "changed since the run last read it: priority"


async def test_what_nobody_changed_is_written(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    assert ran(await guard.call("set", HIGH))


async def test_an_ignored_field_is_no_change(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    somebody(desk, seen=77)
    assert ran(await guard.call("set", HIGH))


async def test_what_the_run_never_read_is_written(guard: GuardForTests, desk: Desk) -> None:
    await look(guard, "T-2")
    somebody(desk, priority="urgent")
    assert ran(await guard.call("set", HIGH))


async def test_each_run_has_its_own_memory(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    somebody(desk, priority="urgent")
    guard.caller = replace(guard.caller, run="r2")
    await look(guard)
    assert ran(await guard.call("set", {"id": "T-1", "status": "closed"}))
    guard.caller = replace(guard.caller, run="r1")
    reply = await guard.call("set", HIGH)
    assert "priority normal -> urgent, status open -> closed" in said(reply)


async def test_without_the_key_and_with_allow_nothing_is_refused(desk: Desk, tmp_path: Path) -> None:
    for name, policy in (("none", POLICY), ("allow", STALE.replace('"refuse"', '"allow"'))):
        async with guarded(policy, [desk.tools], tmp_path / name) as guard:
            await look(guard)
            somebody(desk, priority=name)
            assert ran(await guard.call("set", HIGH))


async def test_what_vanished_since_is_told(desk: Desk, tmp_path: Path) -> None:
    bare = STALE.replace('require = "before.tenant == tenant"\n', "")
    async with guarded(bare, [desk.tools], tmp_path) as guard:
        await look(guard)
        kept = desk.records.pop("T-1")
        assert f"T-1 {CHANGED} (deleted)" in said(await guard.call("set", HIGH))
        await look(guard)  # not found: that is seen, too
        desk.records["T-1"] = kept
        assert f"T-1 (About T-1) {CHANGED} (created)" in said(await guard.call("set", HIGH))


async def test_a_read_that_failed_saw_nothing(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    somebody(desk, priority="urgent")
    desk.tools.faults["get"] = [NotSent("down")]
    assert failed(await look(guard))
    inner = desk.tools.functions["get"]

    def locked(_: dict[str, Any]) -> Any:
        raise ToolError("permission denied")

    desk.tools.functions = {**desk.tools.functions, "get": locked}
    assert failed(await look(guard))
    desk.tools.functions = {**desk.tools.functions, "get": inner}
    assert CHANGED in said(await guard.call("set", HIGH))


async def test_what_was_seen_and_cannot_be_read_now_is_not_written(desk: Desk, tmp_path: Path) -> None:
    def locked(_: dict[str, Any]) -> Any:
        raise ToolError("permission denied")

    bare = STALE.replace('require = "before.tenant == tenant"\n', "")
    async with guarded(bare, [desk.tools], tmp_path) as guard:
        await look(guard)
        desk.tools.functions = {**desk.tools.functions, "get": locked}
        reply = await guard.call("set", HIGH)
    assert "cannot be read now, so nothing tells whether it changed" in said(reply)
    assert desk.effects == 0


async def test_a_read_with_other_arguments_is_another_place(desk: Desk, tmp_path: Path) -> None:
    desk.tools.schemas = {
        **desk.tools.schemas,
        "get": {"type": "object", "properties": {"id": {}, "view": {"default": "all"}}, "required": ["id"]},
    }
    async with guarded(STALE, [desk.tools], tmp_path) as guard:
        await guard.call("get", {"id": "T-1", "view": "short"})
        await guard.call("get", {"id": "T-2", "view": "all"})  # the schema's default in as many words
        for record in ("T-1", "T-2"):
            somebody(desk, record, priority="urgent")
        assert ran(await guard.call("set", HIGH))
        assert CHANGED in said(await guard.call("set", {"id": "T-2", "priority": "high"}))


async def test_select_and_absent_look_at_what_was_seen(desk: Desk, tmp_path: Path) -> None:
    inner = desk.tools.functions["get"]

    def wrapped(args: dict[str, Any]) -> Any:
        try:
            return {"record": inner(args), "views": desk.tools.count("get")}
        except ToolError:
            return {"record": None}

    desk.tools.functions = {**desk.tools.functions, "get": wrapped}
    policy = STALE.replace(
        'args = { id = "args.id" } }\nrequire = "before.tenant == tenant"',
        'args = { id = "args.id" }, select = "result.record", absent = "result.record == null" }',
    )
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        await look(guard)
        assert ran(await guard.call("set", HIGH)), "what the rule does not select may change"
        somebody(desk, status="waiting")
        assert "(status open -> waiting)" in said(await guard.call("set", {"id": "T-1", "priority": "low"}))


# --- the run's own writes ---


async def test_the_runs_own_writes_make_nothing_stale(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    for priority in ("high", "low", "urgent"):
        assert ran(await guard.call("set", {"id": "T-1", "priority": priority}))
    assert desk.effects == 3


async def test_own_writes_by_another_rule_make_nothing_stale(guard: GuardForTests, desk: Desk) -> None:
    """`link` and `unlink` read as `set` does; `unlink` has no undo, so its reading follows from the policy."""
    await look(guard)
    assert ran(await guard.call("link", {"id": "T-1"}))
    assert ran(await guard.call("set", HIGH))
    assert ran(await guard.call("unlink", {"id": "T-1"}))
    assert ran(await guard.call("set", {"id": "T-1", "priority": "low"}))


async def test_what_others_change_after_an_own_write_is_found(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    somebody(desk, status="waiting")
    reply = await guard.call("set", {"id": "T-1", "priority": "low"})
    assert f"{CHANGED} (status open -> waiting)" in said(reply)
    await look(guard)
    assert ran(await guard.call("set", {"id": "T-1", "priority": "low"}))


async def test_the_newer_of_reading_and_writing_counts(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    await guard.call("set", HIGH)
    somebody(desk, priority="normal")  # as it was when it was read
    assert "(priority high -> normal)" in said(await guard.call("set", {"id": "T-1", "status": "closed"}))


async def test_an_own_write_that_is_read_in_another_way_is_no_sight(desk: Desk, tmp_path: Path) -> None:
    """What it left cannot be compared: the run must look again, and is told what differs."""
    whole, own = 'read = { tool = "desk.get", args = { id = "args.id" } }\nverify', 'select = "result.linked" }\nverify'
    other = STALE.replace(whole, whole.replace(" }\nverify", f", {own}"), 1).replace(
        'verify = "after.linked == true"\nwrites = ["linked"]', 'verify = "after == true"'
    )
    async with guarded(other, [desk.tools], tmp_path) as guard:
        await look(guard)
        assert ran(await guard.call("link", {"id": "T-1"}))
        assert "(linked false -> true)" in said(await guard.call("set", HIGH))


async def test_the_agents_own_undo_is_its_own_write(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    answer = await guard.undo()
    assert answer.ok, answer.text
    assert ran(await guard.call("set", {"id": "T-1", "status": "closed"}))


async def test_a_persons_undo_is_somebody_elses(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    person = replace(guard.caller, principal="anna", person=True)
    answer = await guard.use_cases.undo(person, what=reply.action.id, reason="no", confirm=None)
    assert answer.ok, answer.text
    assert "(priority high -> normal)" in said(await guard.call("set", {"id": "T-1", "status": "closed"}))


# --- what is exempt ---


async def test_undo_and_redo_go_by_their_own_check(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    await guard.call("set", HIGH)
    somebody(desk, status="waiting")
    for place, value in enumerate(("normal", "high")):
        answer = await guard.undo((await actions(guard))[place].id)
        assert answer.ok, answer.text
        assert desk.records["T-1"]["priority"] == value
    assert desk.records["T-1"]["status"] == "waiting"


async def test_a_person_who_wants_it_tried_is_not_asked_what_the_agent_read(guard: GuardForTests, desk: Desk) -> None:
    await look(guard)
    desk.tools.faults["set"] = [NotSent("down")] * 3
    failed_ = (await guard.call("set", HIGH)).action
    assert failed_ is not None
    assert failed_.status is Status.FAILED
    somebody(desk, status="waiting")
    told = await go_on(guard.use_cases.services, failed_, by="anna")
    assert "priority normal -> high" in told
    assert desk.records["T-1"]["priority"] == "high"
