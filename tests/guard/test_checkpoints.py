"""Checkpoints: what was done and verified by then; going on is refused where a target changed since."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from takeback.core.run import Checkpoint
from takeback.guard.checkpoints import LONGEST_STATE, MOST_LISTED, document
from takeback.ports import NotFound, OutcomeUnknown
from takeback.testing import GuardForTests, guarded
from tests.guard.plans import THREE, submit, text
from tests.guard.test_life import HIGH
from tests.guard.world import POLICY, Desk

HOSTILE = "4bf9\n[takeback a1]/..?x=#y"
NOW = datetime(2026, 11, 26, tzinfo=UTC)

NOTES: dict[str, Any] = {
    "name": "half-way",
    "summary": "The first ticket is done.",
    "state": {"left": ["T-2"]},
    "next": ["close T-2"],
}


async def keep(guard: GuardForTests, **more: Any) -> dict[str, Any]:
    return dict(await guard.use_cases.checkpoint(guard.caller, {**NOTES, **more}))


async def kept(guard: GuardForTests) -> list[Checkpoint]:
    """The named ones."""
    return [one for one in await guard.use_cases.checkpoints_of("acme", "r1") if one.action is None]


async def resume(guard: GuardForTests, point: str = "half-way") -> dict[str, Any]:
    return dict(await guard.use_cases.checkpoint(guard.caller, {"resume": point}))


async def test_a_checkpoint_keeps_where_the_run_stands(guard: GuardForTests, desk: Desk) -> None:
    done = (await guard.call("set", HIGH)).action
    desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "the connection broke"))]
    doubt = (await guard.call("charge", {"id": "T-2"})).action
    pending = (await guard.call("send", {"id": "T-1", "body": "x"})).action
    assert done is not None
    assert doubt is not None
    assert pending is not None
    await keep(guard)
    [found] = await kept(guard)
    body = found.body
    assert (body["completed"], body["pending"]) == ([done.id], [doubt.id, pending.id])
    assert body["waits_for"] == [pending.approval]
    [verified] = body["verified"]
    assert (verified["action"], verified["after"]) == (done.id, done.after)
    assert (body["summary"], body["state"], body["next"]) == (NOTES["summary"], NOTES["state"], NOTES["next"])
    assert body["recovery"]["instructions"] == 'takeback_undo with what="since half-way"'


async def test_a_checkpoint_keeps_its_trace_and_where_to_look_at_it(desk: Desk, tmp_path: Path) -> None:
    policy = POLICY.replace("[defaults]", '[defaults]\ntrace_link = "https://traces.example/t/{trace}"')
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        guard.caller = replace(guard.caller, trace=HOSTILE)
        await guard.call("set", HIGH)
        await keep(guard)
        [found] = await kept(guard)
        account = await guard.use_cases.account("acme", "r1")
        said = text(await resume(guard))
    link = "https://traces.example/t/4bf9%0A%5Btakeback%20a1%5D%2F..%3Fx%3D%23y"
    assert (found.body["trace"], found.body["trace_link"]) == (HOSTILE, link)
    assert (account.document()["trace"], account.document()["trace_link"]) == (HOSTILE, link)
    line = f"Trace: 4bf9 [takeback a1]/..?x=#y ({link})."
    assert line in said.splitlines()
    assert line in account.text().splitlines()


async def test_without_a_template_the_trace_stands_alone(guard: GuardForTests) -> None:
    guard.caller = replace(guard.caller, trace="4bf9")
    await keep(guard)
    [found] = await kept(guard)
    assert (found.body["trace"], found.body["trace_link"]) == ("4bf9", None)
    assert "Trace: 4bf9." in text(await resume(guard)).splitlines()


async def test_only_the_own_runs_are_found_by_their_id(guard: GuardForTests) -> None:
    made = (await keep(guard))["_meta"]["io.takeback/checkpoint"]
    assert (await guard.use_cases.own_checkpoint(guard.caller, made)).name == "half-way"
    for other in (replace(guard.caller, run="r2"), replace(guard.caller, tenant="zeta")):
        assert (await guard.use_cases.own_checkpoints(other)).checkpoints == ()
        with pytest.raises(NotFound, match=f"^there is no checkpoint {made}$"):
            await guard.use_cases.own_checkpoint(other, made)
        with pytest.raises(NotFound, match=f"^there is no checkpoint {made}$"):
            await guard.use_cases.own_checkpoints(other, made)
    with pytest.raises(NotFound):
        await guard.use_cases.own_checkpoint(guard.caller, "half-way")  # names may come again; ids do not


async def test_they_come_page_by_page_the_newest_first(guard: GuardForTests) -> None:
    made = [(await keep(guard, name=f"n{n}"))["_meta"]["io.takeback/checkpoint"] for n in range(101)]
    pages: list[list[str]] = []
    last = None
    while not pages or last is not None:
        page = await guard.use_cases.own_checkpoints(guard.caller, last)
        pages.append([one.id for one in page.checkpoints])
        last = page.last
    assert [len(page) for page in pages] == [50, 50, 1]
    assert [one for page in pages for one in page] == made[::-1]


def test_the_document_of_a_long_run_names_the_newest_and_counts_the_rest() -> None:
    body: dict[str, Any] = {"completed": [f"a{n}" for n in range(2000)], "pending": ["a1"], "left_out": True}
    found = document(Checkpoint(id="c1", tenant="acme", run="r1", name="x", at=NOW, body=body))
    assert found["completed"] == body["completed"][-MOST_LISTED:]
    assert (found["left_out"], found["newest_actions_only"]) == ({"completed": 2000 - MOST_LISTED}, True)
    assert (found["pending"], found["last_verified"]) == (["a1"], None)


async def test_going_on_from_one_tells_what_was_left_in_it(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    await keep(guard)
    result = await resume(guard)
    assert not result["isError"]
    assert "The first ticket is done." in text(result)
    assert "Next: close T-2." in text(result)
    assert '{"left":["T-2"]}' in text(result)


async def test_one_whose_target_changed_since_is_refused_with_the_differences(guard: GuardForTests, desk: Desk) -> None:
    action = (await guard.call("set", HIGH)).action
    assert action is not None
    await keep(guard)
    desk.records["T-1"]["priority"] = "urgent"  # by somebody else
    result = await resume(guard)
    assert result["isError"]
    assert f"- T-1 (About T-1) (last verified by {action.id}): priority high -> urgent" in text(result)
    desk.records["T-1"]["priority"] = "high"
    assert not (await resume(guard))["isError"]


@pytest.mark.parametrize("how", ["deleted", "undone", "unreadable"])
async def test_one_whose_target_is_gone_or_was_taken_back_is_refused(
    guard: GuardForTests, desk: Desk, how: str
) -> None:
    action = (await guard.call("set", HIGH)).action
    assert action is not None
    await keep(guard)
    if how == "deleted":
        del desk.records["T-1"]
    elif how == "undone":
        assert (await guard.undo(action.id)).ok
    else:
        desk.tools.faults["get"] = [OutcomeUnknown("lost", "it is silent")] * 9
    result = await resume(guard)
    assert result["isError"]
    assert "is stale" in text(result)


async def test_what_was_created_is_looked_at_under_its_id(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("create", {"title": "A new one", "tenant": "acme"})
    await keep(guard)
    assert not (await resume(guard))["isError"]
    desk.records["N-3"]["title"] = "Another"
    assert "title" in text(await resume(guard))


async def test_only_what_was_verified_last_counts(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    later = (await guard.call("set", {"id": "T-1", "priority": "low"})).action
    assert later is not None
    await keep(guard)
    [found] = await kept(guard)
    assert [one["action"] for one in found.body["verified"]] == [later.id]
    assert not (await resume(guard))["isError"]


async def test_what_came_after_one_is_taken_back(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    await keep(guard)
    await guard.call("set", {"id": "T-2", "priority": "high"})
    answer = await guard.undo("since half-way")
    assert answer.ok, answer.text
    assert (desk.records["T-1"]["priority"], desk.records["T-2"]["priority"]) == ("high", "normal")


async def test_too_large_a_state_is_refused_and_nothing_is_kept(guard: GuardForTests) -> None:
    result = await keep(guard, state={"text": "x" * LONGEST_STATE})
    assert result["isError"]
    assert f"a checkpoint keeps {LONGEST_STATE}" in text(result)
    assert await kept(guard) == []


async def test_a_plans_own_checkpoints_are_not_gone_on_from(guard: GuardForTests) -> None:
    result = await submit(guard, THREE)
    assert await kept(guard) == []
    assert (await guard.use_cases.own_checkpoints(guard.caller)).checkpoints == ()
    plan = result["_meta"]["io.takeback/action"]
    assert (await guard.ledger.checkpoint("acme", f"{plan}g1")).action == plan
    with pytest.raises(NotFound):
        await resume(guard, f"{plan} group 1")
    with pytest.raises(NotFound):
        await guard.use_cases.own_checkpoint(guard.caller, f"{plan}g1")


async def test_there_is_none_of_that_name(guard: GuardForTests) -> None:
    with pytest.raises(NotFound, match="has no checkpoint half-way"):
        await resume(guard)


# --- each verified write is one ---


async def test_every_verified_write_is_one_without_being_asked_for(guard: GuardForTests, desk: Desk) -> None:
    first = (await guard.call("set", HIGH)).action
    desk.tools.faults["charge"] = [("after", OutcomeUnknown("lost", "the connection broke"))]
    doubt = (await guard.call("charge", {"id": "T-1"})).action
    charged = (await guard.call("charge", {"id": "T-2"})).action
    second = (await guard.call("set", {"id": "T-2", "status": "closed"})).action
    assert first is not None
    assert doubt is not None
    assert charged is not None
    assert second is not None
    await keep(guard)
    named, after, before = await guard.use_cases.checkpoints_of("acme", "r1")
    assert (named.name, after.id, before.id) == ("half-way", second.id, first.id)
    assert (before.body["completed"], before.body["pending"]) == ([first.id], [])
    assert after.body["completed"] == [first.id, charged.id, second.id]
    assert after.body["pending"] == [doubt.id]
    assert [one["action"] for one in after.body["verified"]] == [first.id, second.id]
    assert after.body["recovery"]["instructions"] == f'takeback_undo with what="since {second.id}"'
    assert set(after.body) == set(named.body)


async def test_going_on_from_a_verified_write_looks_at_all_that_was_verified_by_then(
    guard: GuardForTests, desk: Desk
) -> None:
    first = (await guard.call("set", HIGH)).action
    second = (await guard.call("set", {"id": "T-2", "status": "closed"})).action
    assert first is not None
    assert second is not None
    assert f"Done by then: {first.id}, {second.id}." in text(await resume(guard, second.id))
    desk.records["T-2"]["status"] = "open"
    assert not (await resume(guard, first.id))["isError"]
    refused = await resume(guard, second.id)
    assert refused["isError"]
    assert f"T-2 (About T-2) (last verified by {second.id}): status closed -> open" in text(refused)
    _, stale = await guard.use_cases.stale("acme", "r1", second.id)
    assert [one.action for one in stale] == [second.id]


async def test_one_that_was_taken_back_is_stale(guard: GuardForTests, desk: Desk) -> None:
    done = (await guard.call("set", HIGH)).action
    assert done is not None
    assert (await guard.undo(done.id)).ok
    assert await guard.use_cases.checkpoints_of("acme", "r1") == []
    refused = await resume(guard, done.id)
    assert refused["isError"]
    assert f"{done.id} is compensated" in text(refused)


@pytest.mark.parametrize("run", ["r1", "r2"])
async def test_what_was_not_verified_or_is_not_its_own_is_none(guard: GuardForTests, desk: Desk, run: str) -> None:
    done = (await guard.call("set", HIGH)).action
    charged = (await guard.call("charge", {"id": "T-2"})).action
    assert done is not None
    assert charged is not None
    caller = replace(guard.caller, run=run)
    point = charged.id if run == "r1" else done.id
    with pytest.raises(NotFound):
        await guard.use_cases.checkpoint(caller, {"resume": point})
    with pytest.raises(NotFound):
        await guard.use_cases.own_checkpoint(caller, point)
    assert (await guard.use_cases.own_checkpoint(guard.caller, done.id)).id == done.id
