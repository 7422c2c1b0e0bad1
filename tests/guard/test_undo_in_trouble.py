"""Undos that meet trouble: a caller that goes, a step that fails, a guard that dies, a claim that is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.vocabulary import Status
from takeback.guard.worker import Worker
from takeback.ports import NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, guarded
from tests.guard.test_life import HIGH, failed
from tests.guard.test_undo import confirmed, done
from tests.guard.world import POLICY, Desk

LOW: dict[str, Any] = {"id": "T-1", "priority": "low"}
SET = 'id = "set"\ntool = "desk.set"\nclass = "internal_update"\neffect = "set"\n'
CHAIN = POLICY.replace(
    'undo = { tool = "desk.set", '
    'args = { id = "target.id", priority = "before.priority", status = "before.status" } }\n\n'
    '[[rule]]\nid = "create"',
    """[[rule.undo]]
tool = "desk.set"
args = { id = "target.id", priority = "before.priority", status = "before.status" }
[[rule.undo]]
tool = "desk.charge"
args = { id = "target.id" }

[[rule]]
id = "create\"""",
)


async def test_a_chain_goes_on_when_its_caller_has_gone(desk: Desk, tmp_path: Path) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        if name == "set":
            entered.set()
            await go_on.wait()

    async with guarded(CHAIN, [desk.tools], tmp_path) as guard:
        action = await done(guard, "set", HIGH)
        desk.tools.gate = hold
        undo = asyncio.create_task(confirmed(guard, action))
        await asyncio.wait_for(entered.wait(), 5)
        undo.cancel()
        with pytest.raises(asyncio.CancelledError):
            await undo
        go_on.set()
        await guard.use_cases.services.tasks.drain(5)
        assert desk.charges == ["T-1"]
        assert (await guard.ledger.action("acme", action)).status is Status.COMPENSATED


async def test_a_chain_that_breaks_off_needs_an_operator_and_is_not_said_to_have_had_no_effect(
    desk: Desk, tmp_path: Path
) -> None:
    async with guarded(CHAIN, [desk.tools], tmp_path) as guard:
        action = await done(guard, "set", HIGH)
        desk.tools.faults["charge"] = [NotSent("down")] * 3
        answer = await confirmed(guard, action)
        assert not answer.ok
        assert "Undone in part only" in answer.text
        assert desk.records["T-1"]["priority"] == "normal"
        assert (await guard.ledger.action("acme", action)).status is Status.NEEDS_OPERATOR


async def test_a_failed_action_is_no_success_because_its_undo_could_not_be_sent(
    guard: GuardForTests, desk: Desk
) -> None:
    act = desk.tools.functions["add"]
    desk.tools.functions = {**desk.tools.functions, "add": lambda args: desk._add({**args, "by": 7})}
    reply = await guard.call("add", {"id": "T-1", "by": 5})
    assert reply.action is not None
    assert reply.action.status is Status.FAILED
    desk.tools.functions = {**desk.tools.functions, "add": act}
    desk.tools.faults["add"] = [NotSent("down")] * 3
    await guard.undo(reply.action.id)
    stands = await guard.ledger.action("acme", reply.action.id)
    assert (stands.status, stands.in_force) == (Status.NEEDS_OPERATOR, True)
    assert (await guard.undo(reply.action.id)).ok
    assert desk.records["T-1"]["total"] == 102, "what the call named is taken back; what came beside it stays"


async def test_an_undo_that_was_cut_off_is_brought_to_its_end(desk: Desk, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/shared.db"
    act = desk.tools.functions["set"]
    async with guarded(POLICY, [desk.tools], tmp_path / "one", url=url) as first:
        action = await done(first, "set", HIGH)
        never = asyncio.Event()

        def dies(args: dict[str, Any]) -> Any:
            act(args)
            undo.cancel()
            raise asyncio.CancelledError

        desk.tools.functions = {**desk.tools.functions, "set": dies}
        undo = asyncio.create_task(first.undo(action))
        with pytest.raises(asyncio.CancelledError):
            await undo
        assert not never.is_set()
    assert desk.records["T-1"]["priority"] == "normal"
    desk.tools.functions = {**desk.tools.functions, "set": act}
    async with guarded(POLICY, [desk.tools], tmp_path / "two", url=url) as second:
        second.clock._passed = 1000
        assert (await second.ledger.action("acme", action)).status is Status.COMPENSATING
        answer = await second.undo(action)
        if answer.confirm:
            answer = await second.undo(action, confirm=answer.confirm)
        assert answer.ok, answer.text
        stands = await second.ledger.action("acme", action)
        assert (stands.status, stands.in_force) == (Status.COMPENSATED, False)
        assert not failed(await second.call("set", LOW))


async def test_a_claim_that_was_refused_leaves_the_original_to_be_moved(
    guard: GuardForTests, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from takeback.ports import LeaseLost

    action = await done(guard, "set", HIGH)
    commit, refused = guard.ledger.commit, 0

    async def once(change: Any) -> None:
        nonlocal refused
        if len(change.actions) == 2 and not refused:
            refused += 1
            raise LeaseLost("gone")
        await commit(change)

    monkeypatch.setattr(guard.ledger.__class__, "commit", lambda _self, change: once(change))
    answer = await guard.undo(action)
    assert refused == 1
    assert answer.ok, answer.text
    assert (await guard.ledger.action("acme", action)).status is Status.COMPENSATED


async def test_a_preview_with_a_view_counter_can_be_confirmed(desk: Desk, tmp_path: Path) -> None:
    careful = POLICY.replace(f'{SET}risk = "low"', f'{SET}risk = "medium"')
    async with guarded(careful, [desk.tools], tmp_path) as guard:
        action = await done(guard, "set", HIGH)
        assert (await confirmed(guard, action)).ok


async def test_a_pending_undo_is_not_called_failed(desk: Desk, tmp_path: Path) -> None:
    asking = POLICY.replace('id = "delete"', 'id = "delete"\napproval = "always"')
    async with guarded(asking, [desk.tools], tmp_path) as guard:
        action = await done(guard, "create", {"title": "new"})
        answer = await guard.undo(action)
        assert "a person must agree first" in answer.text
        assert answer.outcome is None


async def test_what_is_recorded_is_what_was_sent(guard: GuardForTests, desk: Desk) -> None:
    """The status went back by itself between the look and the restoring write: only the priority is sent."""
    action = await done(guard, "set", {**HIGH, "status": "closed"})
    looks = 0

    async def edit(name: str) -> None:
        nonlocal looks
        looks += name == "get"
        if looks == 2:
            desk.records["T-1"]["status"] = "open"

    desk.tools.gate = edit
    assert (await guard.undo(action)).ok
    [undo] = await guard.ledger.compensations("acme", action)
    sent = [arguments for name, arguments in desk.tools.calls if name == "set"][-1]
    assert undo.arguments == sent == {"id": "T-1", "priority": "normal"}


async def test_undo_the_last_after_an_undo_that_failed_means_the_same_action(guard: GuardForTests, desk: Desk) -> None:
    await done(guard, "set", {"id": "T-2", "priority": "low"})
    last = await done(guard, "set", HIGH)
    act = desk.tools.functions["set"]
    desk.tools.functions = {**desk.tools.functions, "set": lambda args: {"ok": True}}
    assert (await guard.undo()).action == last
    desk.tools.functions = {**desk.tools.functions, "set": act}
    assert (await guard.undo()).action == last
    assert desk.records["T-2"]["priority"] == "low"


async def test_a_chain_is_judged_at_its_end(desk: Desk, tmp_path: Path) -> None:
    """Its first call need not restore anything: the note comes before the change."""
    first, second = CHAIN.index('[[rule.undo]]\ntool = "desk.set"'), CHAIN.index('[[rule.undo]]\ntool = "desk.charge"')
    end = CHAIN.index('[[rule]]\nid = "create"')
    swapped = CHAIN[:first] + CHAIN[second:end] + CHAIN[first:second] + "\n" + CHAIN[end:]
    async with guarded(swapped, [desk.tools], tmp_path) as guard:
        action = await done(guard, "set", HIGH)
        answer = await confirmed(guard, action)
        assert answer.ok, answer.text
        assert desk.charges == ["T-1"]
        assert desk.records["T-1"]["priority"] == "normal"


@pytest.mark.parametrize("acted", [True, False])
async def test_a_redo_that_lost_its_reply_is_settled_by_looking(desk: Desk, tmp_path: Path, acted: bool) -> None:
    """What it makes stand again stands only if it does: the action, its undo and the redo say the same."""
    policy = POLICY.replace('lands_within = "1s"', 'lands_within = "2m"')
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        action = await done(guard, "set", HIGH)
        assert (await guard.undo(action)).ok
        [undo] = await guard.ledger.compensations("acme", action)
        lost = OutcomeUnknown("lost", "the reply was lost")
        desk.tools.faults["set"] = [("after", lost) if acted else lost]
        await guard.undo(undo.id)
        guard.clock.move(timedelta(minutes=5))
        await Worker(guard.use_cases.services, "acme").sweep()
        [redo] = await guard.ledger.compensations("acme", undo.id)
        now = [await guard.ledger.action("acme", one) for one in (action, undo.id, redo.id)]
        assert desk.records["T-1"]["priority"] == ("high" if now[0].in_force else "normal")
        assert [one.status for one in now] == (
            [Status.SUCCEEDED, Status.COMPENSATED, Status.SUCCEEDED]
            if now[0].in_force
            else [Status.COMPENSATED, Status.SUCCEEDED, Status.FAILED]
        )
        assert now[0].in_force or not acted
