"""A seeded sample of the enumeration; `make crashes` plays all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from tests.crashes.cases import Case, Stage, case_named, stage
from tests.crashes.families import workloads
from tests.crashes.tally import Tally, report
from tests.crashes.workloads import KINDS, MAY_BE_QUEUED, singles, triples

SAMPLE: Final = 5
"""Boundaries of each kind."""

SEED: Final = 20261125


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("crashes")) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_guard_killed_anywhere_leaves_nothing_that_nobody_knows_of(on: Stage, kind: str) -> None:
    case, tally = Case(workload=(kind,)), Tally()
    recording = on.recording(case)
    for target in random.Random(f"{SEED} {kind}").sample(recording.boundaries, SAMPLE):
        tally.add(on.play(replace(case, target=target)))
    assert not tally.wrong, "\n".join(report(result) for result in tally.wrong)
    assert tally.total.cases == SAMPLE
    assert kind in MAY_BE_QUEUED or tally.total.queued == 0


@pytest.mark.parametrize(
    "name",
    [
        "set,pay@0/request set#1/done",
        "charge,note@1/request note#1/late",
        "delete,undo@1/commit claim#1/after",
        "approved,set@0/commit claim#1/after",
        "away set@0/request set#1/late",
        "away note@0/commit claim#1/after",
        "away pay@0/request pay#1/done",
        "cold set@start/keep pins#1/before",
        "slow charge@0/renew#1/after",
        "face set@face/answer#1/before",
        "face pay@face/answer#1/after",
    ],
)
def test_the_same_of_two_actions_without_an_agent_at_the_start_in_a_heartbeat_and_through_the_face(
    on: Stage, name: str
) -> None:
    result = on.play(case_named(name))
    assert not result.judged.problems, report(result)


def test_what_nothing_can_settle_waits_for_a_person_and_only_that(on: Stage) -> None:
    assert on.play(case_named("charge@0/request charge#1/done")).judged.queued == 1
    assert on.play(case_named("charge@0/commit claim#1/before")).judged.queued == 0
    assert on.play(case_named("charge@0/commit succeed#1/after")).judged.queued == 0


def test_every_boundary_that_the_task_names_is_enumerated(on: Stage) -> None:
    passages = {boundary.partition("/")[2] for boundary in on.recording(Case(workload=("set",))).boundaries}
    wanted = {"approach#1", "commit claim#1", "commit succeed#1", "answer#1"}
    assert {f"{one}/{when}" for one in wanted for when in ("before", "after")} <= passages
    assert {f"request set#1/{when}" for when in ("before", "late", "done", "after")} <= passages


def test_triples_cover_every_pair_of_kinds_in_every_two_places() -> None:
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert {(triple[one], triple[other]) for triple in triples()} == {(a, b) for a in KINDS for b in KINDS}


def test_a_case_is_found_again_by_its_name() -> None:
    cases = [case for family in ("one", "away", "start", "slow", "face", "two") for case in workloads(family)]
    for case in [*cases, Case(workload=singles()[0], target="0/request set#1/late", away=True)]:
        assert case_named(case.name) == case
