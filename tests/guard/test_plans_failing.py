"""A plan of ten steps that fails at each of them in turn: what was done goes back, or what is left of it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from takeback.core.jsontext import JSON
from takeback.core.vocabulary import Status
from takeback.ports import NotSent
from takeback.testing import ToolError
from tests.guard.plans import all_actions, group, over, plan, status, step, submit, text, the, the_plan
from tests.guard.world import Desk, record

READ: Final = "look"
CHARGED: Final = "charge"
LAST: Final = "last"

TEN: Final = plan(
    group(step(READ, "get", id="R-1")),
    group(step("make", "create", title=the(READ, "title"), tenant="acme")),
    group(step("rank", "set", id=the("make", "id"), priority="high"), step("other", "set", id="T-1", status="closed")),
    group(step("count", "add", id="T-1", by=5)),
    group(step("link", "link", id="T-2"), step("gone", "delete", id="D-1"), step("drop", "delete", id="D-2")),
    group(step(CHARGED, "charge", "link", id="C-1")),
    group(step(LAST, "set", CHARGED, id="T-2", priority="low")),
)
"""Reads, writes of all kinds, steps side by side; only the last comes after what nothing takes back."""

STEPS: Final = [one["id"] for each in TEN["groups"] for one in each["steps"]]

Refusal = Callable[[], Exception]
HOW: Final[dict[str, Refusal]] = {
    "refused": lambda: ToolError("not today"),
    "never sent": lambda: NotSent("it is down"),
}


def desk_for_it() -> Desk:
    """A desk with all that the plan is about."""
    desk = Desk()
    desk.records |= {one: record(one) for one in ("R-1", "D-1", "D-2", "C-1")}
    return desk


def desk_that_refuses(name: str, how: Refusal) -> Desk:
    """A desk at which one step's own call fails each time; the same tools go on for everything else."""
    desk = desk_for_it()
    wanted = next(one for each in TEN["groups"] for one in each["steps"] if one["id"] == name)
    own = {key: value for key, value in wanted["arguments"].items() if not isinstance(value, dict)}
    inner = desk.tools.functions[wanted["tool"]]

    def refusing(arguments: dict[str, Any]) -> JSON:
        if own.items() <= arguments.items():
            raise how()
        return inner(arguments)

    desk.tools.functions = {**desk.tools.functions, wanted["tool"]: refusing}
    return desk


def world(desk: Desk) -> dict[str, Any]:
    """The records as they are for anybody but the guard, who reads them (and is counted)."""
    return {name: {k: v for k, v in one.items() if k != "seen"} for name, one in desk.records.items()}


def test_there_are_ten() -> None:
    assert len(set(STEPS)) == 10


async def test_undisturbed_it_succeeds_and_changes_what_it_says(tmp_path: Path) -> None:
    desk = desk_for_it()
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, TEN)
    assert status(result) == "succeeded", text(result)
    assert desk.effects == 9
    assert desk.charges == ["C-1"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("failing", [name for name in STEPS if name != LAST])
async def test_all_of_it_goes_back(tmp_path: Path, failing: str, how: str) -> None:
    desk = desk_that_refuses(failing, HOW[how])
    before = world(desk)
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, TEN)
        found, queue = await the_plan(guard), await guard.ledger.queue("acme")
        standing = [one.name for one in await all_actions(guard) if one.in_force and one.origin.value == "plan"]
    assert found.status is Status.COMPENSATED, text(result)
    assert f"step {failing}" in text(result)
    assert (world(desk), desk.charges) == (before, [])
    assert (queue, standing) == ([], [])


@pytest.mark.parametrize("how", HOW)
async def test_what_cannot_go_back_is_named_and_everything_else_goes_back(tmp_path: Path, how: str) -> None:
    desk = desk_that_refuses(LAST, HOW[how])
    before = world(desk)
    async with over(desk, tmp_path) as guard:
        result = await submit(guard, TEN)
        found, queue = await the_plan(guard), await guard.ledger.queue("acme")
        [charge] = [one for one in await all_actions(guard) if one.tool == CHARGED]
    assert found.status is Status.NEEDS_OPERATOR, text(result)
    assert [one.action for one in queue] == [found.id]
    assert "not everything went back" in queue[0].why
    assert f"{charge.id} not undone" in text(result)
    assert charge.in_force
    assert (world(desk), desk.charges) == (before, ["C-1"])
