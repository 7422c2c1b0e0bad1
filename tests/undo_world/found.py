"""Schedules that once went wrong, as Hypothesis shrank them, by what must hold."""

from __future__ import annotations

from typing import Final

from tests.undo_world.schedules import Act, Edit, Schedule, Undo, Wait
from tests.undo_world.worlds import CONDITIONAL, LAGGING, LAGGING_CONDITIONAL, PLAIN, VERSIONED, World

TITLE_A, TITLE_B, TITLE_C = (((0, value),) for value in (0, 1, 2))
STATE_A, STATE_B = (((1, value),) for value in (0, 1))
NOTE_A: Final = ((2, 0),)
THE_NEW: Final = 2
"""Number of the first document that a schedule makes."""

FOUND: Final[dict[str, tuple[World, Schedule]]] = {
    "an undo that puts a whole record does not own what others write before it is read back": (
        CONDITIONAL,
        (
            Act("replace", 0, TITLE_A, gaps={0: Edit("set", 0, 1, 1)}),
            Edit("set", 1),
            Undo(gaps={3: Edit("set", 0, 0, 1)}),
            Act("update", 0, STATE_A),
            Undo("undo"),
        ),
    ),
    "what others counted in the window of a deletion is gone, and the window is named": (
        PLAIN,
        (Act("update", 0, TITLE_A), Act("delete", 0, gaps={1: Edit("add")}), Act("update", 0, TITLE_A), Undo(ref=1)),
    ),
    "a call that its condition stopped shows an equal rewrite by others": (
        CONDITIONAL,
        (
            Act("update", 0, TITLE_C),
            Edit("set", 0, 1, 1),
            Act("update", 0, TITLE_A, gaps={0: Edit("set", 0, 0, 2), 1: Edit("set", 0, 0, 2)}),
            Undo(),
        ),
    ),
    "what others wrote before the read-back is not ours": (
        PLAIN,
        (Act("update", 1, TITLE_A, gaps={2: Edit("set", 1, 0, 1)}), Undo()),
    ),
    "an equal rewrite is seen by the version": (
        CONDITIONAL,
        (Act("update", 1, TITLE_B), Edit("set", 1, 0, 1), Undo()),
    ),
    "nobody else is blamed for our own write that reads do not show yet": (
        LAGGING_CONDITIONAL,
        (Act("update", 0, STATE_B), Act("update", 0, TITLE_A), Undo()),
    ),
    "a later action is a dependency also where the field is back already": (
        PLAIN,
        (Act("create"), Act("update", THE_NEW, (*TITLE_B, *STATE_B)), Act("update", THE_NEW, TITLE_A), Undo(ref=1)),
    ),
    "a record that is gone is not one whose field is null": (
        PLAIN,
        (Act("update", 0, NOTE_A), Edit("delete"), Undo()),
    ),
    "a new record that others changed before its read-back stays": (
        PLAIN,
        (Act("create", 0, TITLE_A, gaps={1: Edit("set", THE_NEW, 0, 1)}), Undo()),
    ),
    "a write that failed verification and of which nothing is left has nothing to take back": (
        PLAIN,
        (Act("update", 0, STATE_B, gaps={2: Edit("set", 0, 1, 0)}), Act("update", 0, STATE_A), Undo()),
    ),
    "what is back already is out of force": (
        CONDITIONAL,
        (Act("update", 0, TITLE_B), Edit("set", 0, 0, 0), Undo()),
    ),
    "what was deleted and made again by others is left to them": (
        CONDITIONAL,
        (Act("delete"), Edit("recreate"), Undo()),
    ),
    "members have no order": (CONDITIONAL, (Act("leave", 0, TITLE_A), Undo())),
    "what changed nothing stands in no cascade's way": (
        PLAIN,
        (Act("update", 0, STATE_B), Act("update", 0, STATE_B), Undo()),
    ),
    "a whole record put as it is stands in no cascade's way": (
        CONDITIONAL,
        (Act("edit", 0, TITLE_A), Act("replace", 0, TITLE_A), Undo()),
    ),
    "the answer for several names the window": (
        PLAIN,
        (Act("update", 0, STATE_B, gaps={1: Edit("set", 0, 1, 2)}), Act("update", 0, STATE_A), Undo()),
    ),
    "an equal rewrite between two steps of a cascade is seen": (
        LAGGING_CONDITIONAL,
        (Act("update", 0, TITLE_B), Act("update", 0, TITLE_A), Undo(gaps={6: Edit("set", 0, 0, 1)})),
    ),
    "an action that failed explains no version": (
        LAGGING_CONDITIONAL,
        (Act("update", 0, STATE_B), Edit("set", 0, 1, 1), Act("update", 0, TITLE_A), Undo()),
    ),
    "what went back in part is not refused": (
        CONDITIONAL,
        (
            Act("create"),
            Act("create", gaps={0: Edit("comment", THE_NEW)}),
            Act("update", THE_NEW, TITLE_B),
            Undo(),
        ),
    ),
    "what was named and not changed makes nothing dirty": (
        CONDITIONAL,
        (Act("edit", 1, ((1, 0), (4, 0))), Act("edit", 1, TITLE_A), Undo(), Undo(ref=1)),
    ),
    "a field that was never ours is not our residue": (
        PLAIN,
        (Act("update", 0, TITLE_B), Undo(gaps={2: Edit("add")})),
    ),
    "an error is no effect of ours where others changed something else": (
        PLAIN,
        (Act("add", 0, TITLE_A, gaps={1: Edit("set", 0, 0, 1)}, fault="refused"), Undo()),
    ),
    "an equal rewrite is seen also where something trivial goes back first": (
        CONDITIONAL,
        (Act("update", 0, TITLE_B), Undo(), Act("update", 0, TITLE_A), Edit("set", 0, 0, 0), Undo("undo")),
    ),
    "a later deletion is a dependency although lagging reads showed no change of it": (
        LAGGING,
        (Act("delete", gaps={3: Edit("recreate")}), Act("delete"), Undo()),
    ),
    "what others blurred before it was read back is not known to have changed nothing": (
        PLAIN,
        (
            Act("move", 0, TITLE_A),
            Act("replace", 0, TITLE_A, gaps={2: Edit("set", 0, 0, 1)}),
            Undo(),
        ),
    ),
    "of several, the newest was read back while the older ones still stood": (
        CONDITIONAL,
        (
            Act("update", 0, STATE_B),
            Act("delete"),
            Undo("last", 1, gaps={4: Edit("set", 0, 0, 1)}),
        ),
    ),
    "what was back already was seen to be so before the others went back": (
        PLAIN,
        (Act("update", 0, TITLE_B), Act("update", 0, TITLE_A), Undo(gaps={0: Edit("set", 0, 0, 1)})),
    ),
    "an action rests on none whose change only a window held": (
        PLAIN,
        (
            Act("update", 0, (*TITLE_A, *STATE_B), gaps={1: Edit("set", 0, 0, 1)}),
            Act("update", 0, TITLE_A, gaps={0: Edit("set", 0, 0, 1)}),
            Undo(),
        ),
    ),
    "what only a window held cannot go back": (
        PLAIN,
        (
            Act("update", 0, (*TITLE_A, *STATE_B), gaps={1: Edit("set", 0, 0, 1)}),
            Act("update", 0, TITLE_B),
            Undo(),
        ),
    ),
    "an element written anew cannot be told where another one moved the version": (
        CONDITIONAL,
        (Act("leave", 0, TITLE_A), Act("join", 0, TITLE_A), Edit("join", 0, 0, 2), Edit("join"), Undo()),
    ),
    "another order of members explains no version": (
        CONDITIONAL,
        (Act("join", 0, TITLE_C), Edit("join"), Edit("join", 0, 0, 2), Undo()),
    ),
    "an action that failed explains no version, though it was read back": (
        CONDITIONAL,
        (Act("update", 0, STATE_B), Act("update", 0, TITLE_A, fault="refused"), Edit("set", 0, 1, 1), Undo()),
    ),
    "an equal rewrite between two writes of ours is seen by the version": (
        CONDITIONAL,
        (Act("update", 0, TITLE_B), Edit("set", 0, 0, 1), Act("update", 0, STATE_B), Undo()),
    ),
    "what others took away and put back between our writes is theirs, also without versions": (
        PLAIN,
        (
            Act("update", 0, TITLE_B),
            Edit("set", 0, 0, 2),
            Act("update", 0, STATE_B),
            Edit("set", 0, 0, 1),
            Undo(),
        ),
    ),
    "what we deleted and others made again is theirs, whoever made it first": (
        CONDITIONAL,
        (Act("create"), Act("delete", THE_NEW), Edit("recreate", THE_NEW), Undo()),
    ),
    "an element that others took away and put back is theirs": (
        CONDITIONAL,
        (
            Act("join", 0, TITLE_C),
            Edit("leave", 0, 0, 2),
            Act("leave", 0, TITLE_A),
            Edit("join", 0, 0, 2),
            Edit("join", 0, 0, 0),
            Undo(),
        ),
    ),
    "a redo makes its own what it writes": (
        PLAIN,
        (
            Act("update", 0, TITLE_B, gaps={1: Edit("set", 0, 0, 1)}),
            Edit("set", 0, 0, 1),
            Undo(),
            Undo("undo"),
        ),
    ),
    "where reads lag, a write that others had made already is shown by theirs": (
        LAGGING,
        (Act("update", 1, TITLE_B), Act("update", 0, TITLE_A), Edit("set", 1, 0, 0), Undo()),
    ),
    "a read from before a deletion is no sign that the record is back": (
        CONDITIONAL,
        (Act("delete"), Edit("behind"), Undo()),
    ),
    "one read that fell behind is no sign that nothing is to be done": (
        CONDITIONAL,
        (Act("update", 0, TITLE_A), Act("update", 0, TITLE_B), Undo(ref=1, gaps={0: Edit("behind", 0, 0, 1)})),
    ),
    "a read back that fell behind is not told from a new one where it shows what is wanted": (
        CONDITIONAL,
        (Act("update", 0, TITLE_B), Undo(gaps={3: Edit("behind", 0, 0, 1)})),
    ),
    "what others put back before it was read back is not called back already": (
        VERSIONED,
        (
            Act("update", 0, TITLE_A, gaps={2: Edit("set", 0, 0, 1)}),
            Act("update", 0, TITLE_A, gaps={2: Edit("set", 0, 0, 1)}),
            Edit("set", 0, 0, 0),
            Undo(),
        ),
    ),
    "what was redone is back already where it holds what it had found": (
        CONDITIONAL,
        (
            Act("update", 0, STATE_B),
            Act("update", 0, STATE_A),
            Undo(),
            Edit("set", 0, 1, 0),
            Undo("undo", 1),
            Edit("set", 0, 1, 1),
            Undo("action", 1),
        ),
    ),
    "where reads lag and have no version, what others put there is not told from what an undo had left": (
        LAGGING,
        (
            Act("update", 0, TITLE_B),
            Act("update", 0, TITLE_A),
            Undo(),
            Edit("set", 0, 0, 1),
            Wait(),
            Undo("undo", 1),
            Undo("action", 1),
        ),
    ),
}
