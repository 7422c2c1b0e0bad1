"""A run in which something did not verify, or is in doubt, does not go on blindly: its other writes wait for a look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.vocabulary import RunStatus, Status, Verified
from takeback.guard.replies import Reply
from takeback.ports import OutcomeUnknown
from takeback.testing import GuardForTests, ToolError, guarded
from tests.guard.plans import answered, group, over, plan, status, step, submit, sweep, text, the_plan
from tests.guard.test_life import HIGH, actions, failed, said
from tests.guard.test_taking_up import two, worker
from tests.guard.waiting import closed, entries, in_doubt, lying, the_entry, without_effect
from tests.guard.world import POLICY, Desk

PAUSING = POLICY.replace("[defaults]\n", '[defaults]\npause = "low"\n').replace('"2s"', '"100ms"')
PATIENT = PAUSING.replace('join_within = "100ms"', 'join_within = "1m"').replace(
    'lands_within = "1s"', 'lands_within = "2m"'
)
OTHER: dict[str, Any] = {"id": "T-2", "priority": "low"}


@pytest.fixture
async def guard(desk: Desk, tmp_path: Path) -> AsyncIterator[GuardForTests]:
    async with guarded(PAUSING, [desk.tools], tmp_path) as found:
        yield found


async def mismatched(guard: GuardForTests, desk: Desk) -> str:
    """A write that came out wrong."""
    lying(desk)
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    assert reply.action.verified is Verified.MISMATCH
    return reply.action.id


async def put_back(guard: GuardForTests, desk: Desk, action: str) -> None:
    """What came out wrong is mended by hand, and the agent takes the action back."""
    desk.records["T-1"]["priority"] = "normal"
    assert (await guard.undo(action)).ok


async def state_of(guard: GuardForTests, run: str = "r1") -> RunStatus:
    [found] = [one.status for one in await guard.use_cases.runs("acme") if one.run.id == run]
    return found


async def goes_on(guard: GuardForTests, desk: Desk) -> bool:
    """Whether the run may write again."""
    reply = await guard.call("set", OTHER)
    assert reply.paused is failed(reply), said(reply)
    return not reply.paused


def elsewhere(guard: GuardForTests, run: str = "r2") -> GuardForTests:
    return GuardForTests(guard.use_cases, guard.ledger, guard.clock, replace(guard.caller, run=run))


# --- what stops, and what does not ---


async def test_after_a_mismatch_another_write_is_refused_and_the_agent_is_told_why(
    guard: GuardForTests, desk: Desk
) -> None:
    lying(desk)
    wrong = await guard.call("set", HIGH)
    assert "this run makes no other change" in said(wrong)
    effects, reads = desk.effects, desk.tools.count("get")
    reply = await guard.call("set", OTHER)
    assert (reply.action, reply.paused, failed(reply)) == (None, True, True)
    assert (desk.effects, desk.tools.count("get"), len(await actions(guard))) == (effects, reads, 1)
    entry = (await the_entry(guard)).item
    for word in (entry.action, entry.id, "did not read back as expected", "Nothing was changed", "tell the user"):
        assert word in said(reply), said(reply)
    assert reply.result is not None
    assert reply.result["_meta"]["io.takeback/layer"] == "human"


async def test_reads_equal_calls_and_undo_go_on(guard: GuardForTests, desk: Desk) -> None:
    done = (await guard.call("set", OTHER)).action
    assert done is not None
    action = await mismatched(guard, desk)
    assert not failed(await guard.call("get", {"id": "T-2"}))
    replayed = await guard.call("set", OTHER)
    assert (replayed.paused, failed(replayed)) == (False, False)
    again = await guard.call("set", HIGH)
    assert (again.action and again.action.id, again.paused) == (action, False)
    assert (await guard.undo(done.id)).ok
    assert desk.records["T-2"]["priority"] == "normal"
    assert await entries(guard) != []


async def test_the_run_says_that_it_is_paused_wherever_one_looks(guard: GuardForTests, desk: Desk) -> None:
    assert (await guard.call("set", OTHER)).action is not None
    assert await state_of(guard) is RunStatus.OPEN
    action = await mismatched(guard, desk)
    assert await state_of(guard) is RunStatus.PAUSED
    told = await guard.use_cases.history(guard.caller, text=None, action=None, needs_attention=False, cursor=None)
    assert told.startswith(f"Paused: {action} did not read back as expected")
    found = await guard.use_cases.account("acme", "r1")
    assert (found.state.status, found.document()["paused_by"]) == (RunStatus.PAUSED, [action])
    assert f"Its writes wait: {action} did not read back" in found.text()


@pytest.mark.parametrize(("pause", "stops"), [('"medium"', False), ('"never"', False), ('"low"', True)])
async def test_only_from_the_risk_that_the_policy_names(desk: Desk, tmp_path: Path, pause: str, stops: bool) -> None:
    async with guarded(PAUSING.replace('pause = "low"', f"pause = {pause}"), [desk.tools], tmp_path) as guard:
        lying(desk)
        assert ("no other change" in said(await guard.call("set", HIGH))) is stops
        assert await goes_on(guard, desk) is not stops


async def test_from_medium_risk_on_where_the_policy_says_nothing(desk: Desk, tmp_path: Path) -> None:
    policy = POLICY.replace('does = "delete"\neffect = "set"\n', 'does = "delete"\neffect = "set"\nverify = "false"\n')
    assert policy != POLICY
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        await guard.call("delete", {"id": "T-1"})
        assert not await goes_on(guard, desk)


async def test_an_error_that_left_a_trace_pauses_too(guard: GuardForTests, desk: Desk) -> None:
    honest = desk.tools.functions["set"]

    def half(args: dict[str, Any]) -> Any:
        honest({**args, "priority": "half"})
        raise ToolError("it broke")

    desk.tools.functions = {**desk.tools.functions, "set": half}
    await guard.call("set", HIGH)
    assert not await goes_on(guard, desk)


async def test_another_run_is_not_stopped(guard: GuardForTests, desk: Desk) -> None:
    await mismatched(guard, desk)
    assert await goes_on(elsewhere(guard), desk)


async def test_every_guard_stops(desk: Desk, tmp_path: Path) -> None:
    async with two(PAUSING, desk, tmp_path) as (one, other):
        await mismatched(one, desk)
        assert not await goes_on(other, desk)


async def test_what_a_person_has_agreed_to_waits_as_well(guard: GuardForTests, desk: Desk) -> None:
    asked = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert asked.pending is not None
    action = await mismatched(guard, desk)
    await guard.decide(asked.pending.id, agree=True)
    reply = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert (reply.paused, desk.mails) == (True, [])
    await put_back(guard, desk, action)
    assert not failed(await guard.call("send", {"id": "T-1", "body": "hello"}))
    assert len(desk.mails) == 1


# --- what lifts it ---


async def test_taking_it_back_lifts_the_pause(guard: GuardForTests, desk: Desk) -> None:
    action = await mismatched(guard, desk)
    assert not await goes_on(guard, desk)
    await put_back(guard, desk, action)
    assert await goes_on(guard, desk)
    assert await state_of(guard) is RunStatus.OPEN


@pytest.mark.parametrize("decision", ["close", "confirm"])
async def test_a_persons_word_lifts_it(guard: GuardForTests, desk: Desk, decision: Any) -> None:
    action = await mismatched(guard, desk)
    item = (await the_entry(guard)).item.id
    if decision == "close":
        await guard.use_cases.resolve("acme", item, decision="close", by="anna", reason="it is fine so")
    else:
        desk.records["T-1"]["priority"] = "high"
        assert (await guard.use_cases.resume("acme", action, by="anna", reason="I mended it")).done
    assert await goes_on(guard, desk)


async def test_assigning_and_commenting_do_not(guard: GuardForTests, desk: Desk) -> None:
    await mismatched(guard, desk)
    item = (await the_entry(guard)).item.id
    await guard.use_cases.assign("acme", item, to="ben", by="anna")
    await guard.use_cases.comment("acme", item, by="ben", text="I am looking")
    assert not await goes_on(guard, desk)


async def test_an_undo_that_went_wrong_keeps_it_paused(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    honest = desk.tools.functions["set"]
    desk.tools.functions = {
        **desk.tools.functions,
        "set": lambda args: honest({**args, "priority": "odd"} if args.get("priority") == "normal" else args),
    }
    assert not (await guard.undo(reply.action.id)).ok
    assert not await goes_on(guard, desk)


# --- in doubt ---


async def test_what_nobody_can_look_for_pauses_until_a_person_says(guard: GuardForTests, desk: Desk) -> None:
    action = await in_doubt(guard, desk, acted=True)
    reply = await guard.call("set", OTHER)
    assert reply.paused
    assert f"{action} may or may not have taken effect" in said(reply)
    await guard.use_cases.resolve("acme", action, decision="took_effect", by="anna", reason="the bank says so")
    assert await goes_on(guard, desk)


async def test_a_write_waits_while_the_guard_itself_still_looks_and_then_goes_on(desk: Desk, tmp_path: Path) -> None:
    """Nobody is told to call again: what is in doubt is settled in time, and the write goes on by itself."""
    async with guarded(PATIENT, [desk.tools], tmp_path) as guard:
        waits = asyncio.Event()
        ledger = guard.use_cases.services.ledger
        plainly = ledger.wait_for_change

        async def wait(*args: Any) -> None:
            waits.set()
            await plainly(*args)

        object.__setattr__(ledger, "wait_for_change", wait)
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        lost = await guard.call("set", HIGH)
        assert lost.action is not None
        assert lost.action.status is Status.IN_DOUBT
        waits.clear()
        call = asyncio.create_task(guard.call("set", OTHER))
        await asyncio.wait_for(waits.wait(), 5)
        assert not call.done()
        guard.clock.move(timedelta(minutes=3))
        await worker(guard).sweep()
        reply = await asyncio.wait_for(call, 10)
        assert (reply.paused, failed(reply)) == (False, False)
        assert [one.status for one in await actions(guard)] == [Status.FAILED, Status.SUCCEEDED]


async def test_after_a_while_it_is_told_to_ask_again(desk: Desk, tmp_path: Path) -> None:
    async with guarded(PATIENT.replace('"1m"', '"100ms"'), [desk.tools], tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        await guard.call("set", HIGH)
        reply = await guard.call("set", OTHER)
        assert reply.paused
        assert "Ask again in a moment" in said(reply)
        assert reply.result is not None
        assert reply.result["_meta"]["io.takeback/layer"] == "tool"
        assert await entries(guard) == []


async def test_what_is_in_doubt_is_settled_in_a_paused_run(desk: Desk, tmp_path: Path) -> None:
    async with guarded(PATIENT.replace('"1m"', '"100ms"'), [desk.tools], tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        await guard.call("set", HIGH)
        assert (await guard.call("set", OTHER)).paused
        guard.clock.move(timedelta(minutes=3))
        await worker(guard).sweep()
        [found] = await actions(guard)
        assert found.status is Status.FAILED
        assert await goes_on(guard, desk)


async def test_a_person_may_have_something_tried_in_a_paused_run(desk: Desk, tmp_path: Path) -> None:
    """Two things went wrong: the one that had no effect is tried again on a person's word, beside the other."""
    async with guarded(PATIENT.replace('"1m"', '"100ms"'), [desk.tools], tmp_path) as guard:
        lost = await without_effect(guard, desk, OTHER)
        action = await mismatched(guard, desk)
        assert {entry.item.action for entry in await entries(guard)} == {lost, action}
        tried = await guard.use_cases.resume("acme", lost, by="anna", reason="do it")
        assert (tried.done, tried.action.status) == (True, Status.SUCCEEDED)


# --- plans ---

PLAN = plan(group(step("one", "set", id="T-2", priority="low")), group(step("two", "set", "one", id="T-2", status="x")))


async def test_a_plan_does_not_begin_in_a_paused_run(guard: GuardForTests, desk: Desk) -> None:
    action = await mismatched(guard, desk)
    effects = desk.effects
    told = await submit(guard, PLAN)
    assert "this run is paused" in text(told)
    assert (desk.effects, [one.id for one in await actions(guard)]) == (effects, [action])
    await put_back(guard, desk, action)
    assert status(await submit(guard, PLAN)) == "succeeded"


async def test_a_plan_that_was_agreed_to_begins_when_somebody_has_looked(desk: Desk, tmp_path: Path) -> None:
    async with guarded(PAUSING, [desk.tools], tmp_path) as guard:
        document = plan(group(step("mail", "send", id="T-1", body="hello")))
        await submit(guard, document)
        action = await mismatched(guard, desk)
        await answered(guard)
        await sweep(guard)
        assert (desk.mails, (await the_plan(guard)).status) == ([], Status.APPROVED)
        await guard.use_cases.resolve("acme", action, decision="close", by="anna", reason="it is fine so")
        await sweep(guard)
        assert (len(desk.mails), (await the_plan(guard)).status) == (1, Status.SUCCEEDED)


async def test_a_plan_under_way_waits_and_goes_on(desk: Desk, tmp_path: Path) -> None:
    async with over(desk, tmp_path, policy=PAUSING) as guard:
        stopped: list[Reply] = []

        async def meanwhile(name: str) -> None:
            """While the first step is sent, another call of the run goes wrong."""
            if name == "link" and not stopped:
                desk.tools.gate = None
                lying(desk)
                stopped.append(await guard.call("set", HIGH))

        desk.tools.gate = meanwhile
        document = plan(
            group(step("tie", "link", id="T-2")), group(step("rank", "set", "tie", id="T-2", priority="low"))
        )
        await submit(guard, document)
        assert stopped[0].action is not None
        running = await the_plan(guard)
        assert (running.status, desk.records["T-2"]["priority"]) == (Status.RUNNING, "normal")
        await sweep(guard)
        assert desk.records["T-2"]["priority"] == "normal"
        await guard.use_cases.resolve("acme", stopped[0].action.id, decision="close", by="anna", reason="fine")
        await sweep(guard)
        assert ((await the_plan(guard)).status, desk.records["T-2"]["priority"]) == (Status.SUCCEEDED, "low")
        assert await closed(guard) == [("anna", "close")]
