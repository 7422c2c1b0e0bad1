from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.images import WHOLE, Image, Part, Presence
from takeback.core.merging import Entangled, alike, retaken, taken_out
from takeback.core.policy.schema import KeyedList
from takeback.core.redaction import redact
from takeback.core.standoff import DIRTY, GONE, TOUCHED, UNSURE, Manner, Standoff, restored, stand
from takeback.core.undo import changed
from tests.core.examples import image

B = image({"priority": "normal", "tags": ["a"], "total": 5, "updated_at": 1})
A = image({"priority": "high", "tags": ["a", "b"], "total": 8, "updated_at": 2})
IGNORE = ("updated_at",)


def stood(current: Any, *fields: str, before: Image = B, after: Image = A, **manner: Any) -> Standoff:
    differing = changed(before, after, declared=fields, ignore=IGNORE)
    now = current if isinstance(current, Image) else image(current)
    return stand(before, after, now, differing, Manner(ignore=IGNORE, **manner))


def now(**fields: Any) -> dict[str, Any]:
    return {"priority": "high", "tags": ["a", "b"], "total": 8, "updated_at": 3} | fields


def test_field_by_field() -> None:
    back = stood(now(), "priority").restore
    assert [(d.field, d.before, d.after) for d in back] == [("priority", "normal", "high")]
    assert stood(now(priority="normal"), "priority").already == ("priority",)
    other = stood(now(priority="urgent"), "priority")
    assert [(c.before, c.after, c.current) for c in other.conflicts] == [("normal", "high", "urgent")]
    assert not other.restore


def test_an_edit_of_another_field_is_no_conflict() -> None:
    assert not stood(now(tags=["vip"]), "priority").conflicts


def test_a_created_record_that_somebody_changed_is_in_conflict() -> None:
    absent = image(None)
    assert stood(A, before=absent).restore[0].field == WHOLE
    assert stood(now(priority="low"), before=absent).conflicts


def test_another_record_under_the_id_of_a_deleted_one_is_a_conflict() -> None:
    assert stood({"priority": "low", "tags": [], "total": 1}, before=B, after=image(None)).conflicts
    assert stood(image(None), before=B, after=image(None)).restore


@given(st.integers(), st.integers(), st.integers())
def test_a_counter_goes_back_by_what_was_added_whatever_others_added(before: int, by: int, others: int) -> None:
    left, there = image({"total": before + by}), image({"total": before + by + others})
    found = stood(there, "total", before=image({"total": before}), after=left, moved={"total": by})
    assert [d.before for d in found.restore] == [before + others]
    assert found.counters == {"total"}


def test_a_counter_that_others_moved_back_meanwhile_is_not_taken_for_undone() -> None:
    found = stood({"total": 5}, "total", before=image({"total": 5}), after=image({"total": 5}), moved={"total": 3})
    assert [d.before for d in found.restore] == [2]


def test_what_was_there_before_is_not_put_back_when_it_was_taken_back_itself() -> None:
    found = stood(now(), "priority", dirty=frozenset({"priority"}))
    assert [c.why for c in found.conflicts] == [DIRTY]


def test_a_record_that_was_touched_in_a_way_that_no_field_shows_is_left_alone() -> None:
    found = stood(now(), "priority", touched=True)
    assert [c.why for c in found.conflicts] == [TOUCHED]
    assert stood(now(priority="normal"), "priority", touched=True).already == ("priority",)


def test_what_others_changed_and_changed_back_is_theirs() -> None:
    theirs = frozenset({"priority"})
    assert [c.why for c in stood(now(), "priority", retaken=theirs).conflicts] == [TOUCHED]
    assert stood(now(priority="normal"), "priority", retaken=theirs).already == ("priority",)
    assert stood(now(), "total", retaken=theirs).restore


def test_a_record_that_others_took_away_and_made_again_is_theirs() -> None:
    found = stood(now(), before=image(None), after=image(now()), retaken=frozenset({WHOLE}))
    assert [c.why for c in found.conflicts] == [TOUCHED]


@pytest.mark.parametrize(
    ("kind", "change", "seen", "theirs"),
    [
        (None, ("a", "b", "b"), ("b", "c"), True),
        (None, ("a", "b", "c"), ("b", "c"), False),
        (None, ("a", "a", "a"), ("a", "c"), False),
        ("set", ([1], [1, 2], [1, 2, 3]), ([1, 2], [1, 2, 3]), False),
        ("set", ([1], [1, 2], [1, 2]), ([1, 2], [1]), True),
        ("set", ([1], [1, 2], [1]), ([1, 2], [1]), False),
        ("lines", ("a\n", "a\nb\n", "c\nb\n"), ("a\nb\n", "a\n"), True),
        ("lines", ("a\n", "a\nb\n", "c\nb\n"), ("a\nb\n", "c\nb\n"), False),
        (KeyedList(key="id"), ([], [{"id": 1}], [{"id": 1}]), ([{"id": 1}], []), True),
        (KeyedList(key="id"), ([], [{"id": 1}], [{"id": 1}, {"id": 2}]), ([{"id": 1}], [{"id": 1}, {"id": 2}]), False),
        (KeyedList(key="id"), ([], [{}], [{}]), ([{}], []), True),
    ],
)
def test_only_what_an_action_made_and_is_there_again_was_retaken(
    kind: Any, change: tuple[Any, Any, Any], seen: tuple[Any, Any], theirs: bool
) -> None:
    assert retaken(kind, change, seen) is theirs


@pytest.mark.parametrize("unsure", ["priority", "*"])
def test_what_did_not_read_back_as_expected_may_be_somebody_elses(unsure: str) -> None:
    found = stood(now(), "priority", unsure=frozenset({unsure}))
    assert [c.why for c in found.conflicts] == [UNSURE]
    assert stood(now(), "tags", unsure=frozenset({"priority"})).restore
    assert stood(A, before=image(None), unsure=frozenset({"priority"})).conflicts


def test_a_record_that_is_gone_is_not_taken_for_one_with_empty_fields() -> None:
    before, after = image({"note": None}), image({"note": "a"})
    assert [c.why for c in stood(image(None), "note", before=before, after=after).conflicts] == [GONE]


def test_what_is_kept_as_a_digest_is_left_over_by_name() -> None:
    def hidden(ssn: str, note: str) -> Image:
        return image(redact({"ssn": ssn, "note": note}, fields=("ssn",), key=b"k" * 32))

    found = stood(hidden("2", "new"), before=hidden("1", "old"), after=hidden("2", "new"))
    assert ([d.field for d in found.restore], found.unwritable) == (["note"], ("ssn",))
    assert stood(hidden("3", "new"), before=hidden("1", "old"), after=hidden("2", "new")).conflicts


def test_the_goal_is_what_is_there_with_only_our_fields_put_back() -> None:
    there = now(tags=["vip"], extra=1)
    found = stood(there, "priority")
    assert restored(B, image(there), found) == there | {"priority": "normal"}


def test_the_goal_lacks_a_field_that_the_action_added() -> None:
    before, after = image({"a": 1}), image({"a": 1, "b": 2})
    found = stood({"a": 5, "b": 2}, "b", before=before, after=after)
    assert restored(before, image({"a": 5, "b": 2}), found) == {"a": 5}


def test_the_goal_of_several_targets_is_a_map() -> None:
    def two(one: int, other: int) -> Image:
        return Image((Part("x", Presence.PRESENT, {"n": one}), Part("y", Presence.PRESENT, {"n": other})))

    found = stood(two(2, 9), before=two(1, 1), after=two(2, 1))
    assert restored(two(1, 1), two(2, 9), found) == {"x": {"n": 1}, "y": {"n": 9}}


# --- lists and texts ---

ELEMENTS = st.lists(st.integers(0, 8), unique=True, max_size=6)


@given(ELEMENTS, ELEMENTS, ELEMENTS)
def test_what_others_put_into_a_set_or_took_out_stays_so(before: list[int], after: list[int], there: list[int]) -> None:
    """By intent: our additions go, our removals come back, and every other element is as others left it."""
    found = taken_out("set", before, after, there)
    ours_added, ours_removed = set(after) - set(before), set(before) - set(after)
    if after == there:
        assert found == before
    elif before == there:
        assert found == there
    else:
        assert set(found) == (set(there) - ours_added) | ours_removed
        assert len(found) == len(set(found))


ROWS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)


def rows(values: dict[str, int], note: str = "") -> list[dict[str, Any]]:
    return [{"id": name, "n": n, "note": note} for name, n in values.items()]


@given(ROWS, ROWS, ROWS)
def test_each_element_with_a_key_is_judged_by_itself(
    before: dict[str, int], after: dict[str, int], there: dict[str, int]
) -> None:
    ours = {name for name in before | after if before.get(name) != after.get(name)}
    entangled = {name for name in ours if there.get(name) not in {before.get(name), after.get(name)}}
    wanted = {name: n for name, n in there.items() if name not in ours}
    wanted |= {name: before[name] for name in ours if name in before}
    try:
        found = taken_out(KeyedList(key="id"), rows(before), rows(after), rows(there))
    except Entangled:
        assert entangled
    else:
        assert not entangled
        assert {row["id"]: row["n"] for row in found} == wanted


def test_fields_of_one_element_are_merged() -> None:
    key = KeyedList(key="id")
    found = taken_out(key, [{"id": 1, "n": 1, "m": 1}], [{"id": 1, "n": 2, "m": 1}], [{"id": 1, "n": 2, "m": 7}])
    assert found == [{"id": 1, "n": 1, "m": 7}]
    with pytest.raises(Entangled, match="n of the element 1"):
        taken_out(key, [{"id": 1, "n": 1, "m": 1}], [{"id": 1, "n": 2, "m": 1}], [{"id": 1, "n": 3, "m": 1}])


def test_what_comes_back_stands_where_it_stood() -> None:
    key = KeyedList(key="id")
    found = taken_out(key, rows({"a": 1, "b": 1, "c": 1}), rows({"a": 1, "c": 1}), rows({"a": 2, "c": 1, "d": 1}))
    assert [row["id"] for row in found] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "value", [[{"n": 1}], [{"id": 1}, {"id": 1}], ["text"], "no list"], ids=["no key", "twice", "no record", "text"]
)
def test_a_list_that_is_not_what_the_rule_says_is_not_guessed_at(value: Any) -> None:
    with pytest.raises(Entangled):
        taken_out(KeyedList(key="id"), [{"id": 1}], value, [{"id": 2}])


LINES = st.lists(st.sampled_from(["one", "two", "three", "four", "five"]), max_size=7).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)


@given(LINES, LINES)
def test_a_text_that_nobody_else_touched_goes_back_wholly(before: str, after: str) -> None:
    assert taken_out("lines", before, after, after) == before


def test_lines_of_others_stay() -> None:
    before, after = "title\n\nold\n\nend\n", "title\n\nnew\n\nend\n"
    assert taken_out("lines", before, after, after + "appended\n") == before + "appended\n"
    assert taken_out("lines", before, after, after.replace("title", "Title!")) == before.replace("title", "Title!")
    with pytest.raises(Entangled, match="line 3"):
        taken_out("lines", before, after, after.replace("new", "newer"))


@given(LINES, LINES, LINES)
def test_a_merge_loses_no_line_that_only_others_wrote(before: str, after: str, tail: str) -> None:
    """Others append below a separator that nobody touches: all of theirs stays, and all of ours goes."""
    mark = "-----\n"
    found = taken_out("lines", before + mark, after + mark, after + mark + tail)
    assert found == before + mark + tail


def test_a_merged_value_is_what_is_to_be_read_afterwards() -> None:
    found = stood(now(tags=["a", "b", "vip"]), "tags", lists={"tags": "set"})
    assert [(d.field, d.before) for d in found.restore] == [("tags", ["a", "vip"])]
    assert stood(now(tags=["a", "vip"]), "tags", lists={"tags": "set"}).already == ("tags",)


@given(ELEMENTS, st.randoms())
def test_a_set_has_no_order(elements: list[int], chance: Any) -> None:
    shuffled = list(elements)
    chance.shuffle(shuffled)
    assert alike("set", elements, shuffled)
    assert alike(KeyedList(key="id"), [{"id": n} for n in elements], [{"id": n} for n in shuffled])
    assert alike(None, elements, shuffled) == (elements == shuffled)
    assert not alike("set", elements, [*elements, 99])


def test_a_set_in_another_order_is_as_it_was_left() -> None:
    assert stood(now(tags=["b", "a"]), "tags", lists={"tags": "set"}).restore
    assert stood(now(tags=["b", "a"]), "tags").conflicts
