"""A short load run: nothing takes effect twice or is lost while guards are killed, and without a safeguard it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from .load import report
from .playing import Plan, play


@pytest.mark.parametrize("number", [2, 3])
async def test_every_call_takes_effect_once_while_one_guard_after_the_other_is_killed(
    tmp_path: Path, ledger: str, number: int
) -> None:
    plan = Plan(calls=240, guards=number, seed=number, slowest=500, every=8)
    played = await play(plan, tmp_path, ledger)
    assert played.wrong == [], "\n".join(report(played))
    assert played.first.kills
    assert len(played.last.effects) == plan.calls


@pytest.mark.parametrize("without", ["look before a new attempt", "lease + fence at the commit + unique key"])
async def test_taking_a_safeguard_out_is_noticed(tmp_path: Path, ledger: str, without: str) -> None:
    plan = Plan(calls=100, guards=3, seed=1, slowest=1500, every=8, patience=20.0, without=without)
    played = await play(plan, tmp_path, ledger)
    assert [one for one in played.wrong if one.startswith(("DUPLICATE", "LEDGER"))], "\n".join(report(played))
