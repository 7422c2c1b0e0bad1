"""Images, what differs between them, and what an undo may and may not do about it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from takeback.core.images import Difference, Image, Part, Presence, differences, equal_images, field_value
from takeback.core.undo import Outcome, changed, judge_outcome, unexplained
from takeback.core.vocabulary import UndoOutcome
from tests.core.examples import UNREADABLE, image

B = image({"priority": "normal", "tags": [], "updated_at": 1})
A = image({"priority": "high", "tags": [], "updated_at": 2})
IGNORE = ("updated_at",)
RECORDS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), max_size=4)


def test_ignored_fields_do_not_differ() -> None:
    assert differences(B, A, ignore=IGNORE) == (Difference("priority", "normal", "high"),)


def test_what_appeared_or_vanished_differs_as_a_whole() -> None:
    assert [d.field for d in differences(image(None), B)] == ["*"]
    assert [d.field for d in differences(B, image(None))] == ["*"]


def test_what_cannot_be_read_differs_in_nothing_and_equals_nothing() -> None:
    assert differences(B, UNREADABLE) == ()
    assert not equal_images(UNREADABLE, UNREADABLE)


def test_several_targets_name_their_fields() -> None:
    two = Image((Part("source", Presence.PRESENT, {"n": 1}), Part("destination", Presence.ABSENT)))
    other = Image((Part("source", Presence.ABSENT), Part("destination", Presence.PRESENT, {"n": 1})))
    assert [d.field for d in differences(two, other)] == ["source.*", "destination.*"]
    assert field_value(two, "source.n") == 1
    assert Image.from_document(two.document()) == two


@given(RECORDS, RECORDS)
def test_nothing_differs_exactly_when_records_are_equal_up_to_null(one: dict[str, int], other: dict[str, int]) -> None:
    assert (differences(image(one), image(other)) == ()) == (one == other)


@given(RECORDS, RECORDS, st.sets(st.sampled_from("abcd")))
def test_every_difference_is_either_the_actions_or_somebody_elses(
    one: dict[str, int], other: dict[str, int], declared: set[str]
) -> None:
    names = tuple(sorted(declared))
    mine = {d.field for d in changed(image(one), image(other), declared=names, ignore=())}
    theirs = set(unexplained(image(one), image(other), declared=names, ignore=()))
    assert mine | theirs == {d.field for d in differences(image(one), image(other))}
    assert not mine & theirs


def test_exact_only_when_everything_that_was_read_says_so() -> None:
    def outcome(restored: object, **expected: object) -> Outcome:
        return judge_outcome(expected, A, image(restored), ignore=IGNORE)

    good = {"priority": "normal", "tags": [], "updated_at": 3}
    assert outcome(good, priority="normal").outcome is UndoOutcome.EXACT
    more = outcome({**good, "tags": ["oops"]}, priority="normal")
    assert (more.outcome, more.residue) == (UndoOutcome.COMPENSATED, ("tags",))
    theirs = judge_outcome(
        {"priority": "normal"}, A, image({**good, "tags": ["x"]}), ignore=IGNORE, declared=("priority",)
    )
    assert theirs.outcome is UndoOutcome.EXACT, "what the call does not declare to write is somebody else's"
    wrong = outcome({**good, "priority": "high"}, priority="normal")
    assert wrong.outcome is UndoOutcome.FAILED
    half = outcome({**good, "tags": ["x"]}, priority="normal", tags=["y"])
    assert (half.outcome, half.residue) == (UndoOutcome.COMPENSATED, ("tags",))
    assert judge_outcome({"priority": "normal"}, A, UNREADABLE, ignore=()).outcome is UndoOutcome.FAILED
