"""Decisions of the recovery queue: resuming, taking back, and what became of an undo."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.queue import Cause, QueueDecision, QueueState
from takeback.core.vocabulary import Status, Verified
from takeback.guard.entries import NotResolvable
from takeback.ports import NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, guarded
from tests.guard.plans import group, over, plan, step, submit, the_plan
from tests.guard.test_life import HIGH
from tests.guard.test_taking_up import SLOW, worker
from tests.guard.waiting import ANNA, closed, entries, in_doubt, lying, the_entry, without_effect
from tests.guard.world import POLICY, Desk

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
        action = await without_effect(guard, desk, HIGH)
        assert desk.effects == 0
        ways = (await guard.use_cases.entry("acme", action)).suggestions
        assert (ways[0].decision, ways[0].text) == (QueueDecision.RESUME, "try it again, as its rule allows")
        tried = await guard.use_cases.resume("acme", action, by="anna", reason="do it")
        assert (tried.done, tried.action.id, tried.action.status) == (True, action, Status.SUCCEEDED)
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
