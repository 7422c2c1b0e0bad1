"""Schedules: what an agent, other people and an undo do, in which order; and how Hypothesis makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hypothesis import strategies as st

VALUES: Final = ("a", "b", "c")
MEMBERS: Final = ("ann", "bob", "cid")
LINES: Final = ("one", "two", "three", "four", "five", "six")
SCALARS: Final = ("title", "state", "note")
LISTS: Final = ("tags", "items", "body", "steps")
ACTS: Final = ("update", "replace", "create", "delete", "add", "move", "join", "leave", "edit", "comment")
EDITS: Final = (
    "set",
    "same",
    "aba",
    "add",
    "element",
    "unelement",
    "join",
    "leave",
    "delete",
    "recreate",
    "touch",
    "comment",
    "behind",
)
UNDOS: Final = ("action", "last", "since", "run", "undo")


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody else does to a record. `field` and `value` choose among what the kind can take."""

    kind: str
    record: int = 0
    field: int = 0
    value: int = 0


Gaps = dict[int, Edit]
"""Edits by the request of the step before which they happen, counted from zero."""


@dataclass(frozen=True, slots=True)
class Act:
    """A call of the agent."""

    kind: str
    record: int = 0
    fields: tuple[tuple[int, int], ...] = ((0, 1),)
    run: int = 0
    gaps: Gaps = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """An undo. `ref` chooses an action, a number of actions, or an earlier undo."""

    what: str = "action"
    ref: int = 0
    run: int = 0
    gaps: Gaps = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes, in seconds."""

    seconds: int = 5


Step = Act | Undo | Edit | Wait
Schedule = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a family of schedules may contain. `gaps` is how many edits fall into one step at most; `in_undos` has what
    besides `edits` may happen within an undo. A `rebuilt` one begins with an action redone whose ground is gone.
    """

    name: str
    acts: tuple[str, ...]
    edits: tuple[str, ...]
    undos: tuple[str, ...]
    gaps: int = 1
    runs: int = 1
    longest: int = 5
    faults: tuple[str, ...] = ("",)
    in_undos: tuple[str, ...] = ()
    rebuilt: bool = False


def schedules(profile: Profile) -> st.SearchStrategy[Schedule]:
    """Schedules of a profile: at least one act, and an undo at the end."""
    if profile.rebuilt:
        return _rebuilt(profile)
    steps = st.one_of(_acts(profile), _acts(profile), _edits(profile), _undos(profile))
    return st.tuples(
        _acts(profile),
        st.lists(steps, max_size=profile.longest),
        _undos(profile),
        st.lists(_edits(profile), max_size=1),
    ).map(lambda parts: (parts[0], *parts[1], *parts[3], parts[2]))


def _rebuilt(profile: Profile) -> st.SearchStrategy[Schedule]:
    """Two actions on one field, both taken back; others write it; the later one is redone, and taken back again.

    What that one had found before it was the earlier one's, and nobody's wish any more.
    """
    values = st.tuples(_small(2), _small(2), _small(2))
    more = st.lists(st.one_of(_acts(profile), _edits(profile)), max_size=2)
    return st.builds(_again, _small(2), values, more, _undos(profile))


def _again(field: int, values: tuple[int, int, int], more: list[Act | Edit], undo: Undo) -> Schedule:
    first, second = (Act("update", 0, ((field, value),)) for value in values[:2])
    redo = (Edit("set", 0, field, values[2]), Wait(), Undo("undo", 1, gaps=undo.gaps))
    return (first, second, Undo(), *redo, *more, Undo("action", 1))


def _small(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)


def _edits(profile: Profile, *more: str) -> st.SearchStrategy[Edit]:
    return st.builds(Edit, st.sampled_from((*profile.edits, *more)), _small(2), _small(7), _small(2))


def _gaps(profile: Profile, *more: str) -> st.SearchStrategy[Gaps]:
    if not profile.gaps:
        return st.just({})
    return st.dictionaries(_small(7), _edits(profile, *more), max_size=profile.gaps)


def _acts(profile: Profile) -> st.SearchStrategy[Act]:
    fields = st.lists(st.tuples(_small(7), _small(2)), min_size=1, max_size=3).map(tuple)
    return st.builds(
        Act,
        st.sampled_from(profile.acts),
        _small(2),
        fields,
        _small(profile.runs - 1),
        _gaps(profile),
        st.sampled_from(profile.faults),
    )


def _undos(profile: Profile) -> st.SearchStrategy[Undo]:
    return st.builds(
        Undo,
        st.sampled_from(profile.undos),
        _small(3),
        _small(profile.runs - 1),
        _gaps(profile, *profile.in_undos),
        st.sampled_from(profile.faults),
    )
