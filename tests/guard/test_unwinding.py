"""Several actions taken back: what is meant, in which order, what stays when one fails, and what a crash leaves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.run import Checkpoint
from takeback.core.vocabulary import Status
from takeback.ports import Change, UndoAnswer
from takeback.testing import GuardForTests, ToolError, guarded
from tests.guard.test_undo import HIGH, done
from tests.guard.world import POLICY, Desk

LOW: dict[str, Any] = {"id": "T-1", "priority": "low"}
OTHER: dict[str, Any] = {"id": "T-2", "priority": "high"}


async def agreed(guard: GuardForTests, what: str | None) -> UndoAnswer:
    preview = await guard.undo(what)
    assert preview.confirm is not None, preview.text
    return await guard.undo(what, confirm=preview.confirm)


async def test_a_run_goes_back_newest_first(guard: GuardForTests, desk: Desk) -> None:
    before = {name: dict(record) for name, record in desk.records.items()}
    ids = [await done(guard, "set", HIGH), await done(guard, "set", LOW), await done(guard, "set", OTHER)]
    preview = await guard.undo("run")
    assert "3 changes would be taken back, newest first" in preview.text
    assert preview.text.index(ids[2]) < preview.text.index(ids[1]) < preview.text.index(ids[0])
    assert desk.records["T-1"]["priority"] == "low", "a preview changes nothing"
    answer = await guard.undo("run", confirm=preview.confirm)
    assert (answer.ok, answer.outcome) == (True, "exact")
    assert "Undone: 3 of 3 (3 exactly), read back." in answer.text
    assert "3 unconditioned" in answer.text
    for name, record in desk.records.items():
        assert {**record, "seen": 0} == {**before[name], "seen": 0}


async def test_the_last_two_mean_the_same_two_when_asked_again(guard: GuardForTests, desk: Desk) -> None:
    await done(guard, "set", HIGH)
    await done(guard, "set", LOW)
    await done(guard, "set", OTHER)
    answer = await agreed(guard, "last 2")
    assert answer.outcome == "exact"
    assert (desk.records["T-1"]["priority"], desk.records["T-2"]["priority"]) == ("high", "normal")
    again = await guard.undo("last 2")
    assert again.ok
    assert "already undone" in again.text
    assert desk.records["T-1"]["priority"] == "high"


async def test_after_a_new_write_the_same_words_mean_something_new(guard: GuardForTests, desk: Desk) -> None:
    await done(guard, "set", HIGH)
    assert (await guard.undo()).ok
    await done(guard, "set", OTHER)
    assert (await guard.undo()).ok
    assert desk.records["T-2"]["priority"] == "normal"


@pytest.mark.parametrize("by", ["action", "checkpoint"])
async def test_since_a_point(guard: GuardForTests, desk: Desk, by: str) -> None:
    point = await done(guard, "set", HIGH)
    if by == "checkpoint":
        at = guard.clock.now()
        mark = Checkpoint(id="c1", tenant="acme", run="r1", name="halfway", at=at)
        await guard.ledger.commit(Change(checkpoints=(mark,), tenant="acme"))
        point = "halfway"
    await done(guard, "set", LOW)
    await done(guard, "set", OTHER)
    answer = await agreed(guard, f"since {point}")
    assert answer.outcome == "exact"
    assert (desk.records["T-1"]["priority"], desk.records["T-2"]["priority"]) == ("high", "normal")


@pytest.mark.parametrize("what", ["since nowhere", "run r2", "last 3"])
async def test_what_is_not_there_is_refused(guard: GuardForTests, desk: Desk, what: str) -> None:
    answer = await guard.undo(what)
    assert not answer.ok
    assert "Nothing was changed" in answer.text


async def test_one_out_of_the_middle_offers_what_rests_on_it_and_keeps_the_rest(
    guard: GuardForTests, desk: Desk
) -> None:
    first = await done(guard, "set", HIGH)
    second = await done(guard, "set", LOW)
    other = await done(guard, "set", OTHER)
    offered = await guard.undo(first)
    assert not offered.ok
    assert second in offered.text
    assert other not in offered.text
    assert offered.confirm is not None
    answer = await guard.undo(first, confirm=offered.confirm)
    assert answer.outcome == "exact", answer.text
    assert (desk.records["T-1"]["priority"], desk.records["T-2"]["priority"]) == ("normal", "high")


async def test_what_uses_a_created_record_goes_with_it(guard: GuardForTests, desk: Desk) -> None:
    """By the recorded flow of data: the id that one call returned is what the next one was given."""
    made = await done(guard, "create", {"title": "New"})
    new = next(name for name in desk.records if name.startswith("N-"))
    sent = await guard.call("charge", {"id": new})
    assert sent.action is not None
    offered = await guard.undo(made)
    assert not offered.ok
    assert sent.action.id in offered.text
    assert "cannot be taken back" in offered.text
    answer = await guard.undo(made, confirm=offered.confirm)
    assert (answer.ok, answer.outcome) == (False, "refused")
    assert new in desk.records, "what rests on it stands, so it stays"


async def test_one_that_fails_keeps_what_it_rests_on_and_nothing_else(guard: GuardForTests, desk: Desk) -> None:
    first = await done(guard, "set", HIGH)
    second = await done(guard, "set", LOW)
    third = await done(guard, "set", OTHER)
    desk.records["T-1"]["priority"] = "somebody's"
    answer = await agreed(guard, "run")
    assert not answer.ok
    assert answer.outcome == "compensated"
    assert "Undone: 1 of 3" in answer.text
    assert "1 refused and left as they are" in answer.text
    assert "1 kept, because something that rests on them still stands" in answer.text
    assert (desk.records["T-1"]["priority"], desk.records["T-2"]["priority"]) == ("somebody's", "normal")
    statuses = [(await guard.ledger.action("acme", one)).status for one in (first, second, third)]
    assert statuses == [Status.SUCCEEDED, Status.SUCCEEDED, Status.COMPENSATED]
    queue = await guard.ledger.queue("acme")
    assert [item.action for item in queue] == [second]
    assert "somebody's" in queue[0].why
    assert "normal" not in queue[0].why.split("somebody's")[1]


async def test_a_guard_that_dies_in_the_middle_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    desk = Desk()
    clock = None
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        for priority in ("high", "low", "urgent"):
            await done(guard, "set", {"id": "T-1", "priority": priority})
        preview = await guard.undo("run")
        clock = guard.clock
        dying = _Dies(desk)
        desk.tools.gate = dying
        with pytest.raises(_Killed):
            await guard.undo("run", confirm=preview.confirm)
        desk.tools.gate = None
    clock.move(timedelta(minutes=10))
    async with guarded(POLICY, [desk.tools], tmp_path, clock=clock) as guard:
        answer = await guard.undo("run", confirm=preview.confirm)
        assert answer.outcome == "exact", answer.text
    assert (desk.records["T-1"]["priority"], desk.effects) == ("normal", 6)


class _Killed(BaseException):
    """Nothing catches this."""


class _Dies:
    """Ends everything at the second restoring write, before it runs."""

    def __init__(self, desk: Desk) -> None:
        self._left = 2

    async def __call__(self, name: str) -> None:
        if name == "set":
            self._left -= 1
            if not self._left:
                raise _Killed


async def test_a_step_that_needs_a_person_waits_and_the_rest_goes_back(tmp_path: Path) -> None:
    desk = Desk()
    careful = POLICY.replace('id = "unlink"\n', 'id = "unlink"\napproval = "always"\n')
    async with guarded(careful, [desk.tools], tmp_path) as guard:
        await done(guard, "link", {"id": "T-1"})
        await done(guard, "set", OTHER)
        preview = await guard.undo("run")
        assert "desk.link T-1: exact until 2026-11-23 13:00 UTC (a person must agree)" in preview.text
        answer = await agreed(guard, "run")
        assert not answer.ok
        assert "waiting for a person's approval" in answer.text
        assert (desk.records["T-1"]["linked"], desk.records["T-2"]["priority"]) == (True, "normal")
        waiting = (await guard.ledger.approvals("acme"))[0]
        await guard.decide(waiting.id, agree=True)
        answer = await agreed(guard, "run")
        assert answer.ok, answer.text
        assert desk.records["T-1"]["linked"] is False


async def test_what_no_tool_takes_back_is_named_before(guard: GuardForTests, desk: Desk) -> None:
    charge = await guard.call("charge", {"id": "T-1"})
    assert charge.action is not None
    await done(guard, "set", OTHER)
    preview = await guard.undo("run")
    assert f"1 of them cannot be taken back: {charge.action.id}" in preview.text


async def test_an_undo_that_a_tool_refuses_without_effect_is_a_refusal(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)

    def refuse(args: dict[str, Any]) -> Any:
        raise ToolError("locked for the night")

    desk.tools.functions = {**desk.tools.functions, "set": refuse}
    answer = await guard.undo(action)
    assert (answer.ok, answer.outcome) == (False, "refused")
    assert "locked for the night" in answer.text
    assert (await guard.ledger.action("acme", action)).status is Status.SUCCEEDED


async def test_an_undo_that_goes_wrong_needs_an_operator_and_is_queued(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)

    def wrong(args: dict[str, Any]) -> Any:
        desk.records["T-1"]["priority"] = "garbled"
        return {"ok": True}

    desk.tools.functions = {**desk.tools.functions, "set": wrong}
    answer = await guard.undo(action)
    assert (answer.ok, answer.outcome) == (False, "failed")
    assert (await guard.ledger.action("acme", action)).status is Status.NEEDS_OPERATOR
    assert action in {item.action for item in await guard.ledger.queue("acme")}


async def test_what_is_back_already_is_out_of_force_and_may_be_done_again(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    desk.records["T-1"]["priority"] = "normal"
    answer = await guard.undo(action)
    assert (answer.ok, answer.outcome) == (True, "exact")
    found = await guard.ledger.action("acme", action)
    assert (found.status, found.in_force) == (Status.COMPENSATED, False)
    assert (await guard.undo("run")).outcome is None
    again = await guard.call("set", HIGH)
    assert again.action is not None
    assert (again.action.id != action, desk.records["T-1"]["priority"]) == (True, "high")


async def test_in_a_cascade_what_changed_nothing_is_no_obstacle(guard: GuardForTests, desk: Desk) -> None:
    first = await done(guard, "set", HIGH)
    await done(guard, "set", {"id": "T-1", "priority": "high", "status": "open"})
    offered = await guard.undo(first)
    answer = await guard.undo(first, confirm=offered.confirm)
    assert (answer.ok, answer.outcome) == (True, "exact"), answer.text
    assert desk.records["T-1"]["priority"] == "normal"
