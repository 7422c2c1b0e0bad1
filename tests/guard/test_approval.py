"""Approval: nothing runs before a person agreed to exactly this, and what they agreed to runs once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.results import text_of
from takeback.core.run import ApprovalStatus
from takeback.core.vocabulary import Status
from takeback.guard.approving import NotDecidable
from takeback.guard.replies import Reply
from takeback.testing import GuardForTests, guarded
from tests.guard.test_life import failed, said
from tests.guard.world import POLICY, Desk

MAIL: dict[str, Any] = {"id": "T-1", "body": "hello"}


async def ask(guard: GuardForTests, tool: str = "send", arguments: dict[str, Any] | None = None) -> Reply:
    reply = await guard.call(tool, arguments or MAIL)
    assert reply.pending is not None
    return reply


async def test_pending_says_what_to_tell_the_user_and_nothing_runs(guard: GuardForTests, desk: Desk) -> None:
    reply = await ask(guard)
    assert reply.pending is not None
    text = text_of(reply.result or {})
    assert f"Tell the user that approval {reply.pending.id} waits for them" in text
    assert "do not call again before they answer" in text
    assert (reply.result or {})["isError"] is True
    assert desk.effects == 0


async def test_equal_calls_join_one_approval(guard: GuardForTests) -> None:
    first, second = await ask(guard), await ask(guard)
    assert first.pending is not None
    assert second.pending is not None
    assert first.pending.id == second.pending.id


async def test_approved_it_runs_once_on_the_next_call(guard: GuardForTests, desk: Desk) -> None:
    reply = await ask(guard)
    assert reply.pending is not None
    await guard.decide(reply.pending.id, agree=True)
    assert desk.effects == 0, "a person's answer alone runs nothing"
    done = await guard.call("send", MAIL)
    assert done.action is not None
    assert done.action.status is Status.SUCCEEDED
    assert (await guard.ledger.approval("acme", reply.pending.id)).status is ApprovalStatus.CONSUMED
    assert text_of((await guard.call("send", MAIL)).result or {}).startswith("Already done")
    assert len(desk.mails) == 1


async def test_denied_it_is_void_and_the_next_call_asks_anew(guard: GuardForTests, desk: Desk) -> None:
    reply = await ask(guard)
    assert reply.pending is not None
    await guard.decide(reply.pending.id, agree=False)
    again = await ask(guard)
    assert again.pending is not None
    assert again.pending.id != reply.pending.id
    assert desk.effects == 0


async def test_an_answer_counts_once(guard: GuardForTests) -> None:
    reply = await ask(guard)
    assert reply.pending is not None
    await guard.decide(reply.pending.id, agree=True)
    with pytest.raises(NotDecidable, match="approved already"):
        await guard.decide(reply.pending.id, agree=False)


async def test_it_expires(guard: GuardForTests, desk: Desk) -> None:
    reply = await ask(guard)
    assert reply.pending is not None
    guard.clock.move(timedelta(hours=2))
    with pytest.raises(NotDecidable, match="expired"):
        await guard.decide(reply.pending.id, agree=True)
    assert desk.effects == 0


async def test_an_approval_that_expired_after_the_yes_covers_nothing(guard: GuardForTests, desk: Desk) -> None:
    reply = await ask(guard)
    assert reply.pending is not None
    await guard.decide(reply.pending.id, agree=True)
    guard.clock.move(timedelta(hours=2))
    late = await guard.call("send", MAIL)
    assert "the approval has expired" in text_of(late.result or {})
    assert desk.effects == 0


async def test_it_covers_exactly_what_was_shown(guard: GuardForTests, desk: Desk, tmp_path: Any) -> None:
    """The record changed between the preview and the send: another question, not another effect."""
    from takeback.testing import guarded
    from tests.guard.world import POLICY

    asking = POLICY.replace('id = "set"', 'id = "set"\napproval = "always"')
    async with guarded(asking, [desk.tools], tmp_path / "asking") as strict:
        high = {"id": "T-1", "priority": "high"}
        reply = await ask(strict, "set", high)
        assert reply.pending is not None
        assert reply.pending.preview["changes"] == [{"field": "priority", "before": "normal", "after": "high"}]
        await strict.decide(reply.pending.id, agree=True)
        desk.records["T-1"]["priority"] = "urgent"
        again = await ask(strict, "set", high)
        assert again.pending is not None
        assert again.pending.id != reply.pending.id
        assert desk.effects == 0
        await strict.decide(again.pending.id, agree=True)
        desk.records["T-1"]["seen"] = 99
        done = await strict.call("set", high)
        assert done.action is not None
        assert done.action.status is Status.SUCCEEDED, "an ignored field voids nothing"


async def test_other_arguments_need_another_approval(guard: GuardForTests, desk: Desk) -> None:
    reply = await ask(guard)
    assert reply.pending is not None
    await guard.decide(reply.pending.id, agree=True)
    other = await ask(guard, "send", {**MAIL, "body": "something else"})
    assert other.pending is not None
    assert desk.effects == 0


async def test_an_approved_call_does_not_pass_a_limit(desk: Desk, tmp_path: Path) -> None:
    policy = POLICY.replace('tenant = "acme"', 'tenant = "acme"\nlimits = { writes_per_run = 2 }', 1)
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        asked = [await guard.call("send", {"id": "T-1", "body": f"mail {n}"}) for n in range(4)]
        for reply in asked:
            assert reply.pending is not None
            await guard.decide(reply.pending.id, agree=True)
        sent = [await guard.call("send", {"id": "T-1", "body": f"mail {n}"}) for n in range(4)]
    assert [failed(reply) for reply in sent] == [False, False, True, True]
    assert "writes_per_run" in said(sent[-1])
    assert len(desk.mails) == 2
