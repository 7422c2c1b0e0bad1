"""What a guard left behind: short leases that are kept, the fence before the send, and the worker that takes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from takeback.core.states import Happening
from takeback.core.vocabulary import RunStatus, Status, Verified
from takeback.guard.approving import NotDecidable
from takeback.guard.ending import LATE, TOO_LATE
from takeback.guard.recording import next_fact
from takeback.guard.undo.manner import standoff_of
from takeback.guard.undo.undoing import carry_out
from takeback.guard.worker import Worker
from takeback.ports import Change, LedgerFailure, NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, ManualClock, NamedProcesses, guarded
from tests.guard.test_life import HIGH, actions, said
from tests.guard.world import POLICY, Desk

T = TypeVar("T")

LEASE = timedelta(seconds=20)
SLOW = POLICY.replace('lands_within = "1s"', 'lands_within = "2m"')
NOTHING_TO_LOOK_WITH = POLICY.replace('lands_within = "1s"\n', "")


class Gate:
    """Holds the calls of one tool until it is opened; `reached` says that one has come."""

    def __init__(self, tool: str) -> None:
        self.tool, self.reached, self.opened = tool, asyncio.Event(), asyncio.Event()

    async def __call__(self, name: str) -> None:
        if name == self.tool:
            self.reached.set()
            await self.opened.wait()


@asynccontextmanager
async def two(
    policy: str, desk: Desk, folder: Path, gone: set[str] | None = None
) -> AsyncIterator[tuple[GuardForTests, GuardForTests]]:
    """Two guards on one ledger, before one desk, with the same time. `gone`: which of "one", "other" is known to be."""
    clock, known = ManualClock(), gone if gone is not None else set()
    async with (
        guarded(policy, [desk.tools], folder, clock=clock, processes=NamedProcesses("one", known)) as one,
        guarded(policy, [desk.tools], folder, clock=clock, processes=NamedProcesses("other", known)) as other,
    ):
        object.__setattr__(other.use_cases.services, "ids", Others())
        yield one, other


class Others:
    """Identifiers that the first guard does not give."""

    def __init__(self, mark: str = "other") -> None:
        self._mark, self._count = mark, 0

    def new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._mark}{self._count}"

    def jitter(self) -> float:
        return 0.5


def worker(guard: GuardForTests) -> Worker:
    return Worker(guard.use_cases.services, "acme")


async def stall(
    guard: GuardForTests, desk: Desk, doing: Coroutine[Any, Any, T], tool: str = "set"
) -> tuple[asyncio.Task[T], Gate]:
    """Something that a guard was at and that has reached a tool, where it waits; the guard keeps no lease any more."""
    gate = Gate(tool)
    desk.tools.gate = gate
    task = asyncio.create_task(doing)
    await asyncio.wait_for(gate.reached.wait(), 5)
    await guard.use_cases.services.keeper.close()
    desk.tools.gate = None
    return task, gate


@asynccontextmanager
async def stalled(guard: GuardForTests, desk: Desk, tool: str = "set") -> AsyncIterator[None]:
    """A call that has reached its tool, of a guard that from then on does nothing any more until the end."""
    call, gate = await stall(guard, desk, guard.call("set", HIGH), tool)
    try:
        yield
    finally:
        desk.tools.faults["set"] = [NotSent("it is over")]
        gate.opened.set()
        await call


async def test_a_live_guard_keeps_its_lease_for_as_long_as_its_call_takes(tmp_path: Path) -> None:
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        gate = Gate("set")
        desk.tools.gate = gate
        call = asyncio.ensure_future(one.call("set", HIGH))
        await asyncio.wait_for(gate.reached.wait(), 5)
        services = one.use_cases.services
        [action] = await actions(one)
        for _ in range(5):
            one.clock.move(LEASE * 0.9)
            assert await services.keeper.sure(tuple(lease for lease, _ in services.keeper._held.values()))
            assert not (await worker(other).sweep()).settled
        gate.opened.set()
        assert (await call).action.status is Status.SUCCEEDED  # type: ignore[union-attr]
        assert desk.effects == 1
        assert action.status is Status.RUNNING


async def test_what_a_dead_guard_left_is_settled_without_the_agent(tmp_path: Path) -> None:
    """It had taken effect: that is found by looking, and nothing is sent."""
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other), stalled(one, desk):
        desk.tools.functions["set"](HIGH)
        assert not (await worker(other).sweep()).settled  # the lease still holds
        one.clock.move(LEASE * 2)
        swept = await worker(other).sweep()
        [action] = await actions(other)
        assert (swept.settled, action.status, action.verified) == ([action.id], Status.SUCCEEDED, Verified.YES)
        assert desk.effects == 1
        assert "Already done" in said(await other.call("set", HIGH))


async def test_what_provably_did_not_happen_is_not_done_for_nobody(tmp_path: Path) -> None:
    desk = Desk()
    async with two(SLOW, desk, tmp_path) as (one, other), stalled(one, desk):
        one.clock.move(LEASE * 2)
        taking = worker(other)
        swept = await taking.sweep()
        [action] = await actions(other)
        assert (swept.left, action.status) == ([action.id], Status.IN_DOUBT)  # it may still land
        one.clock.move(timedelta(seconds=120))
        assert (await taking.sweep()).settled == [action.id]
        assert (await actions(other))[0].status is Status.FAILED
        assert desk.effects == 0
        assert await other.ledger.queue("acme") == []
        assert (await other.call("set", HIGH)).action.status is Status.SUCCEEDED  # type: ignore[union-attr]
        assert desk.effects == 1


async def test_a_process_that_provably_ended_is_not_waited_for(tmp_path: Path) -> None:
    """Its leases have not run out: a call of the agent takes the action over at once, and so does the worker."""
    desk, gone = Desk(), set[str]()
    async with two(POLICY, desk, tmp_path, gone) as (one, other), stalled(one, desk):
        desk.tools.functions["set"](HIGH)
        assert "In progress" in said(await other.call("set", HIGH))
        gone.add("one")
        reply = await other.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, desk.effects) == (Status.SUCCEEDED, 1)


async def test_the_worker_does_not_wait_for_a_process_that_provably_ended(tmp_path: Path) -> None:
    desk, gone = Desk(), {"one"}
    async with two(POLICY, desk, tmp_path, gone) as (one, other), stalled(one, desk):
        desk.tools.functions["set"](HIGH)
        assert len((await worker(other).sweep()).settled) == 1


async def test_a_guard_that_wakes_up_late_writes_nothing_more(tmp_path: Path) -> None:
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        gate = Gate("set")
        desk.tools.gate = gate
        call = asyncio.ensure_future(one.call("set", HIGH))
        await asyncio.wait_for(gate.reached.wait(), 5)
        await one.use_cases.services.keeper.close()
        one.clock.move(LEASE * 2)
        await worker(other).sweep()
        before = await other.ledger.events("acme", (await actions(other))[0].id)
        gate.opened.set()
        reply = await call
        assert "could not be recorded" in said(reply)
        after = await other.ledger.events("acme", (await actions(other))[0].id)
        assert len(after) == len(before)


async def test_nothing_is_sent_under_a_lease_that_is_somebody_elses(tmp_path: Path) -> None:
    """The guard stalls after its claim; when it wakes up, another one has taken the action over."""
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        services = one.use_cases.services
        commit = services.ledger.commit

        async def stalls(change: Change) -> None:
            await commit(change)
            services.ledger.commit = commit  # type: ignore[method-assign]
            one.clock.move(LEASE * 2)
            await worker(other).sweep()
            one.clock.move(timedelta(seconds=5))
            await worker(other).sweep()

        services.ledger.commit = stalls  # type: ignore[method-assign]
        reply = await one.call("set", HIGH)
        assert desk.effects == 0
        assert "Nothing was sent by it" in said(reply)
        assert (await actions(other))[0].status is Status.FAILED


async def test_nothing_is_sent_while_the_ledger_cannot_say_whose_the_lease_is(
    guard: GuardForTests, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = guard.use_cases.services
    commit = services.ledger.commit

    async def then_away(change: Change) -> None:
        await commit(change)
        guard.clock.move(LEASE)
        monkeypatch.setattr(services.ledger, "renew", away)

    async def away(*_: object) -> None:
        raise LedgerFailure("away")

    monkeypatch.setattr(services.ledger, "commit", then_away)
    reply = await guard.call("set", HIGH)
    assert desk.effects == 0
    assert "Not executed" in said(reply)
    assert (await actions(guard))[0].status is Status.FAILED


async def test_what_cannot_be_looked_at_goes_to_a_person_once(tmp_path: Path) -> None:
    desk = Desk()
    async with two(NOTHING_TO_LOOK_WITH, desk, tmp_path) as (one, other), stalled(one, desk):
        one.clock.move(LEASE * 2)
        taking = worker(other)
        await taking.sweep()
        await taking.sweep()
        [action] = await actions(other)
        assert action.status is Status.NEEDS_OPERATOR
        assert [item.action for item in await other.ledger.queue("acme")] == [action.id]


async def test_a_tool_that_is_gone_leaves_its_action_to_a_person(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["set"] = [("after", OutcomeUnknown("lost", "the reply was lost"))]
    services = guard.use_cases.services
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    lost = next_fact(services, reply.action, Happening.COMPENSATE)
    await guard.ledger.commit(Change(actions=(lost,), tenant="acme"))
    swept = await worker(guard).sweep()
    assert swept.settled == [reply.action.id]
    assert (await guard.ledger.action("acme", reply.action.id)).status is Status.NEEDS_OPERATOR
    assert [item.action for item in await guard.ledger.queue("acme")] == [reply.action.id]


async def test_an_undo_that_was_left_is_brought_to_its_end(tmp_path: Path) -> None:
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        before = dict(desk.records["T-1"])
        reply = await one.call("set", HIGH)
        assert reply.action is not None
        undo, gate = await stall(one, desk, one.undo(reply.action.id))
        one.clock.move(LEASE * 2)
        await worker(other).sweep()
        one.clock.move(timedelta(seconds=5))
        await worker(other).sweep()
        original = await other.ledger.action("acme", reply.action.id)
        assert original.status is Status.COMPENSATED
        assert desk.records["T-1"]["priority"] == before["priority"]
        assert {one.status for one in await actions(other)} == {Status.COMPENSATED, Status.SUCCEEDED}
        desk.tools.faults["set"] = [NotSent("it is over")]
        gate.opened.set()
        await undo


async def test_what_another_guard_brings_to_its_end_meanwhile_is_no_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The target was read, then the late undo landed and a worker settled it, and only then was it judged."""
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        reply = await one.call("set", HIGH)
        assert reply.action is not None
        undo, gate = await stall(one, desk, one.undo(reply.action.id))
        one.clock.move(LEASE * 2)

        async def late(*args: Any) -> Any:
            monkeypatch.setattr("takeback.guard.undo.plan.standoff_of", standoff_of)
            desk.tools.functions["set"]({"id": "T-1", "priority": "normal", "status": "open"})
            await worker(other).sweep()
            return await standoff_of(*args)

        monkeypatch.setattr("takeback.guard.undo.plan.standoff_of", late)
        answer = await other.undo(reply.action.id)
        assert answer.ok, answer.text
        assert (await other.ledger.action("acme", reply.action.id)).status is Status.COMPENSATED
        assert await other.ledger.queue("acme") == []
        desk.tools.faults["set"] = [NotSent("it is over")]
        gate.opened.set()
        await undo


async def test_a_worker_that_comes_late_does_not_undo_a_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had planned the undo; the agent's retry brought it to its end, and the agent wrote again since."""
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        reply = await one.call("set", HIGH)
        assert reply.action is not None
        undo, gate = await stall(one, desk, one.undo(reply.action.id))
        one.clock.move(LEASE * 2)

        async def late(*args: Any) -> Any:
            monkeypatch.setattr("takeback.guard.resuming.carry_out", carry_out)
            assert (await other.undo(reply.action.id)).ok  # type: ignore[union-attr]
            await other.call("set", HIGH)
            return await carry_out(*args)

        monkeypatch.setattr("takeback.guard.resuming.carry_out", late)
        await worker(other).sweep()
        assert desk.records["T-1"]["priority"] == HIGH["priority"]
        assert desk.effects == 3
        desk.tools.faults["set"] = [NotSent("it is over")]
        gate.opened.set()
        await undo


async def test_an_action_that_cannot_be_decided_is_looked_at_after_ever_longer_pauses(tmp_path: Path) -> None:
    desk = Desk()
    async with two(SLOW, desk, tmp_path) as (one, other), stalled(one, desk):
        one.clock.move(LEASE * 2)
        taking = worker(other)
        looks = 0
        for _ in range(60):
            looks += bool((await taking.sweep()).left)
            one.clock.move(timedelta(seconds=1))
        assert 4 <= looks <= 12


async def test_an_approval_that_nobody_answers_expires_by_itself(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert reply.pending is not None
    taking = worker(guard)
    assert (await taking.sweep()).expired == []
    guard.clock.move(timedelta(hours=2))
    assert (await taking.sweep()).expired == [reply.pending.id]
    assert reply.action is not None
    assert (await guard.ledger.action("acme", reply.action.id)).status is Status.DENIED


async def test_a_call_that_is_cancelled_before_it_is_sent_has_no_effect(guard: GuardForTests, desk: Desk) -> None:
    """While the target is read for the before-image, nothing was sent."""
    gate = Gate("get")
    desk.tools.gate = gate
    call = asyncio.ensure_future(guard.call("set", HIGH))
    await asyncio.wait_for(gate.reached.wait(), 5)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    gate.opened.set()
    await guard.use_cases.services.tasks.drain(5)
    assert desk.effects == 0
    assert [action.status for action in await actions(guard)] == [Status.CANCELLED]
    desk.tools.gate = None
    assert (await guard.call("set", HIGH)).action.status is Status.SUCCEEDED  # type: ignore[union-attr]


async def test_what_took_effect_for_nobody_is_in_the_queue_until_its_caller_asks_again(
    guard: GuardForTests, desk: Desk
) -> None:
    gate = Gate("set")
    desk.tools.gate = gate
    call = asyncio.ensure_future(guard.call("set", HIGH))
    await asyncio.wait_for(gate.reached.wait(), 5)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    gate.opened.set()
    await guard.use_cases.services.tasks.drain(5)
    desk.tools.gate = None
    assert [item.why for item in await guard.ledger.queue("acme")] == [LATE]
    assert "Already done" in said(await guard.call("set", HIGH))
    assert await guard.ledger.queue("acme") == []
    assert desk.effects == 1


async def test_what_takes_effect_after_its_run_was_closed_is_for_a_person(guard: GuardForTests, desk: Desk) -> None:
    gate = Gate("set")
    desk.tools.gate = gate
    call = asyncio.ensure_future(guard.call("set", HIGH))
    await asyncio.wait_for(gate.reached.wait(), 5)
    run, under_way = await guard.use_cases.abandon("acme", guard.caller.run, by="anna", reason="the wrong customer")
    gate.opened.set()
    reply = await call
    assert reply.action is not None
    assert (run.status, [one.id for one in under_way]) == (RunStatus.ABANDONED, [reply.action.id])
    assert [(item.action, item.why) for item in await guard.ledger.queue("acme")] == [(reply.action.id, TOO_LATE)]
    assert "abandoned" in said(await guard.call("set", {"id": "T-2", "priority": "low"}))
    assert desk.effects == 1


async def test_an_approval_in_a_closed_run_is_void(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert reply.pending is not None
    await guard.use_cases.abandon("acme", guard.caller.run, by="anna", reason="not needed")
    with pytest.raises(NotDecidable):
        await guard.decide(reply.pending.id, agree=True)
    assert [one.status for one in await actions(guard)] == [Status.CANCELLED]


async def test_a_guard_that_stops_hands_over_what_is_still_under_way(tmp_path: Path) -> None:
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        gate = Gate("set")
        desk.tools.gate = gate
        call = asyncio.ensure_future(one.call("set", HIGH))
        await asyncio.wait_for(gate.reached.wait(), 5)
        await one.use_cases.services.tasks.drain(0)
        await asyncio.gather(call, return_exceptions=True)
        desk.tools.gate = None
        [action] = await actions(other)
        assert action.status is Status.IN_DOUBT
        one.clock.move(timedelta(seconds=5))
        assert (await worker(other).sweep()).settled == [action.id]  # no lease to wait for
        assert desk.effects == 0
