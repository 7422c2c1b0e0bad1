"""The inventory against tools of public servers, labelled by hand (README.md): floors just below what was measured."""

from __future__ import annotations

import pytest

from benchmarks.inventory import HELD_OUT, Result, definitions, judged, labels, servers
from takeback.core.inventory.drafting import inventory

from .offers import policy_of


@pytest.mark.parametrize("server", servers())
def test_every_tool_has_one_label_and_labels_name_tools(server: str) -> None:
    names = [tool["name"] for tool in definitions(server)]
    known = labels(server)
    assert sorted(known) == sorted(names)
    named = {each for label in known.values() for each in label.read_back | label.undo} - {"-"}
    assert named <= set(names)


@pytest.mark.parametrize("server", servers())
def test_what_is_drafted_loads(server: str) -> None:
    policy = policy_of(inventory("up", definitions(server)))
    assert {each.rule.tool for each in policy.rules} == {f"up.{tool['name']}" for tool in definitions(server)}


@pytest.mark.parametrize(
    ("held_out", "floors"),
    [
        (
            False,
            {"writes": 0.92, "class": 0.96, "does": 0.96, "read-back": 0.9, "undo named": 0.96, "undo ready": 0.65},
        ),
        (True, {"writes": 0.8, "class": 0.95, "does": 0.94, "read-back": 0.77, "undo named": 0.92, "undo ready": 0.72}),
    ],
)
def test_no_write_is_drafted_as_a_read_and_the_rest_is_as_good_as_measured(
    held_out: bool, floors: dict[str, float]
) -> None:
    result: Result = judged(name for name in servers() if (name in HELD_OUT) is held_out)
    assert result.writes_as_reads == []
    assert result.scores["writes"].recall == 1
    found = {feature: min(score.precision, score.recall) for feature, score in result.scores.items()}
    assert {feature: found[feature] for feature, floor in floors.items() if found[feature] < floor} == {}
