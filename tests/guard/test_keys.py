"""Upstreams that honour idempotency keys: what may be sent again, and under which key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from takeback.core.vocabulary import Status
from takeback.ports import Answered, NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, guarded
from tests.guard.test_life import actions, failed
from tests.guard.world import POLICY, Desk

KEYED = 'lands_within = "1s"\nidempotency = { meta = "key", valid_for = "1h" }'
STORING = 'lands_within = "1s"\nidempotency = { meta = "key", valid_for = "1h", stores_errors = true }'
LOST = OutcomeUnknown("lost", "the connection broke")
AFTER = ("after", LOST)


@pytest.fixture(params=[KEYED])
async def guard(desk: Desk, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[GuardForTests]:
    policy = POLICY.replace('lands_within = "1s"', request.param)
    async with guarded(policy, [desk.tools], tmp_path) as found:
        yield found


def keys(desk: Desk) -> list[str]:
    """The keys that travelled, in order."""
    return [params["_meta"]["key"] for params in desk.tools.params if "key" in (params.get("_meta") or {})]


async def test_a_lost_call_is_sent_again_under_the_same_key(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["charge"] = [LOST]
    reply = await guard.call("charge", {"id": "T-1"})
    assert not failed(reply)
    (action,) = await actions(guard)
    assert keys(desk) == [action.key]
    assert action.attempts == 2


@pytest.mark.parametrize("later", [NotSent("gone"), Answered(-32000, "in progress")])
async def test_what_was_sent_once_is_not_called_unsent_by_a_later_attempt(
    guard: GuardForTests, desk: Desk, later: NotSent | Answered
) -> None:
    desk.tools.faults["charge"] = [AFTER, *([later] * 30)]
    reply = await guard.call("charge", {"id": "T-1"})
    (action,) = await actions(guard)
    assert failed(reply)
    assert action.status is Status.IN_DOUBT
    assert desk.charges == ["T-1"]


async def test_a_doubt_is_settled_by_the_next_call_when_the_upstream_is_back(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["charge"] = [AFTER, *([NotSent("gone")] * 11)]
    await guard.call("charge", {"id": "T-1"})
    desk.tools.faults["charge"] = []
    guard.clock.move(timedelta(seconds=10))  # it was left alone for so long
    reply = await guard.call("charge", {"id": "T-1"})
    (action,) = await actions(guard)
    assert not failed(reply)
    assert action.status is Status.SUCCEEDED
    assert len(set(keys(desk))) == 1


@pytest.mark.parametrize("guard", [STORING], indirect=True)
async def test_an_upstream_that_stores_errors_gets_a_fresh_key_for_the_next_attempt_and_keeps_it(
    guard: GuardForTests, desk: Desk
) -> None:
    desk.tools.faults["charge"] = [Answered(-32000, "declined")]
    await guard.call("charge", {"id": "T-1"})
    desk.tools.faults["charge"] = [AFTER]
    await guard.call("charge", {"id": "T-1"})
    (action,) = await actions(guard)
    assert keys(desk) == [f"{action.key}-1"] * 2


async def test_a_key_that_is_too_old_protects_nothing(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.faults["charge"] = [AFTER, *([NotSent("gone")] * 30)]
    await guard.call("charge", {"id": "T-1"})
    guard.clock.move(timedelta(hours=1, seconds=1))
    desk.tools.faults["charge"] = []
    await guard.call("charge", {"id": "T-1"})
    (action,) = await actions(guard)
    assert action.status is Status.NEEDS_OPERATOR
    assert desk.charges == ["T-1"]
