"""An upstream that fails again and again is left alone for a while, and whoever asks is told so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from takeback.guard.replies import Reply
from takeback.ports import NotSent, OutcomeUnknown, ToolFailure
from takeback.testing import GuardForTests, guarded
from tests.guard.test_life import HIGH, said
from tests.guard.world import POLICY, Desk

QUICK = POLICY.replace('lands_within = "1s"', 'lands_within = "1s"\nbreaker = { failures = 4, rest = "1h" }')


async def asked(guard: GuardForTests, desk: Desk, failure: ToolFailure, times: int) -> list[Reply]:
    desk.tools.faults["get"] = [failure] * times
    return [await guard.call("get", {"id": f"X-{n}"}) for n in range(times)]


@pytest.mark.parametrize(
    "failure", [NotSent("refused"), OutcomeUnknown("timeout", "no answer"), OutcomeUnknown("lost", "gone")]
)
async def test_nothing_is_sent_to_an_upstream_that_rests(tmp_path: Path, failure: ToolFailure) -> None:
    desk = Desk()
    async with guarded(QUICK, [desk.tools], tmp_path) as guard:
        await asked(guard, desk, failure, 4)
        before = len(desk.tools.calls)
        read, write = await guard.call("get", {"id": "T-2"}), await guard.call("set", HIGH)
        assert len(desk.tools.calls) == before
        assert "4 times in a row" in said(read)
        assert desk.effects == 0
        assert write.action is None or not write.action.in_force
        guard.clock.move(timedelta(hours=1))
        assert "T-1" in said(await guard.call("get", {"id": "T-1"}))
        assert "priority" in said(await guard.call("set", HIGH))
        assert desk.effects == 1


async def test_an_upstream_that_answers_errors_is_not_left_alone(tmp_path: Path) -> None:
    desk = Desk()
    async with guarded(QUICK, [desk.tools], tmp_path) as guard:
        await asked(guard, desk, OutcomeUnknown("error", "HTTP 500", over=True), 10)
        assert "T-1" in said(await guard.call("get", {"id": "T-1"}))


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    desk = Desk()
    policy = QUICK.replace('breaker = { failures = 4, rest = "1h" }', 'breaker = "off"')
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        await asked(guard, desk, NotSent("refused"), 10)
        assert "T-1" in said(await guard.call("get", {"id": "T-1"}))
