"""How an action would be taken back, as the world stands: looked at for the preview, and again before it is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from takeback.core.action import Action
from takeback.core.canonical import digest
from takeback.core.images import Image, without
from takeback.core.jsontext import JSON
from takeback.core.phrases import quoted
from takeback.core.redaction import is_redacted
from takeback.core.standoff import Standoff
from takeback.core.undo import Step
from takeback.core.vocabulary import Status, Verified
from takeback.guard.judging import stored_image
from takeback.guard.readings import Reading
from takeback.guard.services import Services
from takeback.guard.undo.dependencies import children_of, dependents_of, with_children
from takeback.guard.undo.manner import NotUndoable, rule_fields, standoff_of
from takeback.guard.undo.moved import Whereabouts, whereabouts
from takeback.guard.undo.sight import Unseen, sight
from takeback.ports import Compensation, Impossible, Material, Pruned, Remedy

_LONGEST_VALUE: Final = 120
_UNKNOWN: Final = frozenset({Status.RUNNING, Status.IN_DOUBT, Status.NEEDS_OPERATOR})
_UNDOABLE: Final = frozenset({Status.SUCCEEDED, Status.FAILED, Status.NEEDS_OPERATOR, Status.COMPENSATING})


class ChangedNothing(NotUndoable):
    """There is nothing to take back: what was read before and after the action is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an action would be taken back, as things stand: for the preview, and for carrying it out.

    `dependents` are later actions in force that rest on it, newest first: taking it back alone would pull the ground
    from under them.
    """

    action: Action
    compensation: Compensation
    material: Material
    remedy: Remedy
    corrects: bool
    readings: tuple[Reading, ...]
    place: Whereabouts
    dependents: tuple[Action, ...] = ()

    @property
    def standoff(self) -> Standoff:
        """How the changed fields stand."""
        return self.material.standoff

    @property
    def current(self) -> Image | None:
        """What is there now."""
        return self.material.current

    @property
    def ignore(self) -> tuple[str, ...]:
        """The fields that change by themselves."""
        return self.material.ignore

    @property
    def goes_on(self) -> bool:
        """Whether an undo of this action was begun before and not brought to its end."""
        return self.action.status is Status.COMPENSATING

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything is back already."""
        standoff = self.standoff
        return not self.goes_on and bool(standoff.already) and not (standoff.restore or standoff.conflicts)

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
    kept, began = services.policy.file.retention.runs, action.sent_at or action.created_at
    if kept is not None and began < services.clock.now() - kept and action.status is not Status.COMPENSATING:
        raise NotUndoable(
            f"{action.id} is older than the retention of {kept.days} days: what came after it may have been pruned, "
            "so nothing tells what rests on it"
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
    place = await whereabouts(services, action)
    _, redact = rule_fields(services, action)
    try:
        before, after = await images_of(services, place)
        current = await sight(services, place, readings_of(place), redact=redact, before=before, after=after)
        return await plan_for(services, place, (before, after, current), reason)
    except (Unseen, Pruned) as problem:
        raise NotUndoable(str(problem)) from None


async def images_of(services: Services, place: Whereabouts) -> tuple[Image | None, Image | None]:
    """What was read before and after an action, under the ids that its targets have now. Raises Pruned."""
    before = await stored_image(services, place.action.before, "its before-image")
    after = await stored_image(services, place.action.after, "its after-image")
    return place.image(before), place.image(after)


def readings_of(place: Whereabouts) -> tuple[Reading, ...]:
    """How the action's targets are read, under the ids that they have now."""
    documents = place.renamed((place.action.compensation or {}).get("readings") or [])
    return tuple(Reading.from_document(document) for document in documents)


async def plan_for(
    services: Services,
    place: Whereabouts,
    images: tuple[Image | None, Image | None, Image | None],
    reason: str,
) -> Plan:
    """What would have to be called for the world as `images` show it: before the action, after it, and now.

    Raises:
        NotUndoable: it cannot be taken back; nothing was changed.
    """
    action, stored = place.action, place.action.compensation
    compensation = services.compensations.get(stored["way"])
    if compensation is None:
        raise NotUndoable(f"the compensation {stored['way']!r} is not installed")
    before, after, current = images
    if action.status is Status.COMPENSATING:
        current = after  # what was begun goes on as it was planned
    standoff = await standoff_of(services, place.known_as, (before, after, current))
    _refuse_nothing(action, standoff, images)
    steps = tuple(Step.from_document(step) for step in place.renamed(stored["steps"]))
    material = _material(services, action, steps, (before, after, current), standoff, reason)
    try:
        remedy = compensation.plan(material)
    except Impossible as error:
        if not standoff.conflicts:
            raise NotUndoable(str(error)) from None
        remedy = Remedy(steps)  # the conflicts say more, and nothing is called while there are any
    for step in remedy.steps:
        entry = services.catalog.named(step.tool)
        if entry is not None and entry.definition.blocked:
            raise NotUndoable(f"{entry.definition.blocked} (`takeback pin diff {step.tool}` shows the difference)")
    found = Plan(
        action=action,
        compensation=compensation,
        material=replace(material, current=images[2]),
        remedy=replace(remedy, residue=(*remedy.residue, *standoff.unwritable)),
        corrects=bool(stored["corrects"]),
        readings=readings_of(place),
        place=place,
    )
    if found.corrects or found.goes_on:
        return found
    children, foreign = await children_of(services, place, standoff)
    if foreign:
        raise NotUndoable(f"something of others hangs on it ({foreign}), and would be lost with it")
    dependents = await dependents_of(services, place, standoff)
    return replace(found, dependents=with_children(dependents, children))


def _refuse_nothing(action: Action, standoff: Standoff, images: tuple[Image | None, ...]) -> None:
    seen = all(image is not None and image.readable for image in images)
    if seen and standoff.empty and action.verified in {Verified.YES, Verified.MISMATCH}:
        raise ChangedNothing(f"{action.id} changed nothing: the target was that way already")
    if standoff.unwritable and not (standoff.restore or standoff.already or standoff.conflicts):
        raise NotUndoable(
            f"{', '.join(standoff.unwritable)} was redacted and is kept as a digest only, so it cannot be written "
            "back; a person must do it"
        )


def _material(
    services: Services,
    action: Action,
    steps: tuple[Step, ...],
    images: tuple[Image | None, Image | None, Image | None],
    standoff: Standoff,
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
        ignore=rule_fields(services, action)[0],
        reason=reason,
        keeps={tool: entry.required for tool, entry in entries.items() if entry is not None},
        options=action.compensation.get("options") or {},
    )


def conflict_text(standoff: Standoff) -> str:
    """Both versions of each field in conflict, before the person who decides."""
    return "; ".join(
        f"{c.field} was {_value(c.before)}, was set to {_value(c.after)} and is {_value(c.current)} now"
        + (f" ({c.why})" if c.why else "")
        for c in standoff.conflicts
    )


def _value(value: JSON) -> str:
    if is_redacted(value):
        return "(redacted)"
    text = quoted(value, _LONGEST_VALUE)
    return f"'{text}'" if isinstance(value, str) and not text.startswith('"') else text
