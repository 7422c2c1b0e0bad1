"""The story of a plan, in words: as a whole, and step by step."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.trail import as_text
from takeback.core.vocabulary import Status
from takeback.core.voice import Audience
from takeback.ports import OutcomeUnknown
from takeback.testing import GuardForTests
from tests.guard.plans import THREE, group, over, plan, step, submit, sweep, the_plan
from tests.guard.test_taking_up import Gate, two
from tests.guard.world import POLICY, Desk

ALONE = plan(
    group(step("look", "get", id="T-1")),
    group(step("raise", "set", id="T-1", priority="high")),
    group(step("close", "set", id="T-2", status="closed")),
)


async def story(guard: GuardForTests, audience: Audience = "internal") -> list[str]:
    found = await the_plan(guard)
    return as_text(await guard.use_cases.explain("acme", found.id, audience)).splitlines()


async def test_a_finished_plan_is_told_step_by_step(tmp_path: Path) -> None:
    async with over(Desk(), tmp_path) as guard:
        await submit(guard, THREE)
        told = await story(guard)
    assert told[0] == 'I carried out the plan "Tidy up": all 5 steps, in 4 groups.'
    assert any(line.startswith("make: I created record N-3") for line in told)
    assert any(line.startswith("rank: I changed record N-3 (A new one): priority from ") for line in told)
    assert "look: changed nothing." in told
    assert told[-2] == "No person reviewed it."
    assert told[-1].startswith("The record: action ")


async def test_an_outcome_that_was_unknown_for_a_time_is_told(tmp_path: Path) -> None:
    """The guard dies while a step is under way, and another one looks."""
    desk, gone, gate = Desk(), set[str](), Gate("set")
    async with two(POLICY, desk, tmp_path, gone) as (one, other):
        desk.tools.gate = gate
        going = asyncio.create_task(submit(one, ALONE))
        await asyncio.wait_for(gate.reached.wait(), 10)
        desk.tools.gate = None
        gone.add("one")
        for _ in range(12):
            one.clock.move(timedelta(minutes=1))
            await sweep(other)
            if (await the_plan(other)).status is not Status.RUNNING:
                break
        told = await story(other)
        gate.opened.set()
        await asyncio.wait({going})
    assert any(line.startswith("raise: At first nobody knew whether it took effect (the guard that") for line in told)
    assert not any(line.startswith("close: At first") for line in told)


@pytest.mark.parametrize(
    ("document", "fault", "first"),
    [
        (plan(*ALONE["groups"], group(step("no", "set", id="T-9", status="closed"))), None,
         'I began the plan "Tidy up", and what it had done was taken back: step no: '),
        (plan(*ALONE["groups"], group(step("no", "set", id="T-9", status="closed")), on_failure="stop"), None,
         'I began the plan "Tidy up"; it stopped, and what it had done stands: step no: '),
        (plan(group(step("pay", "charge", id="T-1"))), OutcomeUnknown("lost", "the connection broke"),
         'I began the plan "Tidy up"; it waits for a person in the recovery queue'),
    ],
    ids=["taken back", "stopped", "in the queue"],
)  # fmt: skip
async def test_what_came_of_a_failure_comes_first(
    tmp_path: Path, document: dict[str, Any], fault: OutcomeUnknown | None, first: str
) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        if fault is not None:
            desk.tools.faults["charge"] = [("after", fault)]
        await submit(guard, document)
        told = await story(guard)
    assert told[0].startswith(first)
    assert (first.endswith("step no: ") and "taken back" in first) == any("raise: I restored it" in one for one in told)


async def test_a_plan_that_waits_is_told_as_not_begun(tmp_path: Path) -> None:
    async with over(Desk(), tmp_path) as guard:
        await submit(guard, plan(group(step("mail", "send", id="T-1", body="x"))))
        told = await story(guard)
    assert told[:2] == ['I did not begin the plan "Tidy up": it is awaiting_approval.', "mail: changed nothing."]


async def test_a_customer_hears_of_no_step_and_of_no_other_record(tmp_path: Path) -> None:
    async with over(Desk(), tmp_path) as guard:
        await submit(guard, {**ALONE, "title": "Raise T-1, close T-2"})
        told = await story(guard, "customer")
    assert told[0] == 'I carried out the plan "Raise another record, close another record": all 3 steps, in 3 groups.'
    assert not any("T-" in line or "raise" in line for line in told)
