"""The correction trail: all of it for the inside; for a customer without logins and anybody else's records."""

from __future__ import annotations

from takeback.core.trail import as_text
from takeback.testing import GuardForTests
from tests.guard.test_undo import HIGH, done
from tests.guard.world import Desk


async def told(guard: GuardForTests) -> tuple[str, str]:
    action = await done(guard, "set", HIGH)
    await done(guard, "set", {"id": "T-2", "priority": "high"})
    sent = await guard.call("send", {"id": "T-2", "body": "hello"})
    assert sent.pending is not None
    await guard.decide(sent.pending.id, agree=False)
    answer = await guard.undo(action, reason="the customer meant T-2, not this one")
    assert answer.ok, answer.text
    inside = await guard.use_cases.explain("acme", action)
    outside = await guard.use_cases.explain("acme", action, "customer")
    assert {sentence.topic for sentence in outside} >= {"what", "why", "restored", "left_alone", "review", "record"}
    assert all(set(sentence.document()) == {"topic", "source", "text"} for sentence in outside)
    return as_text(inside), as_text(outside)


async def test_a_customer_reads_nothing_of_others_and_no_logins(guard: GuardForTests, desk: Desk) -> None:
    inside, outside = await told(guard)
    assert "priority from normal to high" in outside
    assert "priority to normal" in outside
    assert "because: the customer meant another record, not this one" in outside
    assert "our assistant" in outside
    assert "23 November 2026" in outside
    for hidden in ("T-2", "agent", "r1", "UTC"):
        assert hidden in inside
        assert hidden not in outside, hidden
    assert "desk." not in outside
