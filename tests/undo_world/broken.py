"""Undo that is broken on purpose, each way with a schedule that must show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from takeback.core.images import Difference, value_at
from takeback.core.standoff import Standoff, stand
from takeback.core.undo import Outcome, Step
from takeback.core.vocabulary import UndoOutcome
from takeback.guard.undo import manner, plan, undoing
from takeback.guard.undo.traces import Traces
from takeback.ports import Material, Remedy
from takeback_compensations import restore
from takeback_compensations.adjust import Adjust
from tests.undo_world.found import STATE_B, THE_NEW, TITLE_B, TITLE_C
from tests.undo_world.schedules import Act, Edit, Schedule, Undo, Wait
from tests.undo_world.tools import WorldTools
from tests.undo_world.worlds import CONDITIONAL, LAGGING, PLAIN, World

Break = Callable[[pytest.MonkeyPatch], None]


def _async(value: Any) -> Callable[..., Any]:
    async def answer(*_: Any, **__: Any) -> Any:
        return value

    return answer


def conflicts_overlooked(patch: pytest.MonkeyPatch) -> None:
    """Whatever is there now is written over."""

    def blind(*args: Any) -> Standoff:
        found = stand(*args)
        forced = tuple(Difference(one.field, one.before, one.current) for one in found.conflicts)
        return replace(found, restore=(*found.restore, *forced), conflicts=())

    patch.setattr(manner, "stand", blind)


def versions_overlooked(patch: pytest.MonkeyPatch) -> None:
    """An equal value is taken for an untouched one."""
    patch.setattr(manner, "_touched", _async(value=False))


def images_between_overlooked(patch: pytest.MonkeyPatch) -> None:
    """What was seen of others between our writes is forgotten."""
    patch.setattr(manner, "traces_of_others", _async(Traces()))


def dirty_values_overlooked(patch: pytest.MonkeyPatch) -> None:
    """What an action had written that was taken back since is put back."""
    patch.setattr(manner, "dirty_fields", _async(frozenset()))


def later_actions_overlooked(patch: pytest.MonkeyPatch) -> None:
    """Nothing rests on anything."""
    patch.setattr(plan, "dependents_of", _async(()))


def mismatch_taken_for_ours(patch: pytest.MonkeyPatch) -> None:
    """What the after-image shows is what we wrote."""
    patch.setattr(manner, "_unsure", lambda _: frozenset())


def exact_without_looking(patch: pytest.MonkeyPatch) -> None:
    """The outcome is what was wanted."""

    def sure(expected: dict[str, Any], *_: Any, **__: Any) -> Outcome:
        return Outcome(UndoOutcome.EXACT, "as before", tuple(expected))

    patch.setattr(undoing, "judge_outcome", sure)


def whole_before_image_put_back(patch: pytest.MonkeyPatch) -> None:
    """Every field goes back, ours or not."""

    def everything(step: Step, material: Material) -> Step:
        assert material.before is not None
        arguments = {name: value_at(material.before, field) for name, field in step.fields.items()}
        return Step(step.tool, {**step.arguments, **arguments}, step.late, step.fields, step.computed)

    patch.setattr(restore, "narrowed", everything)


def counter_set_to_its_value(patch: pytest.MonkeyPatch) -> None:
    """A counter goes back to what it was."""

    def to_value(_: Adjust, material: Material) -> Remedy:
        before, now = (value_at(one, "count") for one in (material.before, material.current) if one is not None)
        assert isinstance(before, int)
        assert isinstance(now, int)
        steps = [replace(step, arguments={**step.arguments, "by": before - now}) for step in material.steps]
        return Remedy(tuple(steps), {"count": before})

    patch.setattr(Adjust, "plan", to_value)


def children_overlooked(patch: pytest.MonkeyPatch) -> None:
    """What others hung on a new record goes with it."""
    patch.setattr(plan, "children_of", _async(((), "")))


def window_not_named(patch: pytest.MonkeyPatch) -> None:
    """No outcome says that it was unconditioned."""

    def silent(value: Any, **changes: Any) -> Any:
        named = {"unconditioned": False} if "unconditioned" in changes else {}
        return replace(value, **{**changes, **named})

    patch.setattr(undoing, "replace", silent)


def conditions_ignored(patch: pytest.MonkeyPatch) -> None:
    """The upstream promises conditional writes and does not keep to it."""
    patch.setattr(WorldTools, "_condition", lambda *_: None)


BROKEN: Final[dict[Break, tuple[World, Schedule]]] = {
    conflicts_overlooked: (PLAIN, (Act("update", 0, TITLE_B), Edit("set", 0, 0, 2), Undo())),
    versions_overlooked: (CONDITIONAL, (Act("update", 0, TITLE_B), Edit("aba"), Undo())),
    images_between_overlooked: (
        CONDITIONAL,
        (Act("update", 0, TITLE_B), Edit("set", 0, 0, 1), Act("update", 0, STATE_B), Undo()),
    ),
    dirty_values_overlooked: (
        LAGGING,
        (
            Act("update", 0, TITLE_B),
            Act("update", 0, TITLE_C),
            Undo(),
            Edit("set", 0, 0, 2),
            Wait(),
            Undo("undo", 1),
            Undo("action", 1),
        ),
    ),
    later_actions_overlooked: (PLAIN, (Act("update", 0, TITLE_B), Act("update", 0, TITLE_B), Undo())),
    mismatch_taken_for_ours: (PLAIN, (Act("update", 0, TITLE_B, gaps={2: Edit("set", 0, 0, 2)}), Undo())),
    exact_without_looking: (PLAIN, (Act("update", 0, TITLE_B), Undo(gaps={3: Edit("set", 0, 0, 2)}))),
    whole_before_image_put_back: (PLAIN, (Act("update", 0, TITLE_B), Edit("set", 0, 1, 2), Undo())),
    counter_set_to_its_value: (PLAIN, (Act("add", 0, TITLE_B), Edit("add", 0, 0, 0), Undo())),
    children_overlooked: (PLAIN, (Act("create"), Edit("comment", THE_NEW), Undo())),
    window_not_named: (PLAIN, (Act("update", 0, TITLE_B), Undo(gaps={2: Edit("set", 0, 0, 2)}))),
    conditions_ignored: (CONDITIONAL, (Act("update", 0, TITLE_B), Undo(gaps={2: Edit("set", 0, 0, 2)}))),
}
