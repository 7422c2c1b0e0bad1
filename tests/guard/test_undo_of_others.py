"""What an undo must leave alone: later actions, other people's edits, and what it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from takeback.core.vocabulary import Status
from takeback.ports import OutcomeUnknown
from takeback.testing import GuardForTests, guarded
from tests.guard.test_undo import HIGH, confirmed, done
from tests.guard.world import POLICY, Desk


async def undone(guard: GuardForTests, action: str) -> Any:
    """An undo that confirms whatever preview it gets."""
    answer = await guard.undo(action)
    return answer if answer.confirm is None else await guard.undo(action, confirm=answer.confirm)


async def test_a_later_action_in_force_is_a_dependency_even_if_the_values_agree(
    guard: GuardForTests, desk: Desk
) -> None:
    first = await done(guard, "set", HIGH)
    await done(guard, "set", {"id": "T-1", "priority": "low"})
    third = await done(guard, "set", HIGH)
    answer = await guard.undo(first)
    assert not answer.ok, answer.text
    assert third in answer.text
    assert answer.outcome == "refused"
    assert desk.records["T-1"]["priority"] == "high"
    answer = await guard.undo(first, confirm="not what was shown")
    assert (answer.outcome, desk.records["T-1"]["priority"]) == ("refused", "high")


async def test_a_later_action_that_was_taken_back_is_none(guard: GuardForTests, desk: Desk) -> None:
    first = await done(guard, "set", HIGH)
    second = await done(guard, "set", {"id": "T-1", "priority": "low"})
    assert (await undone(guard, second)).ok
    assert (await undone(guard, first)).ok
    assert desk.records["T-1"]["priority"] == "normal"


async def test_a_later_action_on_other_fields_is_none(guard: GuardForTests, desk: Desk) -> None:
    first = await done(guard, "set", HIGH)
    await done(guard, "set", {"id": "T-1", "status": "closed"})
    assert (await undone(guard, first)).ok
    assert desk.records["T-1"]["status"] == "closed"


async def test_a_counter_goes_back_beside_later_additions(guard: GuardForTests, desk: Desk) -> None:
    first = await done(guard, "add", {"id": "T-1", "by": 5})
    await done(guard, "add", {"id": "T-1", "by": 7})
    answer = await undone(guard, first)
    assert answer.ok, answer.text
    assert desk.records["T-1"]["total"] == 107


async def test_a_counter_that_others_brought_back_to_its_old_value_still_goes_back_by_its_difference(
    guard: GuardForTests, desk: Desk
) -> None:
    action = await done(guard, "add", {"id": "T-1", "by": 5})
    desk.records["T-1"]["total"] -= 5
    answer = await undone(guard, action)
    assert answer.ok, answer.text
    assert desk.records["T-1"]["total"] == 95


async def test_a_counter_goes_back_by_what_the_call_named_and_not_by_what_others_added_meanwhile(
    guard: GuardForTests, desk: Desk
) -> None:
    plain = desk.tools.functions["add"]

    def add_beside_others(args: dict[str, Any]) -> Any:
        desk.records["T-1"]["total"] += 1000
        return plain(args)

    desk.tools.functions = {**desk.tools.functions, "add": add_beside_others}
    reply = await guard.call("add", {"id": "T-1", "by": 5})
    desk.tools.functions = {**desk.tools.functions, "add": plain}
    assert reply.action is not None
    answer = await undone(guard, reply.action.id)
    assert answer.ok, answer.text
    assert desk.records["T-1"]["total"] == 1100


SET = 'id = "set"\ntool = "desk.set"\nclass = '
EXTERNAL = POLICY.replace(f'{SET}"internal_update"', f'{SET}"external_reversible"')
COMPUTED = POLICY.replace(
    '"before.priority", status = "before.status"', '"before.priority", status = "lower(before.status)"'
)


@pytest.mark.parametrize("policy", [EXTERNAL, COMPUTED], ids=["an external system", "a computed argument"])
async def test_another_field_that_others_edited_stays(policy: str, desk: Desk, tmp_path: Path) -> None:
    assert policy != POLICY
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        action = await done(guard, "set", HIGH)
        desk.records["T-1"]["status"] = "closed"
        await undone(guard, action)
        assert desk.records["T-1"]["status"] == "closed", "somebody else's edit"
        assert desk.records["T-1"]["priority"] == "normal"


async def test_what_it_never_saw_afterwards_is_not_called_compensated(guard: GuardForTests, desk: Desk) -> None:
    looks = 0

    async def blind(name: str) -> None:
        nonlocal looks
        looks += name == "get"
        if name == "get" and looks >= 2:
            raise OutcomeUnknown("lost", "no answer")

    desk.tools.gate = blind
    action = await done(guard, "set", HIGH)
    desk.tools.gate = None
    answer = await undone(guard, action)
    assert not answer.ok, answer.text
    stands = await guard.ledger.action("acme", action)
    assert (stands.status, stands.in_force) == (Status.SUCCEEDED, True)
    assert desk.records["T-1"]["priority"] == "high"


async def test_a_created_record_of_which_no_after_image_tells_is_not_deleted(guard: GuardForTests, desk: Desk) -> None:
    async def blind(name: str) -> None:
        if name == "get":
            raise OutcomeUnknown("lost", "no answer")

    desk.tools.gate = blind
    action = await done(guard, "create", {"title": "new"})
    desk.tools.gate = None
    made = (await guard.ledger.action("acme", action)).targets[0].id
    desk.records[made]["priority"] = "urgent"
    assert not (await undone(guard, action)).ok
    assert made in desk.records


@pytest.mark.parametrize(("tool", "arguments"), [("link", {"id": "T-1"}), ("set", HIGH)])
async def test_a_write_that_changed_nothing_has_nothing_to_take_back(
    guard: GuardForTests, desk: Desk, tool: str, arguments: dict[str, Any]
) -> None:
    desk.records["T-1"] |= {"linked": True, "priority": "high"}
    action = await done(guard, tool, arguments)
    effects = desk.effects
    answer = await undone(guard, action)
    assert "changed nothing" in answer.text
    assert desk.effects == effects
    assert desk.records["T-1"]["linked"] is True


async def test_a_nested_field_goes_back_and_a_required_one_carries_what_is_there_now(
    desk: Desk, tmp_path: Path
) -> None:
    def place(args: dict[str, Any]) -> Any:
        desk.effects += 1
        desk.records["T-1"]["address"] = {"city": args["city"], "zip": args["zip"]}
        desk.records["T-1"]["phone"] = args.get("phone", desk.records["T-1"]["phone"])
        return {"ok": True}

    desk.records["T-1"] |= {"address": {"city": "Rome", "zip": "1"}, "phone": "5"}
    desk.tools.functions = {**desk.tools.functions, "place": place}
    rule = """
[[rule]]
tool = "desk.place"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
writes = ["address", "phone"]
ignore = ["seen"]
verify = "after.address.city == args.city"
undo = { tool = "desk.place", args = { id = "target.id", city = "before.address.city", zip = "before.address.zip" } }
"""
    async with guarded(POLICY + rule, [desk.tools], tmp_path) as guard:
        action = await done(guard, "place", {"id": "T-1", "city": "Oslo", "zip": "2"})
        answer = await undone(guard, action)
        assert answer.ok, answer.text
        assert desk.records["T-1"]["address"] == {"city": "Rome", "zip": "1"}


async def test_a_preview_of_a_chain_is_confirmed(guard: GuardForTests, desk: Desk) -> None:
    action = await done(guard, "delete", {"id": "T-2"})
    assert (await confirmed(guard, action)).ok


async def test_an_edit_of_others_before_the_read_back_is_not_taken_for_ours(guard: GuardForTests, desk: Desk) -> None:
    run = desk.tools.functions["set"]

    def meddled(args: dict[str, Any]) -> Any:
        answer = run(args)
        desk.records["T-1"]["priority"] = "somebody's"
        return answer

    desk.tools.functions = {**desk.tools.functions, "set": meddled}
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    assert reply.action.status is Status.FAILED
    answer = await undone(guard, reply.action.id)
    assert answer.outcome == "refused"
    assert desk.records["T-1"]["priority"] == "somebody's"


async def test_a_later_action_that_set_what_was_there_before_still_is_a_dependency(
    guard: GuardForTests, desk: Desk
) -> None:
    first = await done(guard, "set", {**HIGH, "status": "closed"})
    second = await done(guard, "set", {"id": "T-1", "priority": "normal"})
    offered = await guard.undo(first)
    assert (offered.ok, offered.outcome) == (False, "refused")
    assert second in offered.text
    assert desk.records["T-1"]["status"] == "closed"
