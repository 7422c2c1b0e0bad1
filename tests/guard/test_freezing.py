"""The stop switch: what is frozen does not begin, is not sent, and is not sent again; what was sent is recorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.freezing import FreezeKind
from takeback.core.states import Happening
from takeback.core.vocabulary import Status
from takeback.guard.switching import NotSwitchable, Switched
from takeback.ports import LedgerFailure, NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, guarded
from tests.guard.test_life import HIGH, actions, said
from tests.guard.test_taking_up import Gate, stalled, two, worker
from tests.guard.world import POLICY, Desk

LOW = {"id": "T-1", "priority": "low"}
KEYED = POLICY.replace('lands_within = "1s"', 'idempotency = { meta = "key", valid_for = "1h" }')


async def freeze(
    guard: GuardForTests, kind: str = "upstream", name: str = "desk", *, reads: bool = False, reason: str = "odd mails"
) -> Switched:
    return await guard.use_cases.freeze("acme", FreezeKind(kind), name, reads=reads, by="anna", reason=reason)


async def thaw(guard: GuardForTests, kind: str = "upstream", name: str = "desk") -> Switched:
    return await guard.use_cases.thaw("acme", FreezeKind(kind), name, by="bob", reason="mended")


@pytest.mark.parametrize(
    ("kind", "name"), [("upstream", "desk"), ("tool", "desk.set"), ("run", "r1"), ("tenant", "acme")]
)
async def test_a_frozen_write_is_not_begun_and_the_agent_is_told_all(
    guard: GuardForTests, desk: Desk, kind: str, name: str
) -> None:
    await guard.call("set", LOW)
    switched = await freeze(guard, kind, name)
    assert (switched.fresh, switched.under_way) == (True, ())
    reads = desk.tools.count("get")
    reply = await guard.call("set", HIGH)
    assert reply.action is None
    assert reply.result is not None
    assert reply.result["_meta"]["io.takeback/layer"] == "human"
    told = said(reply)
    for word in (name, "2026-11-23 12:00 UTC", "anna", "odd mails", "Nothing was executed", "takeback thaw"):
        assert word in told, told
    assert (desk.effects, desk.tools.count("get")) == (1, reads)
    assert [a.status for a in await actions(guard)] == [Status.SUCCEEDED]
    assert (await thaw(guard, kind, name)).fresh
    assert (await guard.call("set", HIGH)).action.status is Status.SUCCEEDED  # type: ignore[union-attr]


async def test_only_what_is_frozen_stops(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", LOW)
    await freeze(guard, "tool", "desk.add")
    await freeze(guard, "run", "r1")
    await thaw(guard, "run", "r1")
    assert (await guard.call("set", HIGH)).action is not None
    assert "desk.add" in said(await guard.call("add", {"id": "T-1", "by": 1}))
    assert desk.effects == 2


async def test_a_frozen_run_stops_no_other_run(guard: GuardForTests) -> None:
    await guard.call("set", LOW)
    await freeze(guard, "run", "r1")
    other = GuardForTests(guard.use_cases, guard.ledger, guard.clock, _in_run(guard, "r2"))
    assert (await other.call("set", HIGH)).action is not None
    assert (await guard.call("set", {"id": "T-2", "priority": "high"})).frozen is not None
    listed = await guard.use_cases.history(other.caller, text=None, action=None, needs_attention=False, cursor=None)
    assert "Frozen" not in listed


def _in_run(guard: GuardForTests, run: str) -> Any:
    caller = guard.caller
    return type(caller)(tenant=caller.tenant, principal=caller.principal, run=run, client=caller.client)


async def test_reads_go_on_unless_it_is_said(guard: GuardForTests, desk: Desk) -> None:
    await freeze(guard)
    assert (await guard.call("get", {"id": "T-1"})).frozen is None
    again = await freeze(guard, reads=True, reason="leaks")
    assert (again.fresh, again.freeze.reads) == (True, True)
    count = desk.tools.count("get")
    assert "leaks" in said(await guard.call("get", {"id": "T-1"}))
    assert desk.tools.count("get") == count
    assert list(await guard.use_cases.unreadable(guard.caller)) == ["desk"]
    history = await guard.use_cases.freezes("acme", in_force_only=False)
    assert [(one.reads, one.lifted_by) for one in history] == [(True, None), (False, "anna")]


async def test_freezing_twice_tells_of_the_first(guard: GuardForTests) -> None:
    first = await freeze(guard, reads=True)
    second = await freeze(guard, reason="me, too")
    assert (second.fresh, second.freeze) == (False, first.freeze)


async def test_freezing_and_thawing_stay_on_record(guard: GuardForTests) -> None:
    await freeze(guard)
    await thaw(guard)
    await freeze(guard, reason="again")
    found = await guard.use_cases.freezes("acme", in_force_only=False)
    assert [(one.frozen_by, one.reason, one.lifted_by, one.lifted_reason) for one in found] == [
        ("anna", "again", None, None), ("anna", "odd mails", "bob", "mended"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "there"),
    [
        ("upstream", "dessk", "desk"),
        ("tool", "desk.sett", "desk.set"),
        ("tool", "dessk.set", "desk"),
        ("run", "r9", "r1"),
    ],
)
async def test_an_unknown_name_is_an_error_that_says_what_there_is(
    guard: GuardForTests, kind: str, name: str, there: str
) -> None:
    await guard.call("set", LOW)
    with pytest.raises(NotSwitchable, match=f"There is: .*{there}"):
        await freeze(guard, kind, name)
    assert await guard.use_cases.freezes("acme", in_force_only=False) == []
    with pytest.raises(NotSwitchable, match="Frozen is: nothing"):
        await thaw(guard, kind, name)


class At:
    """Does something once, at the moment when a lease is asked for before the send."""

    def __init__(self, guard: GuardForTests, monkeypatch: pytest.MonkeyPatch, does: Any) -> None:
        keeper, self.does = guard.use_cases.services.keeper, does
        sure = keeper.sure

        async def first(leases: Any) -> bool:
            if self.does is not None:
                does, self.does = self.does, None
                await does()
            return await sure(leases)

        monkeypatch.setattr(keeper, "sure", first)


async def test_what_was_claimed_and_not_sent_is_withheld(
    guard: GuardForTests, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fence before the send."""
    At(guard, monkeypatch, lambda: freeze(guard))
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    assert (reply.action.status, desk.effects, desk.tools.count("set")) == (Status.CANCELLED, 0, 0)
    assert "odd mails" in said(reply)
    [event] = [e for e in await guard.ledger.events("acme", reply.action.id) if e.happening == "cancel"]
    assert "the upstream desk is frozen" in event.detail
    await thaw(guard)
    again = await guard.call("set", HIGH)
    assert again.action is not None
    assert (again.action.status, again.action.id != reply.action.id) == (Status.SUCCEEDED, True)


async def test_a_retry_is_withheld_too(guard: GuardForTests, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.tools.faults["set"] = [NotSent("refused")]
    looked: list[int] = []

    async def at_the_second() -> None:
        looked.append(1)

    At(guard, monkeypatch, at_the_second)
    sleep = guard.clock.sleep

    async def and_then(seconds: float) -> None:
        monkeypatch.setattr(guard.clock, "sleep", sleep)
        await freeze(guard)

    monkeypatch.setattr(guard.clock, "sleep", and_then)
    reply = await guard.call("set", HIGH)
    assert reply.frozen is not None
    assert (looked, desk.tools.count("set"), desk.effects) == ([1], 0, 0)


async def test_what_was_sent_is_finished_and_recorded(guard: GuardForTests, desk: Desk) -> None:
    gate = Gate("set")
    desk.tools.gate = gate
    call = asyncio.ensure_future(guard.call("set", HIGH))
    await asyncio.wait_for(gate.reached.wait(), 5)
    switched = await freeze(guard)
    assert [one.status for one in switched.under_way] == [Status.RUNNING]
    desk.tools.gate = None
    gate.opened.set()
    reply = await call
    assert reply.action is not None
    assert (reply.action.status, desk.effects) == (Status.SUCCEEDED, 1)
    replayed = await guard.call("set", HIGH)
    assert replayed.action is not None
    assert (replayed.action.id, replayed.frozen, desk.effects) == (reply.action.id, None, 1)


async def test_an_approval_stays_and_runs_nothing(guard: GuardForTests, desk: Desk) -> None:
    mails = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert mails.pending is not None
    await freeze(guard)
    await guard.decide(mails.pending.id, agree=True)
    before = desk.effects
    assert (await guard.call("send", {"id": "T-1", "body": "hello"})).frozen is not None
    assert desk.effects == before
    assert (await guard.ledger.approval("acme", mails.pending.id)).status == "approved"
    await thaw(guard)
    sent = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert (sent.action.status if sent.action else None, desk.effects) == (Status.SUCCEEDED, before + 1)


async def test_settling_looks_and_does_not_send_again(desk: Desk, tmp_path: Path) -> None:
    """It was left in doubt and had no effect: that is found, and nothing is sent, though somebody waits for it."""
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "the line went dead")]
        sleep = guard.clock.sleep

        async def and_then(seconds: float) -> None:
            guard.clock.sleep = sleep  # type: ignore[method-assign]
            await freeze(guard)
            await sleep(seconds)

        guard.clock.sleep = and_then  # type: ignore[method-assign]
        reply = await guard.call("set", HIGH)
        assert reply.frozen is not None
        assert (desk.tools.count("set"), desk.effects) == (0, 0)
        [action] = await actions(guard)
        assert (action.status, action.in_force) == (Status.FAILED, False)


async def test_what_can_only_be_settled_by_sending_waits(desk: Desk, tmp_path: Path) -> None:
    """The upstream honours keys, so that asking again is looking; the worker does not do so while it is frozen."""
    async with two(KEYED, desk, tmp_path) as (one, other), stalled(one, desk):
        one.clock.move(timedelta(minutes=2))
        await freeze(other)
        swept = await worker(other).sweep()
        [action] = await actions(other)
        assert (swept.settled, action.status, desk.tools.count("set")) == ([], Status.IN_DOUBT, 0)
        happened = [event.happening for event in await other.ledger.events("acme", action.id)]
        assert Happening.ATTEMPT not in happened, "nothing says that it was sent again"
        await thaw(other)
        await worker(other).sweep()
        [action] = await actions(other)
        assert (action.status, desk.effects) == (Status.SUCCEEDED, 1)


async def test_frozen_calls_are_no_loop(guard: GuardForTests, desk: Desk) -> None:
    await freeze(guard, reads=True)
    for _ in range(8):
        assert (await guard.call("set", HIGH)).frozen is not None
        assert (await guard.call("get", {"id": "T-1"})).frozen is not None
    await thaw(guard)
    assert (await guard.call("set", HIGH)).action is not None
    assert (await guard.call("get", {"id": "T-1"})).frozen is None


async def test_a_guard_that_cannot_ask_the_ledger_does_not_send(
    guard: GuardForTests, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: Any, **_more: Any) -> Any:
        raise LedgerFailure("away")

    monkeypatch.setattr(guard.ledger, "freezes", away)
    reply = await guard.call("set", HIGH)
    assert (desk.tools.count("set"), reply.action.status if reply.action else None) == (0, Status.FAILED)


async def test_the_agent_finds_it_in_its_history(guard: GuardForTests) -> None:
    await freeze(guard)
    listed = await guard.use_cases.history(guard.caller, text=None, action=None, needs_attention=False, cursor=None)
    assert listed.startswith("Frozen: the upstream desk, writes, since 2026-11-23 12:00 UTC by anna")
