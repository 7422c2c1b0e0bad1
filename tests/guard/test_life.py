"""The life of one call, against a real ledger: what happens in the world, what is recorded, what the model is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from takeback.core.jsontext import dumps, loads
from takeback.core.results import text_of
from takeback.core.vocabulary import Status, Verified
from takeback.guard.replies import Reply
from takeback.ports import HistoryQuery, NotSent, OutcomeUnknown
from takeback.testing import GuardForTests
from tests.guard.world import Desk

HIGH: dict[str, Any] = {"id": "T-1", "priority": "high"}


def said(reply: Reply) -> str:
    return text_of(reply.result or {})


def failed(reply: Reply) -> bool:
    return bool((reply.result or {}).get("isError"))


async def actions(guard: GuardForTests) -> list[Any]:
    page = await guard.ledger.history(HistoryQuery(tenant="acme", limit=100))
    return list(reversed(page.actions))


async def test_a_write_is_keyed_imaged_verified_and_announced(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    action = reply.action
    assert action is not None
    assert (action.status, action.verified, action.in_force) == (Status.SUCCEEDED, Verified.YES, True)
    assert action.targets[0].label == "About T-1"
    assert action.changed == ("priority",)
    assert said(reply).endswith(f"[takeback {action.id}] T-1 priority normal -> high. Undo: exact.")
    before, after = [loads(await guard.ledger.image(d)) for d in (action.before, action.after) if d]
    assert before[0][2]["priority"] == "normal"
    assert after[0][2]["priority"] == "high"
    assert desk.effects == 1


async def test_the_tools_own_result_comes_back_unchanged_around_the_marks(guard: GuardForTests) -> None:
    result = (await guard.call("set", HIGH)).result or {}
    assert result["structuredContent"] == {"ok": True, "id": "T-1", "huge": 2**70}
    assert loads(result["content"][0]["text"])["huge"] == 2**70
    assert result["_meta"]["io.takeback/status"] == "succeeded"
    assert result["_meta"]["io.takeback/undo"] == "exact"


async def test_the_claim_is_durable_before_the_first_byte(guard: GuardForTests, desk: Desk) -> None:
    seen: list[Status] = []

    async def look(name: str) -> None:
        if name == "set":
            seen.extend(a.status for a in await actions(guard))

    desk.tools.gate = look
    await guard.call("set", HIGH)
    assert seen == [Status.RUNNING]


async def test_a_retry_is_replayed_with_the_recorded_result(guard: GuardForTests, desk: Desk) -> None:
    first, second = await guard.call("set", HIGH), await guard.call("set", HIGH)
    assert desk.effects == 1
    assert first.action is not None
    assert second.action is not None
    assert second.action.id == first.action.id
    assert said(second).startswith(f"Already done as {first.action.id}; nothing more is needed.")
    assert (second.result or {})["structuredContent"]["huge"] == 2**70
    assert (second.result or {})["_meta"]["io.takeback/replayed"] is True


async def test_volatile_arguments_and_spellings_do_not_make_another_call(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", {**HIGH, "note": "first"})
    await guard.call("set", {**HIGH, "note": "again"})
    assert desk.effects == 1


async def test_high_low_high_is_three_effects(guard: GuardForTests, desk: Desk) -> None:
    for priority in ("high", "low", "high"):
        assert not failed(await guard.call("set", {"id": "T-1", "priority": priority}))
    assert desk.effects == 3
    assert desk.records["T-1"]["priority"] == "high"
    assert [a.generation for a in await actions(guard)] == [0, 0, 1]


async def test_changed_by_others_is_neither_success_nor_execution(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    desk.records["T-1"]["priority"] = "urgent"
    reply = await guard.call("set", HIGH)
    assert failed(reply)
    assert "changed meanwhile by others (priority high -> urgent)" in said(reply)
    assert desk.effects == 1


async def test_equal_calls_side_by_side_are_one_effect(guard: GuardForTests, desk: Desk) -> None:
    replies = await asyncio.gather(*(guard.call("set", HIGH) for _ in range(5)))
    assert desk.effects == 1
    assert len({r.action.id for r in replies if r.action}) == 1
    assert not any(failed(reply) for reply in replies)


async def test_different_writes_to_one_target_take_turns(guard: GuardForTests, desk: Desk) -> None:
    inside = 0

    async def alone(name: str) -> None:
        nonlocal inside
        if name == "set":
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    desk.tools.gate = alone
    await asyncio.gather(*(guard.call("set", {"id": "T-1", "priority": str(n)}) for n in range(8)))
    assert desk.effects == 8


@pytest.mark.parametrize(
    ("arguments", "said_so"),
    [
        ({"priority": "high"}, '"id" is a required property'),
        ({"id": 5, "priority": "high"}, "5 is not of type"),
        ({**HIGH, "colour": "red"}, "the tool knows no argument colour"),
    ],
)
async def test_a_malformed_call_is_the_models_to_mend(
    guard: GuardForTests, desk: Desk, arguments: dict[str, Any], said_so: str
) -> None:
    reply = await guard.call("set", arguments)
    assert failed(reply)
    assert said_so in said(reply)
    assert (reply.result or {})["_meta"]["io.takeback/layer"] == "model"
    assert desk.tools.calls == []
    assert await actions(guard) == []


async def test_another_tenants_record_is_refused(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", {"id": "G-1", "priority": "high"})
    assert failed(reply)
    assert "outside what this agent may change" in said(reply)
    assert desk.effects == 0
    assert [action.status for action in await actions(guard)] == [Status.DENIED]


async def test_a_read_passes_untouched_and_leaves_no_action(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("get", {"id": "T-1"})
    assert reply.result is not None
    assert "_meta" not in reply.result
    assert len(reply.result["content"]) == 1
    assert await actions(guard) == []


async def test_a_lookup_in_a_loop_is_stopped_and_polling_is_not(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.functions = {**desk.tools.functions, "get": lambda args: {"id": "T-1"}}
    replies = [await guard.call("get", {"id": "T-1"}) for _ in range(7)]
    assert [failed(reply) for reply in replies] == [False] * 5 + [True] * 2
    assert "5 times in a row" in said(replies[-1])
    assert not any([failed(await guard.call("poll", {})) for _ in range(9)])


async def test_a_failing_call_in_a_loop_is_stopped(guard: GuardForTests, desk: Desk) -> None:
    replies = [await guard.call("set", {"id": "T-1", "priority": "high"})]
    desk.records.clear()
    replies = [await guard.call("delete", {"id": "T-9"}) for _ in range(7)]
    assert "in a row" in said(replies[-1])


async def test_the_limit_of_a_run_stops_the_next_write(guard: GuardForTests, desk: Desk, tmp_path: Any) -> None:
    from takeback.testing import guarded
    from tests.guard.world import POLICY

    limited = POLICY.replace('timeout = "1s"', 'timeout = "1s"\nlimits = { writes_per_run = 2 }')
    async with guarded(limited, [desk.tools], tmp_path / "limited") as small:
        for priority in ("a", "b"):
            assert not failed(await small.call("set", {"id": "T-1", "priority": priority}))
        reply = await small.call("set", {"id": "T-1", "priority": "c"})
    assert "the limit writes_per_run = 2 is reached" in said(reply)
    assert desk.effects == 2


async def test_what_was_provably_not_sent_is_tried_again_by_the_guard(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["set"] = [NotSent("not running"), NotSent("not running")]
    reply = await guard.call("set", HIGH)
    assert not failed(reply)
    assert desk.effects == 1
    assert reply.action is not None
    assert reply.action.attempts == 3


async def test_a_call_that_could_never_be_sent_fails_and_may_be_tried_anew(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["set"] = [NotSent("not running")] * 3
    reply = await guard.call("set", HIGH)
    assert failed(reply)
    assert "Nothing was sent or changed" in said(reply)
    again = await guard.call("set", HIGH)
    assert again.action is not None
    assert reply.action is not None
    assert again.action.id == reply.action.id
    assert desk.effects == 1


async def test_a_lost_reply_of_a_set_is_settled_by_looking(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["set"] = [("after", OutcomeUnknown("lost", "the connection was lost"))]
    reply = await guard.call("set", HIGH)
    assert not failed(reply)
    assert (reply.result or {})["structuredContent"] == {"id": "T-1", "priority": "high"}, (
        "rebuilt by the rule's `result`"
    )
    assert not failed(await guard.call("set", HIGH))
    assert desk.effects == 1


async def test_a_lost_call_that_never_landed_is_sent_again_once_it_cannot_land(
    guard: GuardForTests, desk: Desk
) -> None:
    desk.tools.faults["set"] = [OutcomeUnknown("timeout", "no answer")]
    reply = await guard.call("set", HIGH)
    assert not failed(reply)
    assert desk.effects == 1
    assert sum(guard.clock.slept) >= 0.9, "it waited until the first call could no longer land"


async def test_a_lost_reply_of_a_once_is_found_by_the_probe(guard: GuardForTests, desk: Desk) -> None:
    await approved(guard, "send", {"id": "T-1", "body": "hello"}, desk, OutcomeUnknown("lost", "gone"))
    assert len(desk.mails) == 1
    reply = await guard.call("send", {"id": "T-1", "body": "hello"})
    assert said(reply).startswith("Already done")
    assert len(desk.mails) == 1


async def approved(
    guard: GuardForTests, tool: str, arguments: dict[str, Any], desk: Desk, lost: OutcomeUnknown | None
) -> Reply:
    pending = await guard.call(tool, arguments)
    assert pending.pending is not None
    await guard.decide(pending.pending.id, agree=True)
    if lost is not None:
        desk.tools.faults[tool] = [("after", lost)]
    return await guard.call(tool, arguments)


async def test_a_once_without_a_probe_goes_to_a_person_and_is_never_sent_again(
    guard: GuardForTests, desk: Desk
) -> None:
    desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "the connection was lost"))]
    reply = await guard.call("charge", {"id": "T-1"})
    assert failed(reply)
    assert "The outcome is unknown" in said(reply)
    again = await guard.call("charge", {"id": "T-1"})
    assert "recovery queue" in said(again)
    assert desk.charges == ["T-1"]
    queue = await guard.ledger.queue("acme")
    assert [item.action for item in queue] == [reply.action.id if reply.action else None]


async def test_a_tool_that_says_yes_and_changes_nothing_is_a_mismatch(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.functions = {**desk.tools.functions, "set": lambda args: {"ok": True}}
    reply = await guard.call("set", HIGH)
    assert failed(reply)
    assert reply.action is not None
    assert (reply.action.status, reply.action.verified) == (Status.FAILED, Verified.MISMATCH)
    assert reply.action.mismatch["reason"] == "unchanged"
    assert "reading back shows something else" in said(reply)


async def test_a_tool_that_says_no_and_changes_everything_took_effect(guard: GuardForTests, desk: Desk) -> None:
    from takeback.testing import ToolError

    def liar(args: dict[str, Any]) -> Any:
        desk.records["T-1"]["priority"] = args["priority"]
        raise ToolError("internal error")

    desk.tools.functions = {**desk.tools.functions, "set": liar}
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    assert (reply.action.status, reply.action.verified) == (Status.SUCCEEDED, Verified.YES)
    assert "it took effect: do not call again" in said(reply)


async def test_a_certain_failure_is_passed_on_and_the_retry_is_a_new_attempt(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("delete", {"id": "T-9"})
    assert failed(reply)
    assert "record T-9 not found" in said(reply)
    assert reply.action is not None
    assert (reply.action.status, reply.action.in_force) == (Status.FAILED, False)
    desk.records["T-9"] = {**desk.records["T-1"], "id": "T-9"}
    again = await guard.call("delete", {"id": "T-9"})
    assert again.action is not None
    assert again.action.id == reply.action.id
    assert "T-9" not in desk.records


async def test_cancelling_the_caller_stops_the_waiting_never_the_recording(guard: GuardForTests, desk: Desk) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def hold(name: str) -> None:
        if name == "set":
            entered.set()
            await go_on.wait()

    desk.tools.gate = hold
    call = asyncio.create_task(guard.call("set", HIGH))
    await asyncio.wait_for(entered.wait(), 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    go_on.set()
    await guard.use_cases.services.tasks.drain(5)
    assert [(a.status, a.verified) for a in await actions(guard)] == [(Status.SUCCEEDED, Verified.YES)]
    desk.tools.gate = None
    assert said(await guard.call("set", HIGH)).startswith("Already done")
    assert desk.effects == 1


async def test_the_clients_own_key_replaces_the_guards(guard: GuardForTests, desk: Desk) -> None:
    key = {"io.takeback/idempotencyKey": "k1"}
    await guard.call("charge", {"id": "T-1"}, meta=key)
    assert said(await guard.call("charge", {"id": "T-1"}, meta=key)).startswith("Already done")
    assert not failed(await guard.call("charge", {"id": "T-1"}, meta={"io.takeback/idempotencyKey": "k2"}))
    clash = await guard.call("charge", {"id": "T-2"}, meta=key)
    assert failed(clash)
    assert "with other arguments" in said(clash)
    assert desk.charges == ["T-1", "T-1"]


async def test_redacted_fields_are_nowhere_in_the_ledger(guard: GuardForTests, desk: Desk, tmp_path: Any) -> None:
    await guard.call("set", {**HIGH, "ssn": "078-05-1120"})
    assert desk.records["T-1"]["ssn"] == "078-05-1120"
    for action in await actions(guard):
        kept = [await guard.ledger.image(d) for d in (action.before, action.after, action.result) if d]
        assert b"078-05-1120" not in dumps(action.arguments) + b"".join(kept)


async def test_an_unknown_tool_asks_a_person(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("odd", {})
    assert reply.pending is not None
    assert desk.effects == 0


async def test_a_tool_that_nobody_offers_is_a_protocol_error(guard: GuardForTests) -> None:
    reply = await guard.call("nope", {})
    assert reply.answered is not None
    assert (reply.answered.code, reply.answered.message) == (-32602, "Unknown tool: nope")
