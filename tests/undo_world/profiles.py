"""The families of schedules, and how many of each make up the whole."""

from __future__ import annotations

from typing import Final

from tests.undo_world.schedules import Profile
from tests.undo_world.worlds import CONDITIONAL, LAGGING, LAGGING_CONDITIONAL, PLAIN, VERSIONED, World

SINGLE: Final = Profile(
    "single actions",
    acts=("update", "update", "replace", "move", "add"),
    edits=("set", "same", "aba", "add", "touch"),
    undos=("action",),
    gaps=2,
)
BEHIND: Final = Profile(
    "reads that fall behind",
    acts=("update", "update", "replace", "move", "add", "delete"),
    edits=("set", "aba"),
    undos=("action",),
    gaps=2,
    in_undos=("behind", "behind"),
)
REBUILT: Final = Profile(
    "redone without its ground",
    acts=("update", "add"),
    edits=("set", "same"),
    undos=("action",),
    rebuilt=True,
)
LIVES: Final = Profile(
    "made and removed",
    acts=("create", "delete", "update"),
    edits=("set", "delete", "recreate", "same", "aba"),
    undos=("action",),
    gaps=2,
)
ELEMENTS: Final = Profile(
    "lists, texts and members",
    acts=("edit", "edit", "join", "leave"),
    edits=("element", "element", "unelement", "join", "leave", "set"),
    undos=("action",),
    gaps=2,
)
CHILDREN: Final = Profile(
    "comments on what was made",
    acts=("create", "comment", "update", "create"),
    edits=("comment", "set", "comment"),
    undos=("action", "run"),
    gaps=1,
)
RUNS: Final = Profile(
    "runs, middles and redo",
    acts=("update", "update", "replace", "create", "delete", "add", "edit"),
    edits=("set", "same", "aba", "add", "element", "delete"),
    undos=("action", "last", "since", "run", "undo", "undo"),
    gaps=1,
    runs=2,
    longest=7,
)
FAULTS: Final = Profile(
    "faults",
    acts=("update", "replace", "create", "delete", "add"),
    edits=("set", "add"),
    undos=("action", "last", "undo"),
    gaps=1,
    faults=("", "", "lost", "refused", "lied"),
)

SHARES: Final[tuple[tuple[World, Profile, int], ...]] = (
    (CONDITIONAL, SINGLE, 12),
    (PLAIN, SINGLE, 10),
    (VERSIONED, SINGLE, 6),
    (LAGGING, SINGLE, 6),
    (LAGGING_CONDITIONAL, SINGLE, 4),
    (CONDITIONAL, LIVES, 8),
    (PLAIN, LIVES, 6),
    (LAGGING, LIVES, 2),
    (CONDITIONAL, ELEMENTS, 10),
    (PLAIN, ELEMENTS, 6),
    (CONDITIONAL, CHILDREN, 4),
    (PLAIN, CHILDREN, 2),
    (CONDITIONAL, RUNS, 10),
    (PLAIN, RUNS, 6),
    (VERSIONED, RUNS, 2),
    (CONDITIONAL, BEHIND, 3),
    (CONDITIONAL, REBUILT, 1),
    (PLAIN, REBUILT, 1),
    (LAGGING, REBUILT, 2),
    (CONDITIONAL, FAULTS, 3),
    (PLAIN, FAULTS, 3),
)
"""Of each hundred schedules, how many of which family in which world."""
