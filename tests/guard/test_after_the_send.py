"""Once something may have been sent, nothing says that nothing was, and every end is written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.results import text_of
from takeback.core.vocabulary import Status, Verified
from takeback.ports import Answered, Change, LedgerFailure, OutcomeUnknown
from takeback.testing import GuardForTests, MemoryTools, ToolError, guarded
from tests.guard.test_life import HIGH, actions, approved, failed, said
from tests.guard.world import POLICY, Desk


class Answering(MemoryTools):
    """Tools of which `set` acts and answers with exactly `answer`."""

    answer: dict[str, Any]

    def _run(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        found = super()._run(name, arguments)
        return self.answer if name == "set" else found


def answering(answer: dict[str, Any]) -> Desk:
    desk = Desk()
    desk.tools = Answering("desk", desk.tools.functions, desk.tools.schemas)
    desk.tools.answer = answer
    return desk


SLOW = POLICY.replace('lands_within = "1s"', 'lands_within = "1h"')


@asynccontextmanager
async def over(policy: str, desk: Desk, folder: Path) -> AsyncIterator[GuardForTests]:
    async with guarded(policy, [desk.tools], folder) as guard:
        yield guard


def nested(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = {"in": found}
    return found


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "text", "text": "\ud800"}]},
        {"content": [], "structuredContent": {"n": float("inf")}},
        {"content": [], "structuredContent": nested(2000)},
    ],
    ids=["a lone surrogate", "an infinity", "too deep"],
)
async def test_a_result_that_cannot_be_kept_is_a_malformed_reply(tmp_path: Path, result: dict[str, Any]) -> None:
    desk = answering(result)
    async with over(POLICY, desk, tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, reply.action.verified) == (Status.SUCCEEDED, Verified.YES)
        assert desk.effects == 1


@pytest.mark.parametrize("result", [{"content": 5}, {"content": "text"}, {"content": [], "_meta": [1]}])
async def test_a_result_of_another_shape_is_answered_all_the_same(tmp_path: Path, result: dict[str, Any]) -> None:
    desk = answering(result)
    async with over(POLICY, desk, tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert reply.action.status is Status.SUCCEEDED
        assert f"[takeback {reply.action.id}]" in said(reply)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TimeoutError(), ValueError("x"), OSError(5, "x")])
async def test_a_connector_that_breaks_leaves_an_outcome_that_is_looked_at(
    guard: GuardForTests, desk: Desk, error: Exception
) -> None:
    desk.tools.faults["set"] = [("after", error)]  # type: ignore[list-item]
    reply = await guard.call("set", HIGH)
    assert "Nothing was changed" not in said(reply)
    [action] = await actions(guard)
    assert action.status is Status.SUCCEEDED
    assert desk.effects == 1


async def test_a_read_that_breaks_is_an_unreadable_target(guard: GuardForTests, desk: Desk) -> None:
    async def broken(name: str) -> None:
        raise RuntimeError("a bug")

    desk.tools.gate = broken
    reply = await guard.call("set", HIGH)
    assert "outside what this agent may change" in said(reply)


async def test_a_protocol_error_after_an_effect_is_not_passed_on_as_a_plain_failure(
    guard: GuardForTests, desk: Desk
) -> None:
    """The tool changed something else than asked and then failed: a model that hears only the error would try again."""
    desk.tools.functions = {**desk.tools.functions, "set": lambda args: desk._set({**args, "priority": "odd"})}
    desk.tools.faults["set"] = [("after", Answered(-32603, "Internal error"))]
    reply = await guard.call("set", HIGH)
    assert reply.answered is None
    assert failed(reply)
    assert "Do not call again" in said(reply)
    [action] = await actions(guard)
    assert (action.status, action.in_force) == (Status.FAILED, True)


async def test_a_protocol_error_although_it_took_effect_says_so(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["set"] = [("after", Answered(-32603, "Internal error"))]
    reply = await guard.call("set", HIGH)
    assert "it took effect: do not call again" in said(reply)


async def test_a_ledger_that_fails_after_a_resend_does_not_say_that_nothing_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    async with over(SLOW, desk, tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        await guard.call("set", HIGH)
        guard.clock.move(timedelta(hours=2))
        commit = guard.ledger.commit

        async def failing(change: Change) -> None:
            if desk.effects:
                raise LedgerFailure("the disk is full")
            await commit(change)

        monkeypatch.setattr(guard.ledger.__class__, "commit", lambda _self, change: failing(change))
        reply = await guard.call("set", HIGH)
        assert desk.effects == 1
        assert "The outcome is unknown" in said(reply)
        assert "Nothing was changed" not in said(reply)


async def test_a_probe_does_not_take_the_first_mail_for_its_repetition(guard: GuardForTests, desk: Desk) -> None:
    mail = {"id": "T-1", "body": "hello"}
    first = await approved(guard, "send", mail, desk, None)
    assert first.action is not None
    result = await guard.use_cases.repeat(guard.caller, action=first.action.id, reason="a reminder")
    approval = result["_meta"]["io.takeback/approval"]
    await guard.decide(approval, agree=True)
    desk.tools.faults["send"] = [OutcomeUnknown("lost", "gone")]
    again = await guard.use_cases.repeat(guard.caller, action=first.action.id, reason="a reminder")
    assert len(desk.mails) == 1
    assert again.get("isError"), text_of(again)
    assert "outcome is unknown" in text_of(again)


@pytest.mark.parametrize("tool", ["charge"])
async def test_what_is_in_doubt_cannot_be_repeated(guard: GuardForTests, desk: Desk, tool: str) -> None:
    desk.tools.faults[tool] = [("after", OutcomeUnknown("lost", "gone"))]
    reply = await guard.call(tool, {"id": "T-1"})
    assert reply.action is not None
    result = await guard.use_cases.repeat(guard.caller, action=reply.action.id, reason="it did not work")
    assert result.get("isError"), text_of(result)
    assert desk.charges == ["T-1"]


async def test_the_successor_that_was_taken_back_is_named(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("add", {"id": "T-1", "by": 5})
    assert reply.action is not None
    await guard.use_cases.repeat(guard.caller, action=reply.action.id, reason="once more")
    successor = await guard.ledger.successor("acme", reply.action.id)
    assert successor is not None
    answer = await guard.undo(successor.id)
    assert answer.ok, answer.text
    again = await guard.use_cases.repeat(guard.caller, action=reply.action.id, reason="once more")
    assert successor.id in text_of(again)
    assert "others keep changing" not in text_of(again)


async def test_what_may_have_had_an_effect_is_not_said_to_have_had_none(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "gone"))]
    reply = await guard.call("charge", {"id": "T-1"})
    assert reply.action is not None
    answer = await guard.undo(reply.action.id)
    assert not answer.ok
    assert "had no effect" not in answer.text


async def test_once_it_is_settled_it_leaves_the_recovery_queue(tmp_path: Path) -> None:
    desk = Desk()
    async with over(SLOW, desk, tmp_path) as guard:
        desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert reply.action.status is Status.IN_DOUBT
        assert await guard.ledger.queue("acme") == []  # it is looked at again by itself
        desk.records["T-1"]["priority"] = "high"
        settled = await guard.call("set", HIGH)
        assert settled.action is not None
        assert settled.action.status is Status.SUCCEEDED
        assert await guard.ledger.queue("acme") == []


async def test_a_takeover_counts_from_the_last_moment_at_which_it_may_have_been_sent(tmp_path: Path) -> None:
    """The guard that died may have sent at any time up to its deadline."""
    desk = Desk()
    entered = asyncio.Event()
    hold = asyncio.Event()

    async def gate(name: str) -> None:
        if name == "set" and not entered.is_set():
            entered.set()
            await hold.wait()

    desk.tools.gate = gate
    slow = POLICY.replace('lands_within = "1s"', 'lands_within = "200s"')
    url = f"sqlite+aiosqlite:///{tmp_path}/shared.db"
    async with guarded(slow, [desk.tools], tmp_path / "one", url=url) as first:
        call = asyncio.create_task(first.call("set", HIGH))
        await asyncio.wait_for(entered.wait(), 5)
        [action] = await actions(first)
        async with guarded(slow, [desk.tools], tmp_path / "two", url=url) as second:
            assert action.sent_at is not None
            assert action.deadline is not None
            latest = (action.deadline - action.sent_at).total_seconds() + 200
            second.clock._passed = latest - 10
            reply = await second.call("set", HIGH)
            assert reply.action is not None
            assert reply.action.status is Status.IN_DOUBT, said(reply)
            assert desk.effects == 0
        call.cancel()
        for task in list(first.use_cases.services.tasks._running):
            task.cancel()


@pytest.mark.parametrize("others", ["an edit of another field", "a deletion"])
async def test_what_others_did_meanwhile_is_no_effect_of_a_call_that_failed(tmp_path: Path, others: str) -> None:
    desk = Desk()

    def fails(args: dict[str, Any]) -> Any:
        if others == "a deletion":
            del desk.records["T-1"]
        else:
            desk.records["T-1"]["title"] = "theirs"
        raise ToolError("locked")

    desk.tools.functions = {**desk.tools.functions, "set": fails}
    async with over(POLICY, desk, tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, reply.action.in_force) == (Status.FAILED, False)
        assert "changed all the same" not in said(reply)


async def test_an_edit_of_others_is_no_effect_of_a_deletion_that_failed(tmp_path: Path) -> None:
    desk = Desk()

    def fails(args: dict[str, Any]) -> Any:
        desk.records["T-1"]["title"] = "theirs"
        raise ToolError("locked")

    desk.tools.functions = {**desk.tools.functions, "delete": fails}
    async with over(POLICY, desk, tmp_path) as guard:
        reply = await guard.call("delete", {"id": "T-1"})
        assert reply.action is not None
        assert (reply.action.status, reply.action.in_force) == (Status.FAILED, False)


QUIET = POLICY.replace(
    'class = "external_irreversible"', 'class = "external_irreversible"\nrisk = "low"\napproval = "never"', 1
)
MAIL = {"id": "T-1", "body": "hello"}


async def test_an_error_is_not_believed_where_the_probe_finds_what_it_had_not_found(tmp_path: Path) -> None:
    desk = Desk()
    desk.tools.faults["send"] = [("after", Answered(-32000, "internal error"))]
    async with over(QUIET, desk, tmp_path) as guard:
        reply = await guard.call("send", MAIL)
        again = await guard.call("send", MAIL)
        assert reply.action is not None
        assert (reply.action.status, reply.action.in_force) == (Status.SUCCEEDED, True)
        assert "do not call again" in said(reply)
        assert "Already done" in said(again)
        assert len(desk.mails) == 1


async def test_what_the_probe_had_found_before_is_no_evidence(tmp_path: Path) -> None:
    """Somebody else's mail of the same words: neither an error nor a lost reply is taken for a success by it."""
    desk = Desk()
    desk.mails.append({"id": "T-9", "body": "hello"})
    desk.tools.faults["send"] = [Answered(-32000, "there is one already"), OutcomeUnknown("lost", "gone")]
    async with over(QUIET, desk, tmp_path) as guard:
        refused = await guard.call("send", MAIL)
        lost = await guard.call("send", {"id": "T-2", "body": "hello"})
        assert refused.action is not None
        assert lost.action is not None
        assert (refused.action.status, refused.action.in_force) == (Status.FAILED, False)
        assert lost.action.status is Status.NEEDS_OPERATOR
        assert len(desk.mails) == 1


ERROR = {"content": [{"type": "text", "text": "error: no disk space"}], "isError": True}
RULED = "result = \"{'id': current.id, 'priority': current.priority}\"\n"


async def test_an_error_that_reading_back_contradicts_is_answered_with_the_rules_result(tmp_path: Path) -> None:
    """The call took effect: an error, then and when it comes again, would say the contrary."""
    async with over(POLICY, answering(ERROR), tmp_path) as guard:
        first, again = await guard.call("set", HIGH), await guard.call("set", HIGH)
    assert (failed(first), failed(again)) == (False, False)
    for reply in (first, again):
        assert reply.result is not None
        assert reply.result["structuredContent"] == {"id": "T-1", "priority": "high"}
    assert "reported an error, but reading back shows that it took effect" in said(first)
    assert "Already done" in said(again)


async def test_an_error_that_reading_back_contradicts_is_never_passed_on_as_the_outcome(tmp_path: Path) -> None:
    """Where the rule makes no result, the guard says what is so, with the state and what the tool had said."""
    assert RULED in POLICY
    async with over(POLICY.replace(RULED, ""), answering(ERROR), tmp_path) as guard:
        first, again = await guard.call("set", HIGH), await guard.call("set", HIGH)
    assert "no disk space" in said(first)
    for reply in (first, again):
        assert "It took effect." in said(reply)
        assert '"priority":"high"' in said(reply)
    assert "no disk space" not in said(again)
    assert first.action is not None
    assert first.action.status is Status.SUCCEEDED
