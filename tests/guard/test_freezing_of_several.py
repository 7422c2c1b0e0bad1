"""The stop switch for what is made of several calls: undos, chains, and plans. They wait, and go on after the thaw."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from takeback.core.vocabulary import Origin, Status
from takeback.guard import freezing
from takeback.testing import GuardForTests, guarded
from tests.guard.plans import THREE, submit, sweep, text, the_plan
from tests.guard.test_freezing import At, freeze, thaw
from tests.guard.test_life import HIGH, actions
from tests.guard.test_plans import MAIL
from tests.guard.test_taking_up import Gate, worker
from tests.guard.test_undo_in_trouble import CHAIN
from tests.guard.world import POLICY, Desk


async def test_undo_redo_and_repeat_are_writes_too(guard: GuardForTests, desk: Desk) -> None:
    action = (await guard.call("set", HIGH)).action
    assert action is not None
    await freeze(guard)
    answer = await guard.undo(action.id)
    assert (answer.ok, answer.outcome, "odd mails" in answer.text) == (False, None, True)
    repeated = await guard.use_cases.repeat(guard.caller, action=action.id, reason="again")
    assert "odd mails" in repeated["content"][0]["text"]
    assert desk.effects == 1
    assert (await guard.ledger.action("acme", action.id)).status is Status.SUCCEEDED
    await thaw(guard)
    assert (await guard.undo(action.id)).ok
    undo = next(a for a in await actions(guard) if a.origin is Origin.UNDO)
    await freeze(guard)
    assert not (await guard.undo(undo.id)).ok
    assert desk.effects == 2


async def test_an_undo_that_is_withheld_leaves_its_original(
    guard: GuardForTests, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = (await guard.call("set", HIGH)).action
    assert action is not None
    At(guard, monkeypatch, lambda: freeze(guard))
    assert not (await guard.undo(action.id)).ok
    now = await guard.ledger.action("acme", action.id)
    assert (now.status, now.in_force, desk.effects) == (Status.SUCCEEDED, True, 1)
    await thaw(guard)
    assert (await guard.undo(action.id)).ok


async def test_several_that_are_frozen_are_counted_as_such(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    await guard.call("set", {"id": "T-2", "priority": "high"})
    preview = await guard.undo("run")
    await freeze(guard)
    answer = await guard.undo("run", confirm=preview.confirm)
    assert (answer.ok, answer.outcome, desk.effects) == (False, None, 2)
    assert "2 frozen until a person thaws it" in answer.text
    await thaw(guard)
    assert (await guard.undo("run", confirm=preview.confirm)).ok


async def test_an_undo_of_what_failed_leaves_it_to_a_person(
    guard: GuardForTests, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not as expected is no success because its undo was frozen."""
    desk.tools.functions = {**desk.tools.functions, "add": lambda args: desk._add({**args, "by": 7})}
    action = (await guard.call("add", {"id": "T-1", "by": 5})).action
    assert action is not None
    At(guard, monkeypatch, lambda: freeze(guard))
    assert not (await guard.undo(action.id)).ok
    now = await guard.ledger.action("acme", action.id)
    assert (now.status, now.in_force, desk.effects) == (Status.NEEDS_OPERATOR, True, 1)


@pytest.mark.parametrize("where", ["approach", "fence"])
async def test_a_chain_stops_between_its_steps_and_is_brought_to_its_end_later(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async with guarded(CHAIN, [desk.tools], tmp_path) as guard:
        action = (await guard.call("set", HIGH)).action
        assert action is not None
        preview = await guard.undo(action.id)

        async def frozen_then(name: str) -> None:
            if name != "set":
                return
            desk.tools.gate = None
            if where == "approach":
                await freeze(guard, "tool", "desk.charge")
            else:
                At(guard, monkeypatch, lambda: freeze(guard, "tool", "desk.charge"))

        desk.tools.gate = frozen_then
        answer = await guard.undo(action.id, confirm=preview.confirm)
        assert (answer.ok, "Undone in part only" in answer.text, desk.charges) == (False, True, [])
        now = await guard.ledger.action("acme", action.id)
        assert (now.status, desk.records["T-1"]["priority"]) == (Status.COMPENSATING, "normal")
        withheld = [one for one in await actions(guard) if one.status is Status.CANCELLED]
        assert len(withheld) == (1 if where == "fence" else 0)
        await worker(guard).sweep()
        assert desk.charges == []
        await thaw(guard, "tool", "desk.charge")
        guard.clock.move(timedelta(minutes=2))
        await worker(guard).sweep()
        assert (await guard.ledger.action("acme", action.id)).status is Status.COMPENSATED
        assert desk.charges == ["T-1"]


async def test_code_that_takes_something_back_is_frozen_with_the_tool_whose_work_that_was(guard: GuardForTests) -> None:
    await freeze(guard)
    entry, services = SimpleNamespace(policy_name="python.mine"), guard.use_cases.services
    work: Any = SimpleNamespace(entry=entry, takes_back="desk.set", caller=guard.caller)
    assert await freezing.frozen_now(services, work) is not None
    work.takes_back = "shop.set"
    assert await freezing.frozen_now(services, work) is None


async def test_a_plan_waits_and_goes_on_after_the_thaw(desk: Desk, tmp_path: Path) -> None:
    gate = Gate("create")
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        desk.tools.gate = gate
        going = asyncio.create_task(submit(guard, THREE))
        await asyncio.wait_for(gate.reached.wait(), 10)
        await freeze(guard)
        gate.opened.set()
        result = await going
        assert "odd mails" in text(result)
        assert ((await the_plan(guard)).status, desk.effects) == (Status.RUNNING, 1)
        await sweep(guard)
        assert ((await the_plan(guard)).status, desk.effects) == (Status.RUNNING, 1)
        await thaw(guard)
        guard.clock.move(timedelta(minutes=2))
        await sweep(guard)
        assert ((await the_plan(guard)).status, desk.effects) == (Status.SUCCEEDED, 4)


async def test_a_plan_does_not_begin_not_even_when_a_person_agreed(desk: Desk, tmp_path: Path) -> None:
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        await freeze(guard, "tool", "desk.set")
        assert "odd mails" in text(await submit(guard, MAIL))
        await thaw(guard, "tool", "desk.set")
        pending = await submit(guard, MAIL)
        await freeze(guard, "tool", "desk.set")
        await guard.decide(pending["_meta"]["io.takeback/approval"], agree=True)
        await sweep(guard)
        assert "odd mails" in text(await submit(guard, MAIL))
        assert ((await the_plan(guard)).status, desk.effects) == (Status.APPROVED, 0)
        await thaw(guard, "tool", "desk.set")
        guard.clock.move(timedelta(minutes=2))
        await sweep(guard)
        assert ((await the_plan(guard)).status, desk.effects) == (Status.SUCCEEDED, 3)
