"""The recovery queue: what lands in it, what leaves it by itself, and how people decide about it, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.queue import Cause, QueueDecision, QueueState
from takeback.core.vocabulary import Status, Verified
from takeback.guard.entries import NotResolvable, Overtaken
from takeback.ports import Caller, NotSent, OutcomeUnknown, QueueEntry, QueueQuery
from takeback.testing import GuardForTests, ToolError, guarded
from tests.guard.plans import group, over, plan, step, submit, the_plan
from tests.guard.test_life import HIGH, actions, said
from tests.guard.test_taking_up import LEASE, SLOW, Gate, two, worker
from tests.guard.world import POLICY, Desk

CHARGE = {"id": "T-1"}
ANNA = Caller(tenant="acme", principal="anna", run="", client="test", person=True)
BEN = replace(ANNA, principal="ben")


def lying(desk: Desk, priority: str = "urgent") -> None:
    """From now on `set` writes something else than it is asked for; and takes back what it is told to."""
    honest = desk.tools.functions["set"]

    def set_(args: dict[str, Any]) -> Any:
        wrong = {**args, "priority": priority} if args.get("priority") == "high" else args
        return honest(wrong)

    desk.tools.functions = {**desk.tools.functions, "set": set_}


async def entries(guard: GuardForTests, **query: Any) -> list[QueueEntry]:
    page = await guard.use_cases.queue(QueueQuery(tenant="acme", **query))
    return list(page.entries)


async def the_entry(guard: GuardForTests) -> QueueEntry:
    [entry] = await entries(guard)
    return entry


async def closed(guard: GuardForTests) -> list[tuple[str | None, str | None]]:
    return [(one.item.closed_by, one.item.decision) for one in await entries(guard, open_only=False)]


async def in_doubt(guard: GuardForTests, desk: Desk, *, acted: bool) -> str:
    """A charge that nobody can look for."""
    lost = OutcomeUnknown("lost", "the reply was lost")
    desk.tools.faults["charge"] = [("after", lost) if acted else lost]
    reply = await guard.call("charge", CHARGE)
    assert reply.action is not None
    return reply.action.id


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


# --- resume ---


async def test_resuming_looks_again_and_the_one_who_did_signs_for_it(tmp_path: Path) -> None:
    desk = Desk()
    policy = POLICY.replace('lands_within = "1s"\n', "")
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert reply.action.status is Status.NEEDS_OPERATOR
        still = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="is it there?")
        assert not still.done
        assert (await the_entry(guard)).state is QueueState.OPEN
        desk.records["T-1"]["priority"] = "high"  # it lands after all
        found = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="is it there now?")
        assert (found.done, found.action.status, found.action.verified) == (True, Status.SUCCEEDED, Verified.YES)
        assert await closed(guard) == [("anna", "resume")]
        assert (found.entry.item.reason, desk.tools.count("set")) == ("is it there now?", 0)


async def test_what_proves_to_have_had_no_effect_is_tried_again_only_when_that_is_wanted(tmp_path: Path) -> None:
    desk = Desk()
    async with guarded(SLOW, [desk.tools], tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        desk.tools.faults["get"] = [NotSent("away")] * 100
        guard.clock.move(timedelta(minutes=20))
        await worker(guard).sweep()
        desk.tools.faults["get"] = []
        looked = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="go on")
        assert (looked.done, looked.action.status) == (False, Status.FAILED)
        assert (desk.effects, "no effect" in looked.entry.item.why) == (0, True)
        ways = (await guard.use_cases.entry("acme", reply.action.id)).suggestions
        assert (ways[0].decision, ways[0].text) == (QueueDecision.RESUME, "try it again, as its rule allows")
        tried = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="do it")
        assert (tried.done, tried.action.id, tried.action.status) == (True, reply.action.id, Status.SUCCEEDED)
        assert (desk.effects, await closed(guard)) == (1, [("anna", "resume")])


async def test_a_new_attempt_needs_the_approval_that_its_rule_asks_for(tmp_path: Path) -> None:
    desk = Desk()
    policy = SLOW.replace('id = "set"\n', 'id = "set"\napproval = "always"\n')
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        asked = await guard.call("set", HIGH)
        assert asked.pending is not None
        await guard.decide(asked.pending.id, agree=True)
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        desk.tools.faults["get"] = []
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        desk.tools.faults["get"] = [NotSent("away")] * 100
        guard.clock.move(timedelta(minutes=20))
        await worker(guard).sweep()
        desk.tools.faults["get"] = []
        await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="look")
        waiting = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="do it")
        assert (waiting.done, desk.effects) == (False, 0)
        assert "a person must agree first" in waiting.text
        [approval] = await guard.ledger.approvals("acme")
        await guard.decide(approval.id, agree=True)
        done = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="do it now")
        assert (done.done, desk.effects) == (True, 1)


async def test_a_mismatch_is_read_again(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    still = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="look")
    assert (still.done, "still does not show" in still.text) == (False, True)
    desk.records["T-1"]["priority"] = "high"
    found = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="look")
    assert (found.done, found.action.status, found.action.verified) == (True, Status.SUCCEEDED, Verified.YES)
    assert desk.effects == 1
    assert (await guard.undo(reply.action.id)).ok
    assert desk.records["T-1"]["priority"] == "normal"


async def test_there_is_not_always_something_to_resume(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    desk.records["T-1"]["priority"] = "theirs"
    await guard.undo(reply.action.id)
    with pytest.raises(NotResolvable, match="nothing to resume"):
        await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="go on")
    assert (await the_entry(guard)).item.handler is None


async def test_a_plan_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    """First what became of its step must be said; then the plan is resumed, and does nothing twice."""
    desk = Desk()
    document = plan(
        group(step("charge", "charge", id="T-1")), group(step("rank", "set", "charge", id="T-1", priority="high"))
    )
    async with over(desk, tmp_path) as guard:
        desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "gone"))]
        await submit(guard, document)
        stopped = await the_plan(guard)
        [of_step] = [one for one in await entries(guard) if one.item.cause is Cause.IN_DOUBT]
        still = await guard.use_cases.resume("acme", stopped.id, by="anna", reason="go on")
        assert (desk.tools.count("set"), still.action.status) == (0, Status.NEEDS_OPERATOR)
        await guard.use_cases.resolve("acme", of_step.item.id, decision="took_effect", by="anna", reason="the bank")
        done = await guard.use_cases.resume("acme", stopped.id, by="anna", reason="go on")
        assert (done.done, done.action.status) == (True, Status.SUCCEEDED)
        assert (desk.charges, desk.tools.count("set")) == (["T-1"], 1)
        assert await entries(guard) == []


# --- compensate ---


async def test_taking_back_goes_through_the_preview_where_the_undo_has_one(tmp_path: Path) -> None:
    desk = Desk()
    low = 'risk = "low"\ntarget = { type = "record", id = "args.id", label'
    policy = POLICY.replace(low, low.replace("low", "medium"))
    assert policy != POLICY
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        desk.records["T-1"]["priority"] = "theirs"
        await guard.undo(reply.action.id)
        desk.records["T-1"]["priority"] = "high"
        item = (await the_entry(guard)).item
        shown = await guard.use_cases.compensate(ANNA, item.id, reason="wrong record")
        assert (shown.done, desk.effects) == (False, 1)
        assert shown.confirm is not None
        odd = await guard.use_cases.compensate(ANNA, item.id, reason="wrong record", confirm="something else")
        assert (odd.done, desk.effects) == (False, 1)
        done = await guard.use_cases.compensate(ANNA, item.id, reason="wrong record", confirm=shown.confirm)
        assert (done.done, done.action.status, desk.effects) == (True, Status.COMPENSATED, 2)
        assert await closed(guard) == [("anna", "compensate")]
        assert "wrong record" in (done.entry.item.reason or "")


async def test_an_undo_that_is_refused_gives_the_entry_back(guard: GuardForTests, desk: Desk) -> None:
    lying(desk)
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    refused = await guard.use_cases.compensate(ANNA, reply.action.id, reason="wrong")
    assert (refused.done, refused.confirm) == (False, None)
    assert "that may be others' edit" in refused.text
    assert [(one.item.cause, one.state, one.item.handler) for one in await entries(guard)] == [
        (Cause.MISMATCH, QueueState.OPEN, None),
        (Cause.CONFLICT, QueueState.OPEN, None),
    ]
    with pytest.raises(NotResolvable, match="several entries"):
        await guard.use_cases.compensate(ANNA, reply.action.id, reason="wrong")


async def test_only_a_person_compensates(guard: GuardForTests, desk: Desk) -> None:
    await in_doubt(guard, desk, acted=True)
    entry = await the_entry(guard)
    with pytest.raises(NotResolvable, match="person"):
        await guard.use_cases.compensate(guard.caller, entry.item.id, reason="I want it")


# --- one at a time ---


@pytest.fixture
async def contested(tmp_path: Path) -> AsyncIterator[tuple[GuardForTests, GuardForTests, Desk, str]]:
    """Two guards, and a conflict in the queue that an undo can take back by now."""
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        reply = await one.call("set", HIGH)
        assert reply.action is not None
        desk.records["T-1"]["priority"] = "theirs"
        await one.undo(reply.action.id)
        desk.records["T-1"]["priority"] = "high"
        yield one, other, desk, (await the_entry(one)).item.id


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
    gate = Gate("get")
    desk.tools.gate = gate
    doing = asyncio.ensure_future(one.use_cases.compensate(ANNA, item, reason="wrong record"))
    await asyncio.wait_for(gate.reached.wait(), 5)
    await one.use_cases.services.keeper.close()
    desk.tools.gate = None
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
    gate = Gate("set")
    desk.tools.gate = gate
    doing = asyncio.ensure_future(one.use_cases.compensate(ANNA, item, reason="wrong record"))
    await asyncio.wait_for(gate.reached.wait(), 5)
    desk.tools.functions["set"]({"id": "T-1", "priority": "normal"})  # it landed, and nobody heard of it
    await one.use_cases.services.keeper.close()
    desk.tools.gate = None
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


# --- undos in doubt ---


async def lost_undo(guard: GuardForTests, desk: Desk) -> tuple[str, str]:
    """A link whose undo went astray, where nothing says by when it would have landed."""
    reply = await guard.call("link", {"id": "T-1"})
    assert reply.action is not None
    desk.tools.faults["unlink"] = [OutcomeUnknown("lost", "gone")]
    preview = await guard.undo(reply.action.id)
    if preview.confirm is not None:
        await guard.undo(reply.action.id, confirm=preview.confirm)
    [undo] = await guard.ledger.compensations("acme", reply.action.id)
    assert undo.status is Status.NEEDS_OPERATOR
    return reply.action.id, undo.id


@pytest.mark.parametrize(
    ("decision", "acted", "original", "undo"),
    [
        ("took_effect", True, Status.COMPENSATED, Status.SUCCEEDED),
        ("no_effect", False, Status.SUCCEEDED, Status.FAILED),
        ("close", False, Status.SUCCEEDED, Status.CANCELLED),
    ],
)
async def test_a_person_says_what_became_of_an_undo(
    tmp_path: Path, decision: Any, acted: bool, original: Status, undo: Status
) -> None:
    """It used to be a dead end: the undo could neither be decided nor made again, and kept others off its target."""
    desk = Desk()
    async with guarded(POLICY.replace('lands_within = "1s"\n', ""), [desk.tools], tmp_path) as guard:
        ids = await lost_undo(guard, desk)
        desk.records["T-1"]["linked"] = not acted
        entry = await the_entry(guard)
        assert (entry.item.cause, entry.item.action) == (Cause.IN_DOUBT, ids[1])
        await guard.use_cases.resolve("acme", entry.item.id, decision=decision, by="anna", reason="I looked")
        assert [(await guard.ledger.action("acme", one)).status for one in ids] == [original, undo]
        assert await entries(guard) == []
        if original is Status.SUCCEEDED:
            again = await guard.undo(ids[0])
            assert again.ok or (await guard.undo(ids[0], confirm=again.confirm)).ok
            assert (await guard.ledger.action("acme", ids[0])).status is Status.COMPENSATED
        assert not desk.records["T-1"]["linked"]


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
