"""Stale memory beside approvals and in plans: nobody reads again for a plan, so its step is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from takeback.core.run import ApprovalStatus
from takeback.core.vocabulary import Origin, Status
from takeback.testing import guarded
from tests.guard.plans import all_actions, answered, group, over, plan, status, step, submit, text
from tests.guard.test_life import HIGH, said
from tests.guard.test_stale import CHANGED, REFUSE, STALE, look, ran, somebody
from tests.guard.world import Desk

ASKED: Final = STALE.replace(REFUSE, REFUSE + 'approval = "always"\n')


async def test_nobody_is_asked_about_what_the_agent_does_not_know(desk: Desk, tmp_path: Path) -> None:
    async with guarded(ASKED, [desk.tools], tmp_path) as guard:
        await look(guard)
        somebody(desk, status="waiting")
        reply = await guard.call("set", HIGH)
        assert (reply.pending, CHANGED in said(reply)) == (None, True)


async def test_an_approval_waits_until_the_agent_has_looked_again(desk: Desk, tmp_path: Path) -> None:
    """A field that the call does not write leaves the approval as it is; the agent must know of it all the same."""
    async with guarded(ASKED, [desk.tools], tmp_path) as guard:
        await look(guard)
        asked = await guard.call("set", HIGH)
        assert asked.pending is not None
        await guard.decide(asked.pending.id, agree=True)
        somebody(desk, status="waiting")
        assert "(status open -> waiting)" in said(await guard.call("set", HIGH))
        assert desk.effects == 0
        await look(guard)
        assert ran(await guard.call("set", HIGH))


TWO: Final = plan(group(step("first", "set", id="T-2", priority="high")), group(step("then", "set", **HIGH)))


async def test_a_step_of_a_plan_is_held_against_what_the_run_read(desk: Desk, tmp_path: Path) -> None:
    async with over(desk, tmp_path, STALE) as guard:
        await look(guard)
        somebody(desk, priority="urgent")
        result = await submit(guard, TWO)
        steps = [one for one in await all_actions(guard) if one.origin is Origin.PLAN]
        assert await guard.ledger.queue("acme") == []
    assert f"T-1 (About T-1) {CHANGED} (priority normal -> urgent)" in text(result)
    assert [one.status for one in steps] == [Status.COMPENSATED, Status.DENIED]
    assert desk.records["T-1"]["priority"] == "urgent"
    assert desk.records["T-2"]["priority"] == "normal"


async def test_a_plan_that_reads_first_and_writes_twice_is_not_in_its_own_way(desk: Desk, tmp_path: Path) -> None:
    steps = [
        step("look", "get", id="T-1"),
        step("rank", "set", **HIGH),
        step("close", "set", id="T-1", status="closed"),
    ]
    async with over(desk, tmp_path, STALE) as guard:
        await look(guard)
        somebody(desk, priority="urgent")
        result = await submit(guard, plan(*map(group, steps)))
    assert status(result) == "succeeded", text(result)


async def test_a_step_that_a_person_agreed_to_fails_when_its_target_changed_since(desk: Desk, tmp_path: Path) -> None:
    async with over(desk, tmp_path, ASKED) as guard:
        await look(guard)
        await submit(guard, plan(group(step("only", "set", **HIGH))))
        await answered(guard)
        somebody(desk, status="waiting")
        result = await submit(guard, plan(group(step("only", "set", **HIGH))))
        [only] = [one for one in await all_actions(guard) if one.origin is Origin.PLAN]
        assert await guard.ledger.queue("acme") == []
    assert "(status open -> waiting)" in text(result)
    assert only.status is Status.DENIED
    assert desk.effects == 0


async def test_a_step_with_an_approval_of_its_own_is_over_when_its_target_changed(desk: Desk, tmp_path: Path) -> None:
    """Nobody reads again for a plan, so its approval is void, and nothing is left that somebody could run."""
    inner = desk.tools.functions["set"]

    def meanwhile(args: dict[str, Any]) -> Any:
        somebody(desk, priority="low")  # while the first step runs: what was shown of the second is not so any more
        return inner(args)

    desk.tools.functions = {**desk.tools.functions, "set": meanwhile}
    async with over(desk, tmp_path, ASKED) as guard:
        await submit(guard, TWO)
        await answered(guard)
        await submit(guard, TWO)
        await look(guard)
        await answered(guard)
        somebody(desk, status="waiting")
        await submit(guard, TWO)
        then = [one for one in await all_actions(guard) if one.origin is Origin.PLAN][-1]
        approvals = await guard.ledger.approvals("acme", pending_only=False)
    assert (then.targets[0].id, then.status) == ("T-1", Status.CANCELLED)
    [own] = [one for one in approvals if one.action == then.id]
    assert (own.status, own.reason) == (ApprovalStatus.VOID, "changed since the run last read it: status")
    assert desk.records["T-1"]["priority"] == "low"
