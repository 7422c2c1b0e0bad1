"""Undo of one action: each way back, read back; conflicts refused; nothing called undone that was not seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from takeback.core.results import text_of
from takeback.core.vocabulary import Origin, Status
from takeback.testing import GuardForTests
from tests.guard.world import Desk, record

HIGH: dict[str, Any] = {"id": "T-1", "priority": "high"}


async def done(guard: GuardForTests, tool: str, arguments: dict[str, Any]) -> str:
    reply = await guard.call(tool, arguments)
    assert reply.action is not None
    assert reply.action.status is Status.SUCCEEDED, text_of(reply.result or {})
    return reply.action.id


async def confirmed(guard: GuardForTests, what: str) -> Any:
    preview = await guard.undo(what)
    assert preview.confirm is not None, preview.text
    return await guard.undo(what, confirm=preview.confirm)


async def test_restore_is_exact_and_touches_only_the_field(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    desk.records["T-1"]["status"] = "closed"
    answer = await guard.undo(action)
    assert answer.ok, answer.text
    assert answer.outcome == "exact"
    assert "Undone, exactly" in answer.text
    assert desk.records["T-1"]["priority"] == "normal"
    assert desk.records["T-1"]["status"] == "closed", "somebody else's edit stays"
    assert desk.tools.calls[-2] == ("set", {"id": "T-1", "priority": "normal"})


async def test_both_actions_stand_in_the_ledger(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    await guard.undo(action, reason="wrong ticket")
    original = await guard.ledger.action("acme", action)
    [undo] = await guard.ledger.compensations("acme", action)
    assert (original.status, original.in_force, original.compensated_by) == (Status.COMPENSATED, False, undo.id)
    assert (undo.origin, undo.original, undo.reason, undo.status) == (
        Origin.UNDO,
        action,
        "wrong ticket",
        Status.SUCCEEDED,
    )
    assert undo.outcome["outcome"] == original.forecast["outcome"] == "exact"
    assert undo.key != original.key


async def test_nothing_named_is_the_last_write_and_a_retry_undoes_no_second_one(
    guard: GuardForTests, desk: Desk
) -> None:
    await done(guard, "set", {"id": "T-2", "priority": "low"})
    await done(guard, "set", HIGH)
    assert (await guard.undo()).ok
    again = await guard.undo()
    assert again.ok
    assert "already undone" in again.text
    assert desk.records["T-1"]["priority"] == "normal"
    assert desk.records["T-2"]["priority"] == "low"


async def test_undoing_twice_is_one_undo(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    await guard.undo(action)
    effects = desk.effects
    assert "already undone" in (await guard.undo(action)).text
    assert desk.effects == effects


async def test_a_conflict_is_refused_with_both_versions(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    desk.records["T-1"]["priority"] = "urgent"
    answer = await guard.undo(action)
    assert not answer.ok
    assert answer.outcome == "refused"
    assert "'normal'" in answer.text
    assert "'urgent'" in answer.text
    assert desk.records["T-1"]["priority"] == "urgent"


async def test_an_edit_in_the_last_moment_is_seen_too(guard: GuardForTests, desk: Desk) -> None:
    """Between the look and the restoring write: the execution looks again, under the lease."""
    action = await done(guard, "set", HIGH)
    looks = 0

    async def edit(name: str) -> None:
        nonlocal looks
        looks += name == "get"
        if looks == 2:
            desk.records["T-1"]["priority"] = "urgent"

    desk.tools.gate = edit
    answer = await guard.undo(action)
    assert not answer.ok
    assert desk.records["T-1"]["priority"] == "urgent"
    assert (await guard.ledger.action("acme", action)).status is Status.SUCCEEDED


async def test_already_as_before_is_nothing_to_do(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    desk.records["T-1"]["priority"] = "normal"
    effects = desk.effects
    answer = await guard.undo(action)
    assert answer.ok
    assert "already is as before" in answer.text
    assert desk.effects == effects


async def test_what_was_created_is_deleted(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "create", {"title": "new"})
    made = (await guard.ledger.action("acme", action)).targets[0].id
    assert made in desk.records
    answer = await guard.undo(action)
    assert answer.outcome == "exact", answer.text
    assert made not in desk.records


async def test_what_was_created_and_then_changed_by_others_stays(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "create", {"title": "new"})
    made = (await guard.ledger.action("acme", action)).targets[0].id
    desk.records[made]["priority"] = "urgent"
    answer = await guard.undo(action)
    assert not answer.ok
    assert made in desk.records


async def test_what_was_deleted_is_created_again_after_a_preview(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "delete", {"id": "T-2"})
    answer = await confirmed(guard, action)
    assert answer.ok, answer.text
    assert desk.records["T-2"]["title"] == "About T-2"
    assert answer.outcome == "exact", answer.text


async def test_what_does_not_come_back_is_named(guard: GuardForTests, desk: Desk) -> None:
    desk.records["T-2"]["total"] = 7
    action = await done(guard, "delete", {"id": "T-2"})
    answer = await confirmed(guard, action)
    assert answer.outcome != "exact", "the create tool cannot set `total`"


async def test_an_id_that_was_taken_by_another_record_is_a_conflict(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "delete", {"id": "T-2"})
    desk.records["T-2"] = {**record("T-2"), "title": "somebody else's"}
    assert not (await guard.undo(action)).ok
    assert desk.records["T-2"]["title"] == "somebody else's"


async def test_a_counter_goes_back_by_the_difference(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "add", {"id": "T-1", "by": 25})
    desk.records["T-1"]["total"] += 1000
    answer = await guard.undo(action)
    assert answer.ok, answer.text
    assert answer.outcome == "exact"
    assert desk.records["T-1"]["total"] == 1100


async def test_an_inverse_call_within_its_time(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "link", {"id": "T-1"})
    assert (await guard.undo(action)).outcome == "exact"
    assert desk.records["T-1"]["linked"] is False


async def test_an_inverse_call_after_its_time_is_refused(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "link", {"id": "T-1"})
    guard.clock.move(timedelta(hours=2))
    answer = await guard.undo(action)
    assert not answer.ok
    assert "could be undone until" in answer.text
    assert desk.records["T-1"]["linked"] is True


async def test_a_correction_is_never_called_undo(guard: GuardForTests, desk: Desk) -> None:
    pending = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert pending.pending is not None
    await guard.decide(pending.pending.id, agree=True)
    action = await done(guard, "send", {"id": "T-1", "body": "hello"})
    preview = await guard.undo(action, reason="wrong customer")
    assert "to correct" in preview.text
    asked = await guard.undo(action, reason="wrong customer", confirm=preview.confirm)
    assert not asked.ok
    [waiting] = await guard.ledger.approvals("acme")
    assert len(desk.mails) == 1, "a correction is sent mail, too: a person agrees first"
    await guard.decide(waiting.id, agree=True)
    answer = await guard.undo(action, reason="wrong customer", confirm=preview.confirm)
    assert answer.ok, answer.text
    assert answer.outcome == "compensated"
    assert "Corrected, not undone" in answer.text
    assert [mail["body"] for mail in desk.mails] == ["hello", "Correction: wrong customer"]
    assert (await guard.ledger.action("acme", action)).in_force, "what was sent stays sent"


async def test_after_its_own_undo_the_agents_call_runs_again(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    await guard.undo(action)
    assert await done(guard, "set", HIGH) != action
    assert desk.records["T-1"]["priority"] == "high"


async def test_after_a_persons_undo_the_agent_is_told_and_nothing_runs(guard: GuardForTests, desk: Desk) -> None:
    from takeback.ports import Caller

    action = await done(guard, "set", HIGH)
    anna = Caller(tenant="acme", principal="anna", run="r1", person=True)
    answer = await guard.use_cases.undo(anna, what=action, reason="wrong ticket", confirm=None)
    assert answer.ok, answer.text
    reply = await guard.call("set", HIGH)
    assert "undone by anna, because: wrong ticket" in text_of(reply.result or {})
    assert desk.records["T-1"]["priority"] == "normal"


@pytest.mark.parametrize("what", ["a999", "run", "last 3"])
async def test_what_cannot_be_selected_is_refused(guard: GuardForTests, desk: Desk, what: str) -> None:
    answer = await guard.undo(what)
    assert not answer.ok
    assert desk.effects == 0


async def test_another_run_is_out_of_an_agents_reach(guard: GuardForTests, desk: Desk) -> None:
    from dataclasses import replace

    action = await done(guard, "set", HIGH)
    other = replace(guard.caller, run="r2")
    answer = await guard.use_cases.undo(other, what=action, reason="x", confirm=None)
    assert not answer.ok
    assert "another run" in answer.text
    assert desk.records["T-1"]["priority"] == "high"


async def test_a_reason_is_required(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "set", HIGH)
    assert not (await guard.undo(action, reason="  ")).ok
    assert desk.records["T-1"]["priority"] == "high"


async def test_an_undo_that_changes_nothing_says_so_and_leaves_the_action_standing(
    guard: GuardForTests, desk: Desk
) -> None:
    action = await done(guard, "set", HIGH)
    desk.tools.functions = {**desk.tools.functions, "set": lambda args: {"ok": True}}
    answer = await guard.undo(action)
    assert not answer.ok
    assert answer.outcome == "failed"
    assert (await guard.ledger.action("acme", action)).status is Status.NEEDS_OPERATOR


async def test_repeat_creates_the_successor_once(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "charge", {"id": "T-1"})
    assert text_of((await guard.call("charge", {"id": "T-1"})).result or {}).startswith("Already done")
    result = await guard.use_cases.repeat(guard.caller, action=action, reason="a second instalment")
    assert not result.get("isError"), text_of(result)
    lost_reply = await guard.use_cases.repeat(guard.caller, action=action, reason="a second instalment")
    assert "was repeated already" in text_of(lost_reply)
    assert desk.charges == ["T-1", "T-1"]


async def test_repeat_of_more_than_low_risk_asks_a_person(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "delete", {"id": "T-2"})
    desk.records["T-2"] = record("T-2")
    result = await guard.use_cases.repeat(guard.caller, action=action, reason="it came back")
    assert "a person must agree first" in text_of(result)
    assert "T-2" in desk.records


async def test_the_trail_answers_in_sentences(guard: GuardForTests) -> None:
    action = await done(guard, "set", HIGH)
    await guard.undo(action, reason="wrong ticket")
    text = await guard.use_cases.history(guard.caller, text=None, action=action, needs_attention=False, cursor=None)
    assert "I changed record T-1 (About T-1): priority from normal to high." in text
    assert "It was taken back by agent, because: wrong ticket." in text
    assert "I restored it: priority to normal" in text
    assert "Only priority was touched" in text
    assert "No person reviewed it." in text
