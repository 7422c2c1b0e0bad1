"""The three questions, answered for a whole run by one call, from the ledger alone."""

from __future__ import annotations

from takeback.ports import NotSent, OutcomeUnknown
from takeback.testing import GuardForTests
from tests.guard.test_life import HIGH
from tests.guard.world import Desk


async def told(guard: GuardForTests) -> str:
    return await guard.use_cases.history(guard.caller, text=None, action="run", needs_attention=False, cursor=None)


async def test_a_run_is_accounted_for(guard: GuardForTests, desk: Desk) -> None:
    kept = (await guard.call("set", HIGH)).action
    charged = (await guard.call("charge", {"id": "T-1"})).action
    back = (await guard.call("set", {"id": "T-2", "status": "closed"})).action
    desk.tools.faults["add"] = [NotSent("it is down")] * 9
    await guard.call("add", {"id": "T-1", "by": 1})
    assert kept is not None
    assert charged is not None
    assert back is not None
    assert (await guard.undo(back.id)).ok
    lines = (await told(guard)).splitlines()
    changed, undoable, proven, left = (lines.index(question) for question in QUESTIONS)
    assert lines[changed + 1 : undoable] == [
        f"- {kept.id} desk.set T-1 (About T-1): priority normal -> high (read back)",
        f"- {charged.id} desk.charge T-1: send (not read back)",
    ]
    assert f"exact: {kept.id}" in lines[undoable + 1]
    assert f"impossible: {charged.id}" in lines[undoable + 2]
    assert lines[proven + 1].startswith(f"- {back.id} desk.set T-2 (About T-2): exactly as before, read back by ")
    assert lines[left + 1 :] == ["- Nothing."]


async def test_what_is_open_is_named_with_its_entry_in_the_queue(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "the connection broke"))]
    action = (await guard.call("charge", {"id": "T-1"})).action
    assert action is not None
    found = await guard.use_cases.account("acme", "r1")
    [item] = await guard.ledger.queue("acme")
    assert [line.split(":")[0] for line in found.open] == [
        f"{action.id} desk.charge T-1",
        f"{item.id} in the recovery queue, about {action.id}",
    ]
    assert found.counts == {"actions": 1, "standing": 0, "taken_back": 0, "without_effect": 0, "unsettled": 1}


async def test_a_run_without_a_change_says_so(guard: GuardForTests) -> None:
    desk_read = await guard.call("get", {"id": "T-1"})
    assert desk_read.result is not None
    await guard.call("set", {"id": "T-404", "priority": "high"})
    assert "- Nothing that stands." in await told(guard)


QUESTIONS = (
    "What exactly was changed?",
    "Can it be undone?",
    "Is it proven that what was taken back is back?",
    "What is open?",
)
