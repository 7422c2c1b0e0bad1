"""Plans: previewed, agreed to, carried out group by group, taken back where a step fails, gone on with by anybody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.run import ApprovalStatus
from takeback.core.vocabulary import ActionClass, Origin, Status
from takeback.ports import NotFound, NotSent, OutcomeUnknown
from tests.guard.plans import (
    THREE,
    all_actions,
    answered,
    group,
    over,
    plan,
    status,
    step,
    submit,
    sweep,
    text,
    the,
    the_plan,
)
from tests.guard.test_retention import PRUNED, pruned
from tests.guard.test_runs import lives
from tests.guard.test_taking_up import Gate, two
from tests.guard.world import POLICY, Desk

MAIL = plan(
    group(step("mail", "send", id="T-1", body="We closed it.")),
    group(step("close", "set", id="T-2", status="closed")),
    group(step("rank", "set", id="T-2", priority="low")),
)
"""One step cannot be taken back: it needs a person, and comes last."""


def world(desk: Desk) -> dict[str, Any]:
    """The records as they are for anybody but the guard, who reads them (and is counted)."""
    return {name: {k: v for k, v in one.items() if k != "seen"} for name, one in desk.records.items()}


# --- carried out ---


async def test_steps_use_the_results_of_earlier_ones(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, THREE)
        steps = [one for one in await all_actions(guard) if one.origin is Origin.PLAN]
        found = await the_plan(guard)
    assert (result["isError"], status(result)) == (False, "succeeded")
    assert {one.original for one in steps} == {found.id}
    assert [one.verified.value for one in steps] == ["yes"] * 4
    made = desk.records["N-3"]
    assert (made["title"], made["priority"], made["status"]) == ("A new one", "high", "closed")
    assert desk.records["T-1"]["priority"] == "high"
    assert desk.effects == 4


async def test_an_equal_plan_is_the_same_plan(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        first, again = await submit(guard, THREE), await submit(guard, THREE)
    assert text(again).startswith("Already done as")
    assert again["_meta"]["io.takeback/action"] == first["_meta"]["io.takeback/action"]
    assert desk.effects == 4


async def test_a_group_begins_when_the_one_before_is_done(tmp_path: Path) -> None:
    desk = Desk()
    gate = Gate("create")
    async with over(desk, tmp_path) as guard:
        desk.tools.gate = gate
        going = asyncio.create_task(submit(guard, THREE))
        await asyncio.wait_for(gate.reached.wait(), 10)
        assert desk.tools.count("set") == 0
        gate.opened.set()
        assert status(await going) == "succeeded"


async def test_how_far_it_is_is_told(tmp_path: Path) -> None:
    heard: list[Any] = []

    async def progress(params: Any) -> None:
        heard.append((params["progress"], params["total"]))

    desk = Desk()
    async with over(desk, tmp_path) as guard:
        await guard.use_cases.plan(guard.caller, THREE, progress=progress)
    assert heard == [(1, 5), (3, 5), (4, 5), (5, 5)]


async def test_a_thousand_steps(tmp_path: Path) -> None:
    desk = Desk()
    steps = [step(f"s{n}", "add", id="T-1", by=1) for n in range(1000)]
    policy = POLICY.replace('tenant = "acme"', 'tenant = "acme"\nlimits = { writes_per_run = 1000 }', 1)
    async with over(desk, tmp_path, policy) as guard:
        result = await submit(guard, plan(*(group(*steps[n : n + 50]) for n in range(0, 1000, 50))))
    assert status(result) == "succeeded", text(result)[:500]
    assert desk.records["T-1"]["total"] == 1100


# --- refused before anything runs ---


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (plan(group(step("a", "nothing"))), "there is no tool nothing"),
        (plan(group(step("a", "set", priority="high"))), '"id" is a required property'),
        (plan(group(step("a", "get", id="T-1", extra=1))), "the tool knows no argument extra"),
        (plan(group(step("a", "set", id=5))), "step a: id: 5 is not of type"),
        (plan(group(step("a", "set", id=the("b"))), group(step("b", "get", id="T-1"))), "not in an earlier group"),
        (plan(group(step("a", "set", id="T-1", ssn="123"))), "it has arguments that are not kept"),
        (plan(group(*(step(f"d{n}", "delete", id=f"T-{n}") for n in range(21)))), "`deletes_per_run` allows 20"),
    ],
    ids=["no tool", "missing", "unknown", "type", "later", "redacted", "limit"],
)
async def test_what_is_wrong_is_said_and_nothing_is_done(tmp_path: Path, wrong: dict[str, Any], why: str) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, wrong)
        assert await all_actions(guard) == []
    assert result["isError"]
    assert why in text(result)
    assert "Mend the plan" in text(result)
    assert desk.effects == 0


async def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    async with over(Desk(), tmp_path) as guard:
        result = await submit(guard, plan(group(step("a", "set"), step("b", "get", id=1))))
    assert "step a" in text(result)
    assert "step b" in text(result)


async def test_a_policy_may_refuse_what_would_come_after_the_point_of_no_return(tmp_path: Path) -> None:
    document = plan(
        group(step("mail", "send", id="T-1", body="x")), group(step("a", "set", "mail", id="T-2", priority="low"))
    )
    async with over(Desk(), tmp_path, POLICY + '\n[plans]\nirreversible = "refuse"\n') as guard:
        result = await submit(guard, document)
    assert "a would have to come after what cannot be taken back (mail)" in text(result)


# --- previewed, and agreed to as a whole ---


async def test_a_preview_shows_the_order_and_the_point_of_no_return(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, {**MAIL, "preview": True})
        assert await all_actions(guard) == []
    lines = text(result).splitlines()
    assert "Group 3 (from here on not everything can be taken back):" in lines
    assert lines[lines.index("Group 3 (from here on not everything can be taken back):") + 1].startswith("- mail: ")
    assert "A person must agree (mail); one answer covers all of it." in lines
    assert desk.effects == 0


async def test_a_preview_names_what_does_not_depend_on_results(tmp_path: Path) -> None:
    """The new priority comes from a result, the record that gets it does not."""
    document = plan(
        group(step("look", "get", id="T-1"), step("new", "create", title="A new one", tenant="acme")),
        group(
            step("rank", "set", id="T-2", priority=the("look", "priority")),
            step("other", "set", id=the("new", "id"), priority="high"),
        ),
    )
    async with over(Desk(), tmp_path) as guard:
        lines = text(await submit(guard, {**document, "preview": True})).splitlines()
    assert [line for line in lines if line.startswith("- rank: desk.set T-2 (internal_update")]
    assert [line for line in lines if line.startswith("- other: desk.set what an earlier step names (")]
    assert [line for line in lines if line.startswith("- new: desk.create something new (")]


async def test_one_answer_covers_what_an_earlier_step_with_a_reference_changes(tmp_path: Path) -> None:
    policy = POLICY.replace('id = "set"\n', 'id = "set"\napproval = "always"\n')
    desk = Desk()
    document = plan(
        group(step("look", "get", id="T-2")),
        group(step("rank", "set", id="T-1", status=the("look", "status"), priority="high")),
        group(step("more", "set", id="T-1", priority="urgent")),
    )
    async with over(desk, tmp_path, policy) as guard:
        await submit(guard, document)
        await answered(guard)
        result = await submit(guard, document)
    assert status(result) == "succeeded", text(result)
    assert desk.records["T-1"]["priority"] == "urgent"


async def test_a_mail_with_a_reference_stays_before_what_changes_its_record(tmp_path: Path) -> None:
    document = plan(
        group(step("look", "get", id="T-2")),
        group(step("mail", "send", id="T-1", body=the("look", "title"))),
        group(step("close", "set", id="T-1", status="closed")),
        group(step("rank", "set", id="T-2", priority="low")),
    )
    async with over(Desk(), tmp_path) as guard:
        lines = text(await submit(guard, {**document, "preview": True})).splitlines()
    order = [line.split(":")[0] for line in lines if line.startswith("- ")]
    assert order == ["- look", "- mail", "- close", "- rank"]


async def test_one_answer_covers_all_of_it_and_the_guard_goes_on_by_itself(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        pending = await submit(guard, MAIL)
        [approval] = await guard.ledger.approvals("acme")
        assert status(pending) == "awaiting_approval"
        assert approval.preview["risk"] == "high"
        assert any("from here on" in line for line in approval.preview["plan"])
        same = await submit(guard, MAIL)
        assert same["_meta"]["io.takeback/action"] == pending["_meta"]["io.takeback/action"]
        assert desk.effects == 0
        await guard.decide(approval.id, agree=True)
        await sweep(guard)
        assert (await the_plan(guard)).status is Status.SUCCEEDED
        assert (await guard.ledger.approval("acme", approval.id)).status is ApprovalStatus.CONSUMED
    assert [name for name, _ in desk.tools.calls if name in {"set", "send"}] == ["set", "set", "send"]


async def test_an_answer_covers_only_what_was_shown(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        await submit(guard, MAIL)
        approval = await answered(guard)
        desk.records["T-2"]["status"] = "waiting"  # by somebody else
        await sweep(guard)
        assert desk.effects == 0
        assert (await guard.ledger.approval("acme", approval.id)).status is ApprovalStatus.VOID
        again = await submit(guard, MAIL)
        assert again["_meta"]["io.takeback/approval"] != approval.id
    assert desk.effects == 0


async def test_where_the_answer_is_void_a_worker_asks_anew(tmp_path: Path) -> None:
    """The agent may have gone: nobody else would submit the plan again, and the person believes to have agreed."""
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        await submit(guard, MAIL)
        approval = await answered(guard)
        desk.records["T-2"]["status"] = "waiting"
        await sweep(guard)
        [second] = await guard.ledger.approvals("acme")
        assert (second.id != approval.id, second.status, desk.effects) == (True, ApprovalStatus.PENDING, 0)
        assert "waiting" in str(second.preview)
        assert [one.status for one in await all_actions(guard)] == [Status.CANCELLED, Status.AWAITING_APPROVAL]
        same = await submit(guard, MAIL)
        assert same["_meta"]["io.takeback/approval"] == second.id
        await answered(guard)
        await sweep(guard)
        assert (await all_actions(guard))[1].status is Status.SUCCEEDED
    assert desk.records["T-2"]["status"] == "closed"
    assert len(desk.mails) == 1


async def test_a_step_that_changed_meanwhile_asks_by_itself(tmp_path: Path) -> None:
    """Its target was changed by others after the plan had begun: what was agreed to was something else."""
    policy = POLICY.replace('id = "set"\n', 'id = "set"\napproval = "always"\n')
    desk, gate = Desk(), Gate("create")
    document = plan(
        group(step("make", "create", title="A new one", tenant="acme")),
        group(step("rank", "set", id="T-1", priority="high")),
    )
    async with over(desk, tmp_path, policy) as guard:
        await submit(guard, document)
        await answered(guard)
        desk.tools.gate = gate
        going = asyncio.create_task(submit(guard, document))
        await asyncio.wait_for(gate.reached.wait(), 10)
        desk.records["T-1"]["priority"] = "urgent"
        gate.opened.set()
        result = await going
        assert "step rank waits" in text(result)
        assert desk.records["T-1"]["priority"] == "urgent"
        await answered(guard)
        await sweep(guard)
        assert (await the_plan(guard)).status is Status.SUCCEEDED
    assert desk.records["T-1"]["priority"] == "high"


async def test_a_denied_plan_does_nothing(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        await submit(guard, MAIL)
        await answered(guard, agree=False)
        await sweep(guard)
        assert (await the_plan(guard)).status is Status.DENIED
    assert desk.effects == 0


async def test_an_answer_that_comes_too_late_begins_nothing(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        await submit(guard, MAIL)
        approval = await answered(guard)
        guard.clock.move(approval.expires_at - guard.clock.now())
        await sweep(guard)
        assert (await the_plan(guard)).status is Status.DENIED
    assert desk.effects == 0


# --- when a step fails ---


@pytest.mark.parametrize("failing", ["create", "set", "get"])
async def test_what_was_done_goes_back_when_a_step_fails(tmp_path: Path, failing: str) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        before = world(desk)
        desk.tools.faults[failing] = [NotSent("it is down")] * 40
        if failing == "get":  # the guard's own reads go on: only the plan's read names another record
            desk.tools.faults.clear()
            result = await submit(guard, plan(*THREE["groups"][:2], group(step("look", "get", id="T-404"))))
        else:
            result = await submit(guard, THREE)
        found = await the_plan(guard)
        assert await guard.ledger.queue("acme") == []
    assert found.status is Status.COMPENSATED, text(result)
    assert result["isError"]
    assert world(desk) == before


async def test_a_step_that_certainly_did_nothing_is_tried_again(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        desk.tools.faults["create"] = [NotSent("it is down")] * 4  # three attempts of the guard's, and one more
        assert status(await submit(guard, THREE)) == "succeeded"
    assert desk.effects == 4


async def test_a_failure_leads_back_to_the_last_safe_checkpoint_only(tmp_path: Path) -> None:
    desk = Desk()
    document = plan(
        group(step("first", "set", id="T-1", priority="high"), checkpoint=True),
        group(step("second", "set", id="T-2", priority="high")),
        group(step("third", "set", id="T-404", priority="high")),
    )
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, document)
        assert (await the_plan(guard)).status is Status.COMPENSATED, text(result)
    assert (desk.records["T-1"]["priority"], desk.records["T-2"]["priority"]) == ("high", "normal")


async def test_it_stops_where_the_plan_says_so_and_goes_on_when_it_is_submitted_again(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        desk.tools.faults["set"] = [NotSent("it is down")] * 40
        document = {**THREE, "on_failure": "stop"}
        result = await submit(guard, document)
        assert (await the_plan(guard)).status is Status.FAILED
        [item] = await guard.ledger.queue("acme")
        assert item.action == result["_meta"]["io.takeback/action"]
        assert desk.effects == 1
        desk.tools.faults.clear()
        again = await submit(guard, document)
        assert (status(again), again["_meta"]["io.takeback/action"]) == ("succeeded", item.action)
    assert desk.effects == 4


async def test_a_reference_that_cannot_be_resolved_is_a_failure(tmp_path: Path) -> None:
    desk = Desk()
    before = world(desk)
    document = plan(
        group(step("make", "create", title="A new one", tenant="acme")),
        group(step("rank", "set", id=the("make", "number"), priority="high")),
    )
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, document)
    assert "the result of step make has no number" in text(result)
    assert world(desk) == before


async def test_what_cannot_go_back_waits_for_a_person_and_is_named(tmp_path: Path) -> None:
    """The mail went out before a step that depends on it failed."""
    desk = Desk()
    document = plan(
        group(step("rank", "set", id="T-1", priority="high")),
        group(step("mail", "charge", id="T-1")),
        group(step("close", "set", "mail", id="T-404", status="closed")),
    )
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, document)
        found = await the_plan(guard)
        [item] = [one for one in await guard.ledger.queue("acme") if one.action == found.id]
    assert found.status is Status.NEEDS_OPERATOR
    assert "not everything went back" in item.why
    assert "refused" in text(result)
    assert desk.charges == ["T-1"]


# --- in doubt ---


async def test_a_lost_reply_is_settled_within_the_plan(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        desk.tools.faults["set"] = [("after", OutcomeUnknown("lost", "the connection broke"))]
        assert status(await submit(guard, THREE)) == "succeeded"
    assert desk.effects == 4


async def test_a_step_that_cannot_be_settled_ends_in_the_queue_and_a_person_resumes(tmp_path: Path) -> None:
    desk = Desk()
    document = plan(
        group(step("charge", "charge", id="T-1")),
        group(step("rank", "set", "charge", id="T-1", priority="high")),
    )
    async with over(desk, tmp_path) as guard:
        desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "the connection broke"))]
        result = await submit(guard, document)
        found = await the_plan(guard)
        [charge] = [one for one in await all_actions(guard) if one.tool == "charge"]
        assert (found.status, charge.status) == (Status.NEEDS_OPERATOR, Status.NEEDS_OPERATOR)
        assert {one.action for one in await guard.ledger.queue("acme")} == {found.id, charge.id}
        assert "Stopped, not finished" in text(result)
        assert desk.tools.count("set") == 0
    assert desk.charges == ["T-1"]


# --- gone on with ---


@pytest.mark.parametrize(("tool", "end"), [("create", Status.NEEDS_OPERATOR), ("set", Status.SUCCEEDED)])
async def test_another_guard_goes_on_where_one_was_left(tmp_path: Path, tool: str, end: Status) -> None:
    """The first guard stalls in a call and is gone: nothing is executed twice, no model is asked.

    There is nothing by which the creation could be found, so that only a person can tell whether it took effect.
    """
    desk, gone = Desk(), set[str]()
    async with two(POLICY, desk, tmp_path, gone) as (one, other):
        gate = Gate(tool)
        desk.tools.gate = gate
        going = asyncio.create_task(submit(one, THREE))
        await asyncio.wait_for(gate.reached.wait(), 10)
        desk.tools.gate = None
        gone.add("one")
        one.clock.move(one.use_cases.services.keeper.lease * 3)
        for _ in range(12):
            await sweep(other)
            one.clock.move(one.use_cases.services.keeper.lease * 3)
            if (found := await the_plan(other)).status is not Status.RUNNING:
                break
        assert found.status is end
        going.cancel()
        await asyncio.wait({going})
        made = [record for name, record in desk.records.items() if name.startswith("N-")]
        if end is Status.SUCCEEDED:
            assert [(one["priority"], one["status"]) for one in made] == [("high", "closed")]
            assert desk.effects == 4
        else:
            assert (made, desk.tools.count("set")) == ([], 0)
        gate.opened.set()
        await one.use_cases.services.tasks.drain(30)


async def test_two_that_go_on_at_once_do_nothing_twice(tmp_path: Path) -> None:
    desk = Desk()
    async with two(POLICY, desk, tmp_path) as (one, other):
        await submit(one, MAIL)
        await answered(one)
        await asyncio.gather(sweep(one), sweep(other))
        for guard in (one, other):
            await sweep(guard)
        assert (await the_plan(one)).status is Status.SUCCEEDED
    assert desk.effects == 3
    assert len(desk.mails) == 1


# --- called off, and taken back ---


async def test_a_plan_is_called_off_before_it_begins(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        pending = await submit(guard, MAIL)
        plan_id = pending["_meta"]["io.takeback/action"]
        said = await submit(guard, {"cancel": plan_id, "reason": "not needed"})
        assert "Cancelled; no step was begun" in text(said)
        assert (await the_plan(guard)).status is Status.CANCELLED
        assert [one for one in await guard.ledger.approvals("acme") if one.status is ApprovalStatus.PENDING] == []
    assert desk.effects == 0


async def test_a_plan_is_called_off_in_the_middle(tmp_path: Path) -> None:
    desk, gate = Desk(), Gate("create")
    async with over(desk, tmp_path) as guard:
        before = world(desk)
        desk.tools.gate = gate
        going = asyncio.create_task(submit(guard, THREE))
        await asyncio.wait_for(gate.reached.wait(), 10)
        plan_id = (await the_plan(guard)).id
        await submit(guard, {"cancel": plan_id, "reason": "a mistake"})
        gate.opened.set()
        result = await going
        assert (await the_plan(guard)).status is Status.COMPENSATED
    assert "cancelled by agent: a mistake" in text(result)
    assert desk.tools.count("set") == 0
    assert world(desk) == before


async def test_a_client_that_goes_away_leaves_the_plan_to_the_guard(tmp_path: Path) -> None:
    desk, gate = Desk(), Gate("create")
    async with over(desk, tmp_path) as guard:
        desk.tools.gate = gate
        going = asyncio.create_task(submit(guard, THREE))
        await asyncio.wait_for(gate.reached.wait(), 10)
        going.cancel()
        await asyncio.wait({going})
        gate.opened.set()
        await guard.use_cases.services.tasks.drain(30)
        assert (await the_plan(guard)).status is Status.SUCCEEDED
    assert desk.effects == 4


async def test_a_plan_is_taken_back_as_a_whole_and_done_anew(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path) as guard:
        before = world(desk)
        done = await submit(guard, THREE)
        plan_id = done["_meta"]["io.takeback/action"]
        shown = await guard.undo(plan_id)
        assert shown.confirm is not None
        answer = await guard.undo(plan_id, confirm=shown.confirm)
        assert answer.ok, answer.text
        assert world(desk) == before
        assert (await guard.ledger.action("acme", plan_id)).status is Status.COMPENSATED
        anew = await submit(guard, THREE)
        plans = [one for one in await all_actions(guard) if one.action_class is ActionClass.WORKFLOW]
        assert [one.status for one in plans] == [Status.COMPENSATED, Status.SUCCEEDED]
    assert status(anew) == "succeeded"


async def test_another_run_cannot_cancel_a_plan(tmp_path: Path) -> None:
    async with over(Desk(), tmp_path) as guard:
        pending = await submit(guard, MAIL)
        stranger = replace(guard.caller, run="r2")
        with pytest.raises(NotFound):
            await guard.use_cases.plan(stranger, {"cancel": pending["_meta"]["io.takeback/action"], "reason": "x"})


# --- across runs, and long after ---


async def test_a_client_that_comes_back_recognises_its_plan(tmp_path: Path) -> None:
    """Another connection is another run; what broke off before is joined, and nothing is done twice."""
    async with lives(tmp_path) as life:
        one = await life.guard()
        done = await submit(one, THREE)
        life.dies(one)
        again = await submit(await life.guard(), THREE)
    assert again["_meta"]["io.takeback/action"] == done["_meta"]["io.takeback/action"]
    assert life.desk.effects == 4


async def test_a_plan_that_waits_is_joined_by_the_client_that_comes_back(tmp_path: Path) -> None:
    async with lives(tmp_path) as life:
        one = await life.guard()
        pending = await submit(one, MAIL)
        life.dies(one)
        two_ = await life.guard()
        same = await submit(two_, MAIL)
        assert same["_meta"]["io.takeback/action"] == pending["_meta"]["io.takeback/action"]
        await answered(two_)
        assert status(await submit(two_, MAIL)) == "succeeded"
    assert len(life.desk.mails) == 1


async def test_a_plan_whose_record_was_pruned_is_not_done_again(tmp_path: Path) -> None:
    desk = Desk()
    async with over(desk, tmp_path, PRUNED) as guard:
        await submit(guard, THREE)
        await pruned(guard, timedelta(days=31))
        result = await submit(guard, THREE)
    assert result["isError"]
    assert desk.effects == 4
