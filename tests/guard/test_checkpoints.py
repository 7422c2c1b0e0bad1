"""Checkpoints: what was done and verified by then; going on is refused where a target changed since."""

from __future__ import annotations

from typing import Any

import pytest

from takeback.guard.checkpoints import LONGEST_STATE
from takeback.ports import NotFound, OutcomeUnknown
from takeback.testing import GuardForTests
from tests.guard.plans import THREE, submit, text
from tests.guard.test_life import HIGH
from tests.guard.world import Desk

NOTES: dict[str, Any] = {
    "name": "half-way",
    "summary": "The first ticket is done.",
    "state": {"left": ["T-2"]},
    "next": ["close T-2"],
}


async def keep(guard: GuardForTests, **more: Any) -> dict[str, Any]:
    return dict(await guard.use_cases.checkpoint(guard.caller, {**NOTES, **more}))


async def resume(guard: GuardForTests, point: str = "half-way") -> dict[str, Any]:
    return dict(await guard.use_cases.checkpoint(guard.caller, {"resume": point}))


async def test_a_checkpoint_keeps_where_the_run_stands(guard: GuardForTests, desk: Desk) -> None:
    done = (await guard.call("set", HIGH)).action
    desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "the connection broke"))]
    doubt = (await guard.call("charge", {"id": "T-2"})).action
    pending = (await guard.call("send", {"id": "T-1", "body": "x"})).action
    assert done is not None
    assert doubt is not None
    assert pending is not None
    await keep(guard)
    [found] = await guard.use_cases.checkpoints_of("acme", "r1")
    body = found.body
    assert (body["completed"], body["pending"]) == ([done.id], [doubt.id, pending.id])
    assert body["waits_for"] == [pending.approval]
    [verified] = body["verified"]
    assert (verified["action"], verified["after"]) == (done.id, done.after)
    assert (body["summary"], body["state"], body["next"]) == (NOTES["summary"], NOTES["state"], NOTES["next"])
    assert body["recovery"]["instructions"] == 'takeback_undo with what="since half-way"'


async def test_going_on_from_one_tells_what_was_left_in_it(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    await keep(guard)
    result = await resume(guard)
    assert not result["isError"]
    assert "The first ticket is done." in text(result)
    assert "Next: close T-2." in text(result)
    assert '{"left":["T-2"]}' in text(result)


async def test_one_whose_target_changed_since_is_refused_with_the_differences(guard: GuardForTests, desk: Desk) -> None:
    action = (await guard.call("set", HIGH)).action
    assert action is not None
    await keep(guard)
    desk.records["T-1"]["priority"] = "urgent"  # by somebody else
    result = await resume(guard)
    assert result["isError"]
    assert f"- T-1 (About T-1) (last verified by {action.id}): priority high -> urgent" in text(result)
    desk.records["T-1"]["priority"] = "high"
    assert not (await resume(guard))["isError"]


@pytest.mark.parametrize("how", ["deleted", "undone", "unreadable"])
async def test_one_whose_target_is_gone_or_was_taken_back_is_refused(
    guard: GuardForTests, desk: Desk, how: str
) -> None:
    action = (await guard.call("set", HIGH)).action
    assert action is not None
    await keep(guard)
    if how == "deleted":
        del desk.records["T-1"]
    elif how == "undone":
        assert (await guard.undo(action.id)).ok
    else:
        desk.tools.faults["get"] = [OutcomeUnknown("lost", "it is silent")] * 9
    result = await resume(guard)
    assert result["isError"]
    assert "is stale" in text(result)


async def test_what_was_created_is_looked_at_under_its_id(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("create", {"title": "A new one", "tenant": "acme"})
    await keep(guard)
    assert not (await resume(guard))["isError"]
    desk.records["N-3"]["title"] = "Another"
    assert "title" in text(await resume(guard))


async def test_only_what_was_verified_last_counts(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    later = (await guard.call("set", {"id": "T-1", "priority": "low"})).action
    assert later is not None
    await keep(guard)
    [found] = await guard.use_cases.checkpoints_of("acme", "r1")
    assert [one["action"] for one in found.body["verified"]] == [later.id]
    assert not (await resume(guard))["isError"]


async def test_what_came_after_one_is_taken_back(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    await keep(guard)
    await guard.call("set", {"id": "T-2", "priority": "high"})
    answer = await guard.undo("since half-way")
    assert answer.ok, answer.text
    assert (desk.records["T-1"]["priority"], desk.records["T-2"]["priority"]) == ("high", "normal")


async def test_too_large_a_state_is_refused_and_nothing_is_kept(guard: GuardForTests) -> None:
    result = await keep(guard, state={"text": "x" * LONGEST_STATE})
    assert result["isError"]
    assert f"a checkpoint keeps {LONGEST_STATE}" in text(result)
    assert await guard.use_cases.checkpoints_of("acme", "r1") == []


async def test_a_plans_own_checkpoints_are_not_gone_on_from(guard: GuardForTests) -> None:
    result = await submit(guard, THREE)
    assert await guard.use_cases.checkpoints_of("acme", "r1") == []
    with pytest.raises(NotFound):
        await resume(guard, f"{result['_meta']['io.takeback/action']} group 1")


async def test_there_is_none_of_that_name(guard: GuardForTests) -> None:
    with pytest.raises(NotFound, match="has no checkpoint half-way"):
        await resume(guard)
