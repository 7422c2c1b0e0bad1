"""Of the people who decide about an entry one wins, the others are told, and a guard that dies gives it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.queue import QueueState
from takeback.core.vocabulary import Status
from takeback.guard.entries import Overtaken
from takeback.ports import NotSent
from takeback.testing import GuardForTests
from tests.guard.test_life import HIGH, actions
from tests.guard.test_taking_up import LEASE, Gate, stall, two, worker
from tests.guard.waiting import ANNA, BEN, closed, entries, in_doubt, the_entry
from tests.guard.world import POLICY, Desk


@pytest.fixture
async def contested(tmp_path: Path) -> AsyncIterator[tuple[GuardForTests, GuardForTests, Desk, str]]:
    """Two guards, and a conflict in the queue that an undo can take back by now."""
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        yield one, other, desk, await a_conflict(one, desk)


async def a_conflict(guard: GuardForTests, desk: Desk) -> str:
    """The entry of an undo that met somebody else's edit, which is gone by now."""
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    desk.records["T-1"]["priority"] = "theirs"
    await guard.undo(reply.action.id)
    desk.records["T-1"]["priority"] = "high"
    return (await the_entry(guard)).item.id


Contested = tuple[GuardForTests, GuardForTests, Desk, str]


async def test_while_one_carries_a_decision_out_nobody_else_decides(contested: Contested) -> None:
    one, other, desk, item = contested
    gate = Gate("set")
    desk.tools.gate = gate
    doing = asyncio.ensure_future(one.use_cases.compensate(ANNA, item, reason="wrong record"))
    await asyncio.wait_for(gate.reached.wait(), 5)
    desk.tools.gate = None
    assert (await the_entry(other)).state is QueueState.HANDLING
    for decide in (
        lambda: other.use_cases.compensate(BEN, item, reason="me, too"),
        lambda: other.use_cases.resume("acme", item, by="ben", reason="me, too"),
        lambda: other.use_cases.resolve("acme", item, decision="close", by="ben", reason="me, too"),
    ):
        with pytest.raises(Overtaken, match=r"anna is at q\w+ right now \(compensate\)"):
            await decide()
    told = await other.use_cases.history(other.caller, text=None, action=None, needs_attention=True, cursor=None)
    assert "being handled (compensate)" in told
    gate.opened.set()
    assert (await doing).done
    with pytest.raises(Overtaken, match="closed by anna already"):
        await other.use_cases.compensate(BEN, item, reason="me, too")
    assert desk.effects == 2


async def test_of_two_who_decide_at_the_same_moment_one_is_told(contested: Contested) -> None:
    one, other, desk, item = contested
    both = await asyncio.gather(
        one.use_cases.compensate(ANNA, item, reason="wrong record"),
        other.use_cases.compensate(BEN, item, reason="wrong record"),
        return_exceptions=True,
    )
    kinds = sorted(type(found).__name__ for found in both)
    assert kinds == ["Overtaken", "Resolved"]
    winner = "anna" if not isinstance(both[0], BaseException) else "ben"
    [loser] = [str(found) for found in both if isinstance(found, Overtaken)]
    assert winner in loser
    assert (await closed(one), desk.effects) == ([(winner, "compensate")], 2)


async def test_whoever_closes_at_the_same_moment_does_not_win_as_well(contested: Contested) -> None:
    one, other, _, item = contested
    both = await asyncio.gather(
        one.use_cases.resolve("acme", item, decision="close", by="anna", reason="leave it"),
        other.use_cases.resolve("acme", item, decision="close", by="ben", reason="leave it"),
        return_exceptions=True,
    )
    assert sorted(type(found).__name__ for found in both) == ["Overtaken", "tuple"]


async def test_a_decision_on_what_was_shown_before_it_changed_is_refused(contested: Contested) -> None:
    one, other, _, item = contested
    seen = (await the_entry(one)).item.version
    await other.use_cases.assign("acme", item, to="carla", by="ben")
    with pytest.raises(Overtaken, match="changed since it was shown"):
        await one.use_cases.resolve("acme", item, decision="close", by="anna", reason="leave it", seen=seen)
    await one.use_cases.resolve("acme", item, decision="close", by="anna", reason="leave it", seen=seen + 1)


async def test_a_guard_that_dies_before_the_undo_begins_gives_the_entry_back(contested: Contested) -> None:
    """Its claim stands, and nothing was sent."""
    one, other, desk, item = contested
    doing, gate = await stall(one, desk, one.use_cases.compensate(ANNA, item, reason="wrong record"), "get")
    assert (await the_entry(other)).state is QueueState.HANDLING
    one.clock.move(LEASE * 2)
    assert (await the_entry(other)).state is QueueState.OPEN
    done = await other.use_cases.compensate(BEN, item, reason="anna's machine died")
    assert (done.done, desk.effects) == (True, 2)
    gate.opened.set()
    await asyncio.gather(doing, return_exceptions=True)
    assert desk.effects == 2
    assert await closed(other) == [("ben", "compensate")]


async def test_a_guard_that_dies_in_the_undo_has_it_brought_to_its_end_once(contested: Contested) -> None:
    one, other, desk, item = contested
    doing, gate = await stall(one, desk, one.use_cases.compensate(ANNA, item, reason="wrong record"))
    desk.tools.functions["set"]({"id": "T-1", "priority": "normal"})  # it landed, and nobody heard of it
    one.clock.move(LEASE * 2)
    assert (await the_entry(other)).state is QueueState.OPEN
    again = await other.use_cases.compensate(BEN, item, reason="anna's machine died")
    for _ in range(3):
        await worker(other).sweep()
        one.clock.move(timedelta(seconds=5))
    statuses = [action.status for action in await actions(other)]
    assert statuses == [Status.COMPENSATED, Status.SUCCEEDED], again.text
    assert await entries(other) == []
    assert (desk.effects, desk.records["T-1"]["priority"]) == (2, "normal")
    desk.tools.faults["set"] = [NotSent("it is over")]
    gate.opened.set()
    await asyncio.gather(doing, return_exceptions=True)


async def test_a_claim_of_a_process_that_provably_ended_is_not_waited_for(tmp_path: Path) -> None:
    """Its lease has not run out, and the entry says that it is being handled."""
    desk, gone = Desk(), set[str]()
    async with two(POLICY, desk, tmp_path, gone) as (one, other):
        item = await a_conflict(one, desk)
        doing, gate = await stall(one, desk, one.use_cases.compensate(ANNA, item, reason="wrong record"), "get")
        gone.add("one")
        assert (await the_entry(other)).state is QueueState.HANDLING
        assert (await other.use_cases.compensate(BEN, item, reason="anna's machine died")).done
        gate.opened.set()
        await asyncio.gather(doing, return_exceptions=True)
        assert desk.effects == 2


async def test_a_process_that_provably_ended_holds_no_entry(tmp_path: Path) -> None:
    desk, gone = Desk(), set[str]()
    async with two(POLICY, desk, tmp_path, gone) as (one, other):
        await in_doubt(one, desk, acted=True)
        item = (await the_entry(one)).item
        gate = Gate("get")
        lease = await one.use_cases.services.ledger.approach(_claim(one, item.lease_name))
        assert lease.refused_by is None
        with pytest.raises(Overtaken):
            await other.use_cases.resume("acme", item.id, by="ben", reason="look")
        gone.add("one")
        assert not (await other.use_cases.resume("acme", item.id, by="ben", reason="look")).done
        assert not gate.reached.is_set()


def _claim(guard: GuardForTests, name: str) -> Any:
    from tests.ledger.stories import approach

    services = guard.use_cases.services
    return approach(services.holder(), name, now=guard.clock.now(), lease_for=LEASE)
