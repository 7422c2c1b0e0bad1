"""Scheduled care: what did not read back as expected, or could not be read, is read again without anybody asking."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.queue import Cause, QueueDecision
from takeback.core.states import Happening
from takeback.core.vocabulary import Status, Verified
from takeback.guard.entries import NotResolvable
from takeback.guard.rereading import UNREAD_FOR, read_again
from takeback.guard.worker import LONGEST_PAUSE_OF_READING
from takeback.ports import NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, ToolError, guarded
from tests.guard.plans import group, plan, status, step, submit, sweep, the_plan
from tests.guard.test_life import HIGH, actions, said
from tests.guard.test_pausing import PAUSING
from tests.guard.test_taking_up import two, worker
from tests.guard.waiting import closed, entries, lying, the_entry
from tests.guard.world import POLICY, Desk

LOW = {"id": "T-1", "priority": "low"}


async def only(guard: GuardForTests) -> Any:
    [found] = await actions(guard)
    return found


async def unread(guard: GuardForTests, desk: Desk) -> str:
    """A write that took effect when its target could not be read."""
    gate = Blind(desk)
    desk.tools.gate = gate
    reply = await guard.call("set", HIGH)
    desk.tools.gate = None
    assert reply.action is not None
    assert (reply.action.status, reply.action.verified) == (Status.SUCCEEDED, Verified.NOT_YET)
    assert "Not read back yet" in said(reply)
    return reply.action.id


class Blind:
    """From the first write on, nothing can be read."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def __call__(self, name: str) -> None:
        if name == "set":
            self.desk.tools.faults["get"] = [OutcomeUnknown("lost", "gone")] * 100


def seeing(desk: Desk) -> None:
    desk.tools.faults["get"] = []


# --- what did not read back as expected ---


async def test_a_mismatch_that_was_only_late_is_confirmed_by_itself(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    await guard.call("set", HIGH)
    round_ = await worker(guard).sweep()
    assert (round_.verified, len(round_.unverified), len(await entries(guard))) == ([], 1, 1)
    desk.records["T-1"]["priority"] = "high"  # what it shows now is what had been written
    assert len((await worker(guard).sweep()).verified) == 1
    found = await only(guard)
    assert (found.status, found.verified, found.mismatch) == (Status.SUCCEEDED, Verified.YES, None)
    assert await closed(guard) == [("guard", QueueDecision.RESUME)]
    assert desk.effects == 1
    assert (await guard.undo(found.id)).outcome == "exact"
    assert desk.records["T-1"]["priority"] == "normal"


async def test_an_error_that_left_half_of_it_is_confirmed_when_the_rest_is_there(
    guard: GuardForTests, desk: Desk
) -> None:
    def half(args: dict[str, Any]) -> Any:
        desk.records["T-1"]["priority"] = "half"
        raise ToolError("it broke")

    desk.tools.functions = {**desk.tools.functions, "set": half}
    await guard.call("set", HIGH)
    desk.records["T-1"]["priority"] = "high"
    await worker(guard).sweep()
    assert (await only(guard)).verified is Verified.YES
    assert await entries(guard) == []


async def test_a_run_goes_on_by_itself_when_what_paused_it_is_confirmed(desk: Desk, tmp_path: Path) -> None:
    async with guarded(PAUSING, [desk.tools], tmp_path) as guard:
        lying(desk)
        await guard.call("set", HIGH)
        assert (await guard.call("set", {"id": "T-2", "priority": "low"})).paused
        desk.records["T-1"]["priority"] = "high"
        await worker(guard).sweep()
        assert not (await guard.call("set", {"id": "T-2", "priority": "low"})).paused


async def test_what_stays_wrong_stays_in_the_queue_and_is_read_ever_more_rarely(
    guard: GuardForTests, desk: Desk
) -> None:
    lying(desk)
    await guard.call("set", HIGH)
    taking, reads = worker(guard), desk.tools.count("get")
    looks = []
    for _ in range(40):
        await taking.sweep()
        looks.append(desk.tools.count("get") - reads)
        guard.clock.move(timedelta(minutes=30))
    assert looks[-1] - looks[-11] <= 6, looks
    before = desk.tools.count("get")
    guard.clock.move(timedelta(seconds=2 * LONGEST_PAUSE_OF_READING))
    await taking.sweep()
    assert desk.tools.count("get") == before + 1
    assert (await the_entry(guard)).item.cause is Cause.MISMATCH
    assert [one.happening for one in await guard.ledger.events("acme", (await only(guard)).id)] == [
        Happening.CLAIM, Happening.FAIL
    ]  # fmt: skip


async def test_what_a_person_has_closed_is_left_alone(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    await guard.call("set", HIGH)
    item = (await the_entry(guard)).item
    await guard.use_cases.resolve("acme", item.id, decision="close", by="anna", reason="it is fine so")
    desk.records["T-1"]["priority"] = "high"
    reads = desk.tools.count("get")
    round_ = await worker(guard).sweep()
    assert (round_.verified, round_.unverified, desk.tools.count("get")) == ([], [], reads)


async def test_two_workers_confirm_once(desk: Desk, tmp_path: Path) -> None:
    async with two(POLICY, desk, tmp_path) as (one, other):
        lying(desk)
        await one.call("set", HIGH)
        desk.records["T-1"]["priority"] = "high"
        for guard in (one, other, one):
            await worker(guard).sweep()
        events = await one.ledger.events("acme", (await only(one)).id)
        assert [event.happening for event in events].count(Happening.CONFIRM) == 1
        assert await closed(one) == [("guard", QueueDecision.RESUME)]


async def test_what_was_settled_meanwhile_is_not_confirmed_again(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    seen = (await guard.call("set", HIGH)).action
    assert seen is not None
    desk.records["T-1"]["priority"] = "high"
    await worker(guard).sweep()
    events = await guard.ledger.events("acme", seen.id)
    assert await read_again(guard.use_cases.services, seen) is None
    assert await guard.ledger.events("acme", seen.id) == events


# --- what could not be read ---


async def test_what_could_not_be_read_back_is_read_later(guard: GuardForTests, desk: Desk) -> None:
    action = await unread(guard, desk)
    told = await guard.use_cases.history(guard.caller, text=None, action=None, needs_attention=False, cursor=None)
    assert "succeeded, not read back yet" in told
    assert (await worker(guard).sweep()).unverified == [action]
    seeing(desk)
    assert (await worker(guard).sweep()).verified == [action]
    found = await only(guard)
    assert (found.verified, found.changed, found.forecast and found.forecast["text"]) == (
        Verified.YES, ("priority",), "exact"
    )  # fmt: skip
    assert (await guard.undo(action)).outcome == "exact"


async def test_what_reads_otherwise_then_is_a_persons_matter(guard: GuardForTests, desk: Desk) -> None:
    action = await unread(guard, desk)
    desk.records["T-1"]["priority"] = "theirs"
    seeing(desk)
    await worker(guard).sweep()
    entry = await the_entry(guard)
    assert (entry.item.cause, entry.item.action) == (Cause.MISMATCH, action)
    for word in ("could not be read back when it was made", "high", "theirs", "Somebody may have changed it since"):
        assert word in entry.item.why, entry.item.why
    assert ((await only(guard)).status, (await only(guard)).verified) == (Status.SUCCEEDED, Verified.IMPOSSIBLE)
    assert (await worker(guard).sweep()).unverified == []


async def test_a_later_write_of_ours_makes_no_mismatch_of_it(guard: GuardForTests, desk: Desk) -> None:
    action = await unread(guard, desk)
    seeing(desk)
    later = (await guard.call("set", LOW)).action
    assert later is not None
    await worker(guard).sweep()
    assert (await guard.ledger.action("acme", action)).verified is Verified.IMPOSSIBLE
    assert f"{later.id} has changed it since" in (await guard.ledger.events("acme", action))[-1].detail
    assert await entries(guard, open_only=False) == []


async def test_what_a_later_write_of_ours_made_right_confirms_nothing(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    wrong = (await guard.call("set", HIGH)).action
    assert wrong is not None
    later = (await guard.call("set", {**HIGH, "status": "x"})).action
    assert later is not None
    desk.records["T-1"]["priority"] = "high"
    assert (await worker(guard).sweep()).verified == [later.id]
    assert (await guard.ledger.action("acme", wrong.id)).verified is Verified.MISMATCH
    with pytest.raises(NotResolvable, match=f"{later.id} has changed it since"):
        await guard.use_cases.resume("acme", wrong.id, by="anna", reason="look")


async def test_what_cannot_be_read_for_long_counts_as_never_read(guard: GuardForTests, desk: Desk) -> None:
    action = await unread(guard, desk)
    taking = worker(guard)
    await taking.sweep()
    assert (await only(guard)).verified is Verified.NOT_YET
    desk.tools.faults["get"] = [NotSent("away")] * 100
    guard.clock.move(UNREAD_FOR)
    await taking.sweep()
    assert (await only(guard)).verified is Verified.IMPOSSIBLE
    assert "was not read back in time: it cannot be read now" in (await guard.ledger.events("acme", action))[-1].detail
    seeing(desk)
    assert (await taking.sweep()).verified == []


async def test_what_cannot_be_judged_any_more_does_not_stay_unread_for_ever(desk: Desk, tmp_path: Path) -> None:
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        await unread(guard, desk)
    seeing(desk)
    later = POLICY.replace('tool = "desk.set"\nclass', 'tool = "desk.sett"\nclass').replace(
        "[defaults]\n", '[defaults]\nunknown_tools = "ask"\n'
    )
    async with guarded(later, [desk.tools], tmp_path) as guard:
        await worker(guard).sweep()
        guard.clock.move(UNREAD_FOR + timedelta(days=1))
        await worker(guard).sweep()
        assert (await only(guard)).verified is Verified.IMPOSSIBLE


async def test_what_was_redacted_cannot_be_compared_later(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.gate = Blind(desk)
    reply = await guard.call("set", {"id": "T-1", "ssn": "123-45-6789"})
    desk.tools.gate = None
    seeing(desk)
    assert reply.action is not None
    assert reply.action.verified is Verified.IMPOSSIBLE
    await worker(guard).sweep()
    assert await entries(guard) == []


async def test_what_has_no_way_to_be_read_is_not_waited_for(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("charge", {"id": "T-1"})
    assert reply.action is not None
    assert reply.action.verified is Verified.IMPOSSIBLE
    assert (await worker(guard).sweep()).unverified == []


async def test_a_plan_waits_for_what_could_not_be_read_back(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.gate = Blind(desk)
    document = plan(group(step("rank", "set", id="T-1", priority="high")), group(step("tie", "link", "rank", id="T-2")))
    await submit(guard, document)
    desk.tools.gate = None
    assert ((await the_plan(guard)).status, desk.records["T-2"]["linked"]) == (Status.RUNNING, False)
    await sweep(guard)
    assert not desk.records["T-2"]["linked"]
    seeing(desk)
    await sweep(guard)
    await sweep(guard)
    assert (await the_plan(guard)).status is Status.SUCCEEDED
    assert desk.records["T-2"]["linked"]
    assert status(await submit(guard, document)) == "succeeded"


@pytest.mark.parametrize("wrong", [True, False])
async def test_a_person_may_ask_for_it(guard: GuardForTests, desk: Desk, wrong: bool) -> None:
    lying(desk)
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    desk.records["T-1"]["priority"] = "urgent" if wrong else "high"
    told = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="look")
    assert told.done is not wrong
    assert await closed(guard) == [(None, None) if wrong else ("anna", "resume")]
