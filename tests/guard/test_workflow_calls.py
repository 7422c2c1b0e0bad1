"""A tool that does several things in one call is of the class of plans, and is none: it is a call like any other."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from takeback.core.queue import Cause
from takeback.core.trail import as_text
from takeback.core.vocabulary import Status
from takeback.guard.history import line
from takeback.guard.suggesting import is_unknown
from takeback.ports import OutcomeUnknown
from tests.guard.plans import all_actions, over, submit, sweep, text
from tests.guard.test_taking_up import Gate, two
from tests.guard.world import POLICY, Desk

SET: Final = 'tool = "desk.set"\nclass = "internal_update"\n'
WORKFLOW: Final = POLICY.replace(SET, 'tool = "desk.set"\nclass = "workflow"\n')
ASKS: Final = POLICY.replace(SET, 'tool = "desk.set"\nclass = "workflow"\napproval = "always"\n')
CHARGE: Final = 'tool = "desk.charge"\nclass = "external_irreversible"\n'
RAISED: Final[dict[str, Any]] = {"id": "T-1", "priority": "high"}


async def test_one_that_was_left_is_settled_by_looking(tmp_path: Path) -> None:
    desk, gone, gate = Desk(), set[str](), Gate("set")
    async with two(WORKFLOW, desk, tmp_path, gone) as (one, other):
        desk.tools.gate = gate
        going = asyncio.create_task(one.call("set", RAISED))
        await asyncio.wait_for(gate.reached.wait(), 10)
        desk.tools.gate = None
        gone.add("one")
        one.clock.move(timedelta(minutes=10))
        await sweep(other)
        [left] = await all_actions(other)
        assert left.status is Status.FAILED  # a look shows that it did nothing
        gate.opened.set()
        await asyncio.wait({going})


async def test_one_that_a_person_agreed_to_waits_for_its_caller(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path, ASKS) as guard:
        await guard.call("set", RAISED)
        [approval] = await guard.ledger.approvals("acme")
        await guard.decide(approval.id, agree=True)
        assert await guard.ledger.agreed_plans("acme", guard.clock.now()) == []
        await sweep(guard)
        assert desk.effects == 0
        done = await guard.call("set", RAISED)
        assert done.action is not None
        assert done.action.status is Status.SUCCEEDED
    assert desk.effects == 1


async def test_it_is_named_told_and_taken_back_as_a_call(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path, WORKFLOW) as guard:
        action = (await guard.call("set", RAISED)).action
        assert action is not None
        assert "desk.set T-1" in line(action)
        assert "I changed record T-1" in as_text(await guard.use_cases.explain("acme", action.id))
        assert f"{action.id} is no plan" in text(await submit(guard, {"cancel": action.id, "reason": "no"}))
        undo = await guard.undo(action.id)
        assert "Undone, exactly: T-1" in undo.text


async def test_one_that_nobody_can_settle_waits_as_a_call(tmp_path: Path) -> None:
    """A person is told that it is in doubt, not that a plan stopped."""
    desk = Desk()
    policy = POLICY.replace(CHARGE, 'tool = "desk.charge"\nclass = "workflow"\n')
    async with over(desk, tmp_path, policy) as guard:
        desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "the connection broke"))]
        await guard.call("charge", {"id": "T-1"})
        [item] = await guard.ledger.queue("acme")
        [action] = await all_actions(guard)
        assert item.cause is Cause.IN_DOUBT
        assert is_unknown(action)
