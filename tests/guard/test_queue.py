"""The recovery queue: what lands in it, what leaves it by itself, and what people say of its entries."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.queue import Cause, QueueDecision, QueueState
from takeback.core.vocabulary import Status, Verified
from takeback.guard.entries import NotResolvable, Overtaken
from takeback.ports import NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, ToolError, guarded
from tests.guard.test_life import HIGH, said
from tests.guard.test_taking_up import SLOW, worker
from tests.guard.waiting import ANNA, closed, entries, in_doubt, lying, the_entry
from tests.guard.world import Desk

# --- what lands in it ---


async def test_a_mismatch_is_in_the_queue_with_what_was_found(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    reply = await guard.call("set", HIGH)
    entry = await the_entry(guard)
    assert reply.action is not None
    assert (entry.item.action, entry.item.cause, entry.state) == (reply.action.id, Cause.MISMATCH, QueueState.OPEN)
    assert "urgent" in entry.item.why
    assert (await guard.call("set", HIGH)).action == reply.action
    assert len(await entries(guard)) == 1
    told = await guard.use_cases.history(guard.caller, text=None, action=None, needs_attention=True, cursor=None)
    assert f"{entry.item.id} {reply.action.id} low risk" in told
    assert ", open: " in told


async def test_an_error_after_which_the_world_is_not_as_before_is_in_the_queue(
    guard: GuardForTests, desk: Desk
) -> None:
    def half(args: dict[str, Any]) -> Any:
        desk.records[args["id"]]["priority"] = "half"
        raise ToolError("it broke")

    desk.tools.functions = {**desk.tools.functions, "set": half}
    await guard.call("set", HIGH)
    assert (await the_entry(guard)).item.cause is Cause.PARTIAL


async def test_an_error_without_effect_is_not(guard: GuardForTests, desk: Desk) -> None:
    def broken(args: dict[str, Any]) -> Any:
        raise ToolError("it broke")

    desk.tools.functions = {**desk.tools.functions, "set": broken}
    await guard.call("set", HIGH)
    assert await entries(guard, open_only=False) == []


async def test_what_merely_waits_is_not_until_looking_has_failed_for_long(tmp_path: Path) -> None:
    desk = Desk()
    async with guarded(SLOW, [desk.tools], tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        reply = await guard.call("set", HIGH)
        assert "looked at again" in said(reply)
        taking = worker(guard)
        desk.tools.faults["get"] = [NotSent("away")] * 1000
        for _ in range(11):
            await taking.sweep()
            assert await entries(guard, open_only=False) == []
            guard.clock.move(timedelta(minutes=1))
        guard.clock.move(timedelta(minutes=3))
        await taking.sweep()
        entry = await the_entry(guard)
        assert (entry.item.cause, entry.action and entry.action.status) == (Cause.IN_DOUBT, Status.IN_DOUBT)
        desk.tools.faults["get"] = []
        guard.clock.move(timedelta(minutes=3))
        await taking.sweep()
        assert await closed(guard) == [("guard", "resume")]


async def test_a_conflict_stays_one_entry_however_often_it_is_met(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    desk.records["T-1"]["priority"] = "theirs"
    first = await guard.undo(reply.action.id)
    again = await guard.undo(reply.action.id)
    entry = await the_entry(guard)
    assert entry.item.cause is Cause.CONFLICT
    assert entry.item.id in first.text
    assert entry.item.id in again.text


async def test_what_is_taken_back_leaves_nothing_to_look_at(guard: GuardForTests, desk: Desk) -> None:
    """A conflict that was resolved in the world: the next undo closes its entry in the commit that ends it."""
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    desk.records["T-1"]["priority"] = "theirs"
    await guard.undo(reply.action.id)
    desk.records["T-1"]["priority"] = "high"
    assert (await guard.undo(reply.action.id)).ok
    assert await closed(guard) == [("agent", "compensate")]


async def test_what_is_back_already_leaves_nothing_to_look_at(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    desk.records["T-1"]["priority"] = "theirs"
    await guard.undo(reply.action.id)
    desk.records["T-1"]["priority"] = "normal"
    assert (await guard.undo(reply.action.id)).ok
    assert await closed(guard) == [("agent", "compensate")]


# --- assigning, commenting, showing ---


async def test_an_entry_is_assigned_commented_on_and_shown(guard: GuardForTests, desk: Desk) -> None:
    action = await in_doubt(guard, desk, acted=True)
    use_cases = guard.use_cases
    await use_cases.assign("acme", action, to="ben", by="anna")
    await use_cases.comment("acme", action, by="ben", text="I asked the bank")
    assert len(await entries(guard, assignee="ben")) == len(await entries(guard, text="BANK")) == 1
    assert await entries(guard, assignee="") == []
    shown = await use_cases.entry("acme", action)
    assert [(said.by, said.text) for said in shown.comments] == [
        ("anna", "assigned to ben"), ("ben", "I asked the bank")
    ]  # fmt: skip
    assert [way.decision for way in shown.suggestions] == [
        QueueDecision.RESUME, QueueDecision.TOOK_EFFECT, QueueDecision.NO_EFFECT, QueueDecision.CLOSE
    ]  # fmt: skip
    await use_cases.assign("acme", action, to=None, by="ben")
    await use_cases.resolve("acme", action, decision="took_effect", by="anna", reason="the bank says so")
    with pytest.raises(Overtaken, match="closed by anna"):
        await use_cases.assign("acme", action, to="ben", by="ben")
    await use_cases.comment("acme", action, by="ben", text="thanks")
    after = await use_cases.entry("acme", action)
    assert (after.suggestions, len(after.comments)) == ((), 4)
    for text in ("", " ", "x" * 4001):
        with pytest.raises(NotResolvable):
            await use_cases.comment("acme", action, by="ben", text=text)


async def test_what_is_suggested_is_what_the_policy_had_prepared(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    reply = await guard.call("set", {**HIGH, "ssn": "123-45-6789"})
    assert reply.action is not None
    way = (await guard.use_cases.entry("acme", reply.action.id)).suggestions[0]
    assert (way.decision, way.action, way.tool) == (QueueDecision.COMPENSATE, reply.action.id, "desk.set")
    assert (way.arguments["priority"], way.risk and way.risk.value, way.approval) == ("normal", "low", False)
    assert "123-45" not in repr(await guard.use_cases.entry("acme", reply.action.id))


async def test_a_persons_word_on_a_mismatch(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    fine, nothing = await guard.call("set", HIGH), await guard.call("set", {"id": "T-2", "priority": "high"})
    assert fine.action is not None
    assert nothing.action is not None
    resolve = guard.use_cases.resolve
    _, good = await resolve("acme", fine.action.id, decision="took_effect", by="anna", reason="urgent is high here")
    assert (good.status, good.verified, good.in_force) == (Status.SUCCEEDED, Verified.IMPOSSIBLE, True)
    _, none = await resolve("acme", nothing.action.id, decision="no_effect", by="anna", reason="put right by hand")
    assert (none.status, none.in_force) == (Status.FAILED, False)
    assert await entries(guard) == []


async def test_a_decision_needs_a_reason(guard: GuardForTests, desk: Desk) -> None:
    action = await in_doubt(guard, desk, acted=True)
    use_cases = guard.use_cases
    for decide in (
        lambda: use_cases.resolve("acme", action, decision="close", by="anna", reason=" "),
        lambda: use_cases.resume("acme", action, by="anna", reason=""),
        lambda: use_cases.compensate(ANNA, action, reason=""),
    ):
        with pytest.raises(NotResolvable, match="reason"):
            await decide()
    assert (await the_entry(guard)).item.version == 1
