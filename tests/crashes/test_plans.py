"""Plans killed anywhere: a seeded sample; `make crashes ARGS="--family plan"` plays all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.crashes.cases import Case, Stage, case_named, stage
from tests.crashes.families import workloads
from tests.crashes.plans import DOCUMENTS, kept
from tests.crashes.safeguards import stalled_in_a_plan
from tests.crashes.tally import Tally, report
from tests.crashes.upstream import State

SAMPLE: Final = 1
"""Boundaries of each kind, each with an agent that comes again, and without."""

SEED: Final = 20261126


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("plans")
    with stage(folder) as found:
        yield found


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_guard_killed_in_a_plan_leaves_the_world_as_if_it_had_not_been(on: Stage, kind: str) -> None:
    tally, case = Tally(), Case(workload=(kind,))
    recording = on.recording(case)
    for away in (False, True):
        chance = random.Random(f"{SEED} {kind} {away}")
        for target in chance.sample(recording.boundaries, SAMPLE):
            tally.add(on.play(replace(case, target=target, away=away)))
    assert not tally.wrong, "\n".join(report(result) for result in tally.wrong)
    assert tally.total.cases == 2 * SAMPLE


@pytest.mark.parametrize("kind", ["plan", "plan-back"])
def test_two_guards_that_go_on_at_once_do_nothing_twice(on: Stage, kind: str) -> None:
    case = Case(workload=(kind,), away=True, rivals=True)
    boundaries = [one for one in on.recording(case).boundaries if "/request " in one or "/commit " in one]
    for target in random.Random(f"{SEED} {kind} rivals").sample(boundaries, SAMPLE):
        result = on.play(replace(case, target=target))
        assert not result.judged.problems, report(result)


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("plan", "0/commit claim#5/after"),
        ("plan-back", "0/commit claim#8/after"),
    ],
)
def test_a_guard_that_stands_still_in_a_plan_does_nothing_once_another_has_gone_on(
    on: Stage, kind: str, target: str
) -> None:
    assert stalled_in_a_plan(on, kind, target) == []


def test_without_the_fences_it_would(on: Stage) -> None:
    on.without = "both fences"
    try:
        found = stalled_in_a_plan(on, "plan", "0/commit claim#5/after")
    finally:
        on.without = None
    assert any(one.startswith("DUPLICATE: 'priority M-1 urgent'") for one in found), found


def test_a_plan_that_cannot_be_settled_waits_with_its_step_and_only_then(on: Stage) -> None:
    assert on.play(case_named("away plan-charge@0/request charge#1/done")).judged.queued == 2
    assert on.play(case_named("plan-charge@0/commit succeed#1/after")).judged.queued == 0


def test_what_the_plans_come_to_undisturbed(on: Stage) -> None:
    """Otherwise the world of a killed one would be compared with nothing."""
    before = kept(State())
    ends = {kind: on.recording(Case(workload=(kind,))).ends for kind in DOCUMENTS}
    unchanged = [kind for kind, one in ends.items() if one is not None and one.after == before]
    assert (len(ends), unchanged) == (5, ["plan-back"])
    assert ends["plan"] is not None
    assert ends["plan"].after["notes"] == ["P-0", "normal"]


def test_a_case_is_found_again_by_its_name() -> None:
    cases = [replace(case, target="0/request set#1/late") for case in workloads("plan")]
    assert len(cases) == 12
    for case in cases:
        assert case_named(case.name) == case
