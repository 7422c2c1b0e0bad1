"""How an action would be taken back, as the world stands: looked at for the preview, and again before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from takeback.core.action import Action
from takeback.core.canonical import digest
from takeback.core.images import WHOLE, Image, without
from takeback.core.jsontext import JSON
from takeback.core.phrases import quoted
from takeback.core.policy.decide import target_variables
from takeback.core.redaction import is_redacted
from takeback.core.undo import Standoff, Step, changed, stand
from takeback.core.vocabulary import Does, Origin, Status, Verified
from takeback.guard.judging import ran_after, stored_image
from takeback.guard.reading import take_image
from takeback.guard.readings import Reading
from takeback.guard.services import Services
from takeback.ports import Compensation, Impossible, Material, Remedy

_LONGEST_VALUE: Final = 120
_UNKNOWN: Final = frozenset({Status.RUNNING, Status.IN_DOUBT, Status.NEEDS_OPERATOR})
_UNDOABLE: Final = frozenset({Status.SUCCEEDED, Status.FAILED, Status.NEEDS_OPERATOR, Status.COMPENSATING})


class NotUndoable(Exception):
    """The action cannot be taken back; the message says why, in a sentence for people and models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an action would be taken back, as things stand: for the preview, and for carrying it out."""

    action: Action
    steps: tuple[Step, ...]
    compensation: Compensation
    before: Image | None
    after: Image | None
    current: Image | None
    standoff: Standoff
    remedy: Remedy
    corrects: bool
    readings: tuple[Reading, ...]
    ignore: tuple[str, ...]

    @property
    def goes_on(self) -> bool:
        """Whether an undo of this action was begun before and not brought to its end."""
        return self.action.status is Status.COMPENSATING

    @property
    def by_difference(self) -> bool:
        """Whether it goes back by a difference, which no later edit stands in the way of."""
        return self.compensation.name == "adjust"

    @property
    def confirm(self) -> str:
        """What a caller confirms: the action, its version, and the state that the preview showed."""
        shown = without(self.current, self.ignore).document() if self.current is not None else None
        return digest([self.action.id, self.action.version, shown])[:12]


def check_undoable(services: Services, action: Action) -> None:
    """Raises NotUndoable unless the action stands in the world and something can be done about it."""
    if action.status is Status.COMPENSATED:
        raise NotUndoable(f"{action.id} was already undone by {action.compensated_by}; nothing more is needed")
    if action.status in _UNKNOWN and not action.in_force:
        raise NotUndoable(f"{action.id} is {action.status.value}: whether it took effect must be settled first")
    if not action.in_force:
        raise NotUndoable(f"{action.id} is {action.status.value} and had no effect, so there is nothing to undo")
    if action.status not in _UNDOABLE:
        raise NotUndoable(f"{action.id} is {action.status.value}; it must be settled first")
    stored = action.compensation
    if not stored:
        raise NotUndoable(f"the policy knows no way to take {action.name} back")
    if stored.get("steps") is None:
        raise NotUndoable(f"the way back could not be prepared when {action.id} ran ({stored.get('problem')})")
    if stored.get("unwritable"):
        raise NotUndoable(
            f"{', '.join(stored['unwritable'])} was redacted and cannot be written back; a person must do it"
        )
    until = (action.forecast or {}).get("until")
    if until is not None and services.clock.now().isoformat() > until:
        raise NotUndoable(f"it could be undone until {until} only")


async def plan(services: Services, action: Action, reason: str) -> Plan:
    """Look at the world and work out what would have to be called now.

    Raises:
        NotUndoable: it cannot be taken back; nothing was changed.
    """
    check_undoable(services, action)
    stored = action.compensation
    compensation = services.compensations.get(stored["way"])
    if compensation is None:
        raise NotUndoable(f"the compensation {stored['way']!r} is not installed")
    readings = tuple(Reading.from_document(document) for document in stored["readings"])
    before, after = await stored_image(services, action.before), await stored_image(services, action.after)
    ignore, redact = rule_fields(services, action)
    current = None
    if readings:
        variables = {"args": action.arguments, **target_variables(action.targets)}
        current = services.stored_image(await take_image(services, readings, variables), redact)
    going_on = action.status is Status.COMPENSATING
    standoff = standoff_of(action, before, after, after if going_on else current, ignore)
    _refuse_nothing(action, standoff, (before, after, current))
    steps = tuple(Step.from_document(step) for step in stored["steps"])
    material = material_of(
        services,
        action,
        steps=steps,
        images=(before, after, after if going_on else current),
        standoff=standoff,
        ignore=ignore,
        reason=reason,
    )
    try:
        remedy = compensation.plan(material)
    except Impossible as error:
        raise NotUndoable(str(error)) from None
    for step in remedy.steps:
        entry = services.catalog.named(step.tool)
        if entry is not None and entry.definition.blocked:
            raise NotUndoable(f"{entry.definition.blocked} (`takeback pin diff {step.tool}` shows the difference)")
    found = Plan(
        action=action,
        steps=steps,
        compensation=compensation,
        before=before,
        after=after,
        current=current,
        standoff=standoff,
        remedy=remedy,
        corrects=bool(stored["corrects"]),
        readings=readings,
        ignore=ignore,
    )
    if standoff.restore and not found.by_difference and not found.corrects and not going_on:
        later = [other for other in await services.ledger.later_writes(action) if ran_after(other, action)]
        _refuse_dependencies(action, standoff, later)
    return found


def _refuse_nothing(action: Action, standoff: Standoff, images: tuple[Image | None, ...]) -> None:
    seen = all(image is not None and image.readable for image in images)
    nothing = not (standoff.restore or standoff.already or standoff.conflicts)
    if seen and nothing and action.verified is Verified.YES:
        raise NotUndoable(f"{action.id} changed nothing: the target was that way already")


def _refuse_dependencies(action: Action, standoff: Standoff, later: Sequence[Action]) -> None:
    """A later action in force that wrote one of these fields rests on it, even if the values happen to agree."""
    mine = {_leaf(difference.field) for difference in standoff.restore}
    for other in reversed(later):
        theirs = {_leaf(field) for field in (*other.fields, *other.changed)}
        wrote = WHOLE in theirs | mine or not mine.isdisjoint(theirs)
        if theirs and wrote and other.origin not in {Origin.UNDO, Origin.REDO} and other.does is not Does.SEND:
            raise NotUndoable(
                f"{other.id} ({other.name}) wrote to the same after {action.id} and is in force; "
                f"take {other.id} back first, or ask the user"
            )


def _leaf(field: str) -> str:
    return field.rpartition(".")[2]


def rule_fields(services: Services, action: Action) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`ignore` and `redact` as they were when the action ran, or of its rule as the policy has it today."""
    stored = action.compensation or {}
    if "redact" in stored:
        return tuple(stored["ignore"]), tuple(stored["redact"])
    for numbered in services.policy.rules_for(action.name):
        if numbered.id == action.rule:
            return numbered.rule.ignore, numbered.rule.redact
    return (), ()


def standoff_of(
    action: Action, before: Image | None, after: Image | None, current: Image | None, ignore: tuple[str, ...]
) -> Standoff:
    """How the changed fields stand; empty where no images tell. Raises NotUndoable when the target cannot be read."""
    if before is None or after is None or current is None or not before.readable or not after.readable:
        return Standoff()
    if not current.readable:
        problem = "; ".join(part.problem or "unreadable" for part in current.parts)
        raise NotUndoable(f"the target cannot be read now ({problem}), so nothing can be put back safely")
    return stand(before, after, current, changed(before, after, declared=action.fields, ignore=ignore), ignore)


def material_of(
    services: Services,
    action: Action,
    *,
    steps: tuple[Step, ...],
    images: tuple[Image | None, Image | None, Image | None],
    standoff: Standoff,
    ignore: tuple[str, ...],
    reason: str,
) -> Material:
    """What the compensation may look at."""
    before, after, current = images
    entries = {step.tool: services.catalog.named(step.tool) for step in steps}
    return Material(
        action=action,
        steps=steps,
        before=before,
        after=after,
        current=current,
        standoff=standoff,
        ignore=ignore,
        reason=reason,
        keeps={tool: entry.required for tool, entry in entries.items() if entry is not None},
        options=action.compensation.get("options") or {},
    )


def conflict_text(standoff: Standoff) -> str:
    """Both versions of each field in conflict, before the person who decides."""
    return "; ".join(
        f"{c.field} was {_value(c.before)}, was set to {_value(c.after)} and is {_value(c.current)} now"
        for c in standoff.conflicts
    )


def _value(value: JSON) -> str:
    if is_redacted(value):
        return "(redacted)"
    text = quoted(value, _LONGEST_VALUE)
    return f"'{text}'" if isinstance(value, str) and not text.startswith('"') else text
