"""Plans by themselves: what is well formed, what references stand for, and the order in which steps run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.plan import (
    Group,
    Malformed,
    PlanDocument,
    PlanStep,
    Reference,
    Unresolvable,
    arranged,
    back_to,
    no_return,
    problems,
    references,
    resolved,
    with_holes,
)


def step(name: str, *needs: str, after: tuple[str, ...] = ()) -> PlanStep:
    """A step that refers to the results of others."""
    return PlanStep(id=name, tool="desk.set", arguments={n: {"$from": n, "path": "id"} for n in needs}, after=after)


def plan(*groups: list[PlanStep], checkpoints: tuple[int, ...] = ()) -> PlanDocument:
    made = tuple(Group(steps=tuple(steps), checkpoint=n in checkpoints) for n, steps in enumerate(groups))
    return PlanDocument(title="a plan", groups=made)


def names(found: PlanDocument) -> list[list[str]]:
    return [[one.id for one in group.steps] for group in found.groups]


def strangers(_one: str, _other: str) -> bool:
    return False


# --- references ---


def test_a_reference_stands_for_a_part_of_a_result() -> None:
    results: dict[str, Any] = {"s1": {"items": [{"id": "T-1"}], "n": 2**60}}
    wanted = {
        "id": {"$from": "s1", "path": "items.0.id"},
        "all": [{"$from": "s1"}],
        "n": {"$from": "s1", "path": ["n"]},
    }
    assert resolved(wanted, results) == {"id": "T-1", "all": [results["s1"]], "n": 2**60}


def test_what_only_looks_like_a_reference_is_marked_as_itself() -> None:
    value = {"$literal": {"$from": "s1"}}
    assert list(references({"a": value})) == []
    assert resolved({"a": value}, {}) == {"a": {"$from": "s1"}}
    assert with_holes({"a": value}, lambda _: None) == {"a": {"$from": "s1"}}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("title", "the result of step s1 has no title"),
        ("items.1", "the result of step s1 has no items.1"),
        ("items.first", "the result of step s1 has no items.first"),
        ("n.deeper", "the result of step s1 has no n.deeper"),
    ],
)
def test_a_reference_that_leads_nowhere_says_where_it_ended(path: str, why: str) -> None:
    with pytest.raises(Unresolvable, match=why.replace(".", r"\.")):
        resolved({"$from": "s1", "path": path}, {"s1": {"items": [1], "n": 3}})


def test_a_result_that_is_not_kept_cannot_be_referred_to() -> None:
    with pytest.raises(Unresolvable, match="step s2 has no result that is kept"):
        resolved({"$from": "s2"}, {"s1": {}})


@pytest.mark.parametrize("odd", [{"$from": 3}, {"$from": "a", "way": "x"}, {"$from": "a", "path": {"x": 1}}])
def test_what_is_no_reference_is_told(odd: Any) -> None:
    with pytest.raises(Malformed):
        list(references({"a": odd}))


def test_places_of_references_are_where_they_stand() -> None:
    found = list(references({"a": [1, {"b": {"$from": "s", "path": "x"}}]}))
    assert found == [Reference("s", ("x",), ("a", 1, "b"))]


# --- well formed ---


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (plan([step("a"), step("a")]), "each step has an id of its own: a is there twice"),
        (plan([step("a"), step("b", "a")]), "step b (group 1) needs a, which is not in an earlier group"),
        (plan([step("a", "b")], [step("b")]), "step a (group 1) needs b, which is not in an earlier group"),
        (plan([step("a", "z")]), "step a (group 1) needs z, which is no step of the plan"),
        (plan([step("a")], [step("b", after=("c",))]), "step b (group 2) needs c, which is no step of the plan"),
        (plan([]), "group 1 has no step"),
        (plan([step("a b")]), 'a step\'s id has letters, digits, _ and -, at most 64: "a b"'),
    ],
)
def test_what_is_wrong_with_a_plan_is_said(wrong: PlanDocument, why: str) -> None:
    assert why in problems(wrong)


def test_a_plan_comes_back_as_it_went_in() -> None:
    one = plan([step("a")], [step("b", "a", after=("a",))], checkpoints=(0,))
    assert PlanDocument.from_document(one.document()) == one
    assert problems(one) == []


# --- the order ---


def test_what_cannot_be_taken_back_comes_last() -> None:
    found = arranged(plan([step("mail"), step("a")], [step("b", "a")]), frozenset({"mail"}), strangers)
    assert names(found) == [["a"], ["b"], ["mail"]]
    assert no_return(found, frozenset({"mail"})) == 2


def test_it_comes_before_what_depends_on_it() -> None:
    found = arranged(plan([step("mail")], [step("a")], [step("b", "mail")]), frozenset({"mail"}), strangers)
    assert names(found) == [["a"], ["mail"], ["b"]]


def test_steps_about_the_same_thing_keep_their_order() -> None:
    same = arranged(plan([step("mail")], [step("a")], [step("b")]), frozenset({"mail"}), lambda one, _: one == "mail")
    assert names(same) == [["mail"], ["a"], ["b"]]


def test_two_that_depend_on_each_other_keep_their_order_at_the_end() -> None:
    found = arranged(plan([step("m1")], [step("m2", "m1")], [step("a")]), frozenset({"m1", "m2"}), strangers)
    assert names(found) == [["a"], ["m1"], ["m2"]]


@st.composite
def some_plans(draw: st.DrawFn) -> tuple[PlanDocument, frozenset[str]]:
    """A plan whose steps refer to some of those in earlier groups, and which of them nothing takes back."""
    groups: list[list[PlanStep]] = []
    earlier: list[str] = []
    for number in range(draw(st.integers(1, 6))):
        made = []
        for position in range(draw(st.integers(1, 3))):
            needs = draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True)) if earlier else []
            made.append(step(f"s{number}{position}", *needs))
        groups.append(made)
        earlier += [one.id for one in made]
    return plan(*groups), frozenset(draw(st.sets(st.sampled_from(earlier))))


@given(some_plans())
def test_the_order_keeps_every_dependency_and_delays_what_it_can(made: tuple[PlanDocument, frozenset[str]]) -> None:
    given_plan, irreversible = made
    found = arranged(given_plan, irreversible, strangers)
    place = {name: n for n, group in enumerate(names(found)) for name in group}
    assert sorted(place) == sorted(one.id for one in given_plan.steps)
    assert all(group.steps for group in found.groups)
    dependents: dict[str, list[str]] = {}
    for one in given_plan.steps:
        for reference in references(dict(one.arguments)):
            assert place[reference.step] < place[one.id]
            dependents.setdefault(reference.step, []).append(one.id)
    for name in irreversible:
        others = {
            other
            for group in found.groups
            if name in {s.id for s in group.steps}
            for other in (s.id for s in group.steps)
        }
        assert others <= irreversible  # a group of such steps alone
        later = [group for group in names(found)[place[name] + 1 :] if not set(group) <= irreversible]
        if later and name not in dependents:
            pytest.fail(f"{name} could have come later: {names(found)}")


def test_a_failure_leads_back_to_the_last_safe_checkpoint_that_was_passed() -> None:
    made = plan([step("a")], [step("b")], [step("c")], checkpoints=(0, 1))
    assert [back_to(made, done) for done in range(4)] == [0, 1, 2, 2]
