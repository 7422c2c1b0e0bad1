"""A person's word on what nobody could find out; until then nothing else is written to that target."""

from __future__ import annotations

import pytest

from takeback.core.vocabulary import Status
from takeback.guard.deciding import Decision
from takeback.guard.entries import NotResolvable
from takeback.ports import NotFound, OutcomeUnknown
from takeback.testing import GuardForTests
from tests.guard.test_life import HIGH, failed, said
from tests.guard.world import Desk

CHARGE = {"id": "T-1"}


async def unknown(guard: GuardForTests, desk: Desk, *, acted: bool = True) -> str:
    lost = OutcomeUnknown("lost", "the reply was lost")
    desk.tools.faults["charge"] = [("after", lost) if acted else lost]
    reply = await guard.call("charge", CHARGE)
    assert reply.action is not None
    assert reply.action.status is Status.NEEDS_OPERATOR
    return reply.action.id


async def decide(guard: GuardForTests, item: str, decision: Decision) -> None:
    await guard.use_cases.resolve("acme", item, decision=decision, by="anna", reason="looked at the bank")


async def test_other_writes_to_the_target_are_refused_until_a_person_has_said(guard: GuardForTests, desk: Desk) -> None:
    action = await unknown(guard, desk)
    refused = await guard.call("set", HIGH)
    assert failed(refused)
    assert f"nobody knows whether {action}" in said(refused)
    assert desk.effects == 1
    assert not failed(await guard.call("set", {"id": "T-2", "priority": "low"}))
    await decide(guard, action, "took_effect")
    assert not failed(await guard.call("set", HIGH))


async def test_what_a_person_saw_take_effect_is_not_done_again(guard: GuardForTests, desk: Desk) -> None:
    action = await unknown(guard, desk)
    await decide(guard, action, "took_effect")
    again = await guard.call("charge", CHARGE)
    assert "Already done" in said(again)
    assert desk.charges == ["T-1"]
    assert await guard.ledger.queue("acme") == []


async def test_what_a_person_saw_have_no_effect_is_done_by_the_next_call(guard: GuardForTests, desk: Desk) -> None:
    action = await unknown(guard, desk, acted=False)
    await decide(guard, action, "no_effect")
    again = await guard.call("charge", CHARGE)
    assert again.action is not None
    assert (again.action.id, again.action.status) == (action, Status.SUCCEEDED)
    assert desk.charges == ["T-1"]


async def test_what_is_closed_keeps_nobody_off(guard: GuardForTests, desk: Desk) -> None:
    action = await unknown(guard, desk)
    await decide(guard, action, "close")
    assert (await guard.ledger.action("acme", action)).status is Status.CANCELLED
    assert not failed(await guard.call("set", HIGH))


async def test_nobody_decides_twice_or_what_is_not_there(guard: GuardForTests, desk: Desk) -> None:
    action = await unknown(guard, desk)
    await decide(guard, action, "took_effect")
    with pytest.raises(NotResolvable, match="anna"):
        await decide(guard, action, "no_effect")
    with pytest.raises(NotFound):
        await decide(guard, "q-none", "close")


async def test_a_known_outcome_is_not_decided_anew(guard: GuardForTests, desk: Desk) -> None:
    """A conflict of an undo: the action stands for certain; its entry can be closed."""
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    desk.records["T-1"]["priority"] = "urgent"
    await guard.undo(reply.action.id)
    with pytest.raises(NotResolvable, match="is known"):
        await decide(guard, reply.action.id, "no_effect")
    await decide(guard, reply.action.id, "close")
    assert (await guard.ledger.action("acme", reply.action.id)).in_force
    assert await guard.ledger.queue("acme") == []
