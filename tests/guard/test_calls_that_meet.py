"""Calls that meet: side by side, after an approval, under one key, at a limit, in the middle of an undo."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from takeback.core.vocabulary import Status
from takeback.ports import NotSent
from takeback.testing import GuardForTests, guarded
from tests.guard.test_approval import MAIL, ask
from tests.guard.test_life import HIGH, actions, failed, said
from tests.guard.test_undo import done
from tests.guard.world import POLICY, Desk, record

LOW: dict[str, Any] = {"id": "T-1", "priority": "low"}
LIMITED = POLICY.replace('timeout = "1s"', 'timeout = "1s"\nlimits = { writes_per_run = 3 }')
DENYING = POLICY.replace("[defaults]", '[defaults]\nunknown_tools = "deny"')


async def test_a_limit_holds_for_calls_side_by_side(desk: Desk, tmp_path: Path) -> None:
    desk.records = {f"R-{n}": record(f"R-{n}") for n in range(12)}
    async with guarded(LIMITED, [desk.tools], tmp_path) as guard:
        calls = (guard.call("set", {"id": f"R-{n}", "priority": "high"}) for n in range(12))
        replies = await asyncio.gather(*calls)
        assert desk.effects == 3
        assert sum("the limit writes_per_run = 3 is reached" in said(reply) for reply in replies) == 9


async def test_asking_again_and_again_does_not_outlast_the_approval(guard: GuardForTests, desk: Desk) -> None:
    for _ in range(8):
        reply = await ask(guard)
    assert reply.pending is not None
    await guard.decide(reply.pending.id, agree=True)
    await guard.call("send", MAIL)
    assert len(desk.mails) == 1


async def test_denied_calls_side_by_side_are_all_denied_and_recorded(desk: Desk, tmp_path: Path) -> None:
    async with guarded(DENYING, [desk.tools], tmp_path) as guard:
        replies = await asyncio.gather(*(guard.call("odd", {}) for _ in range(4)))
        assert all("the policy denies unknown tools" in said(reply) for reply in replies)
        assert [action.status for action in await actions(guard)] == [Status.DENIED] * 4


async def test_an_equal_call_that_waits_too_long_is_told_that_the_first_is_under_way(
    desk: Desk, tmp_path: Path
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        if name == "set":
            entered.set()
            await go_on.wait()

    desk.tools.gate = hold
    impatient = POLICY.replace('join_within = "2s"', 'join_within = "10ms"')
    async with guarded(impatient, [desk.tools], tmp_path) as guard:
        first = asyncio.create_task(guard.call("set", HIGH))
        await asyncio.wait_for(entered.wait(), 5)
        reply = await guard.call("set", HIGH)
        assert "In progress" in said(reply)
        assert "Nothing was changed" not in said(reply)
        other = await guard.call("set", LOW)
        assert "busy with another call" in said(other)
        go_on.set()
        assert not failed(await first)


async def test_the_clients_key_replays_whatever_came_between(guard: GuardForTests, desk: Desk) -> None:
    key = {"io.takeback/idempotencyKey": "k1"}
    await guard.call("set", HIGH, meta=key)
    await guard.call("set", LOW)
    assert said(await guard.call("set", HIGH, meta=key)).startswith("Already done")
    assert desk.records["T-1"]["priority"] == "low"


async def test_under_the_clients_key_what_was_undone_is_not_done_again(guard: GuardForTests, desk: Desk) -> None:
    key = {"io.takeback/idempotencyKey": "k1"}
    reply = await guard.call("set", HIGH, meta=key)
    assert reply.action is not None
    await guard.undo(reply.action.id)
    again = await guard.call("set", HIGH, meta=key)
    assert "then undone by agent" in said(again)
    assert desk.records["T-1"]["priority"] == "normal"


async def test_an_empty_key_of_the_client_is_none(guard: GuardForTests, desk: Desk) -> None:
    empty = {"io.takeback/idempotencyKey": ""}
    assert not failed(await guard.call("set", HIGH, meta=empty))
    assert not failed(await guard.call("set", {"id": "T-2", "priority": "low"}, meta=empty))


async def test_a_retry_beside_another_call_on_its_target_is_still_a_retry(desk: Desk, tmp_path: Path) -> None:
    meant = POLICY.replace('id = "charge"', 'id = "charge"\nduplicates = "meant"')
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        if name == "set":
            entered.set()
            await go_on.wait()

    async with guarded(meant, [desk.tools], tmp_path) as guard:
        await guard.call("charge", {"id": "T-1"})
        desk.tools.gate = hold
        other = asyncio.create_task(guard.call("set", HIGH))
        await asyncio.wait_for(entered.wait(), 5)
        retry = asyncio.create_task(guard.call("charge", {"id": "T-1"}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        go_on.set()
        await other
        assert said(await retry).startswith("Already done")
        assert desk.charges == ["T-1"]


async def test_an_older_call_that_ran_late_is_the_newest_write(guard: GuardForTests, desk: Desk) -> None:
    """It was begun first, failed without effect, and was done when another had been done."""
    desk.tools.faults["set"] = [NotSent("down")] * 3
    await guard.call("set", HIGH)
    await guard.call("set", LOW)
    await guard.call("set", HIGH)
    assert desk.effects == 2
    assert said(await guard.call("set", HIGH)).startswith("Already done")
    assert desk.effects == 2
    assert not failed(await guard.call("set", LOW))
    assert desk.records["T-1"]["priority"] == "low"


async def test_two_undos_at_once_are_one_and_both_say_so(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    effects = desk.effects
    answers = await asyncio.gather(guard.undo(action), guard.undo(action))
    assert desk.effects == effects + 1
    assert [answer.ok for answer in answers] == [True, True], answers
    assert {answer.outcome for answer in answers} <= {"exact", None}
