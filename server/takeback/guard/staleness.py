"""Stale memory: a write is refused whose target is not any more as its run last saw it, where its rule says so.

What a run saw of a target is the newer of two things: what it read with the rule's own `read`, and what was read back
after its own last write. Undo and redo have a three-way check of their own, and a person's word is about what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from takeback.core.action import Action
from takeback.core.expressions import ExpressionError
from takeback.core.images import Difference, Image, Part, Presence, differences
from takeback.core.jsontext import JSON
from takeback.core.policy.decide import target_variables
from takeback.core.vocabulary import COMPENSATIONS, RetryLayer, Status
from takeback.core.wording import outdated, refused, targets_of
from takeback.guard.execution import labelled
from takeback.guard.judging import image_or_none
from takeback.guard.readings import Reading, readings
from takeback.guard.seeing import Seen, sighted
from takeback.guard.services import Refusal, Services, Work
from takeback.guard.undo.manner import rule_fields
from takeback.guard.undo.sight import rule_of
from takeback.ports import HistoryQuery

_RAN: Final = (Status.SUCCEEDED, Status.FAILED, Status.NEEDS_OPERATOR, Status.COMPENSATING, Status.COMPENSATED)
_MOST: Final = 20
"""Own writes to a target that are looked at, for the newest that was read back in the same way."""


async def ready(services: Services, work: Work, before: Image | None) -> Work:
    """The work with the arguments to send, seen the before-image.

    Raises:
        Refusal: it must not run, by what was read; nothing was sent.
        LedgerFailure: the ledger is out of reach.
    """
    arguments = await work.purpose.ready(work, before)
    if before is not None and _is_guarded(work):
        await _refuse_outdated(services, work, before)
    return replace(work, arguments=arguments)


def _is_guarded(work: Work) -> bool:
    rule = work.decision.rule
    exempt = work.on_a_word or work.origin in COMPENSATIONS
    return rule is not None and rule.stale == "refuse" and not exempt


async def _refuse_outdated(services: Services, work: Work, before: Image) -> None:
    own = await _own_writes(services, work)
    pairs: list[tuple[Part, Part]] = []
    for reading in work.readings:
        now, seen = before.part(reading.name), await _last_seen(services, work, reading, own)
        if now is None or seen is None:
            continue
        if now.presence is Presence.UNREADABLE:
            raise _unreadable(services, work, before)
        pairs.append(_alike(services, work, seen, now))
    if differing := _differences(work, before, pairs):
        raise _outdated(services, work, before, differing)


def _alike(services: Services, work: Work, seen: Seen, now: Part) -> tuple[Part, Part]:
    """What was seen and what is there now, redacted in the same way: the marks of equal values are equal."""
    fields = tuple(dict.fromkeys((*seen.redact, *work.redact)))
    [then], [here] = (services.stored_image(Image((part,)), fields).parts for part in (seen.part, now))
    return then, here


def _differences(work: Work, before: Image, pairs: Sequence[tuple[Part, Part]]) -> tuple[Difference, ...]:
    """What differs. Targets that the run never saw are there on both sides: fields are named by their target, too."""
    known = {here.name: (then, here) for then, here in pairs}
    both = [known.get(part.name, (part, part)) for part in before.parts]
    then, here = Image(tuple(one for one, _ in both)), Image(tuple(one for _, one in both))
    return differences(then, here, ignore=work.ignore)


def _outdated(services: Services, work: Work, before: Image, differing: Sequence[Difference]) -> Refusal:
    where = _where(services, work, before)
    fields = ", ".join(difference.field for difference in differing)  # no values: they go with their images
    why = f"changed since the run last read it: {fields}"
    return Refusal(outdated(where, differing), layer=RetryLayer.MODEL, why=why)


def _unreadable(services: Services, work: Work, before: Image) -> Refusal:
    why = "cannot be read now, so nothing tells whether it changed since this run last read it"
    text = refused(f"{_where(services, work, before)} {why}", "Try again later, or tell the user.")
    return Refusal(text, layer=RetryLayer.MODEL, why=why)


def _where(services: Services, work: Work, before: Image) -> str:
    return targets_of(labelled(work, before=services.stored_image(before, work.redact)))


# --- what the run saw ---


async def _last_seen(services: Services, work: Work, reading: Reading, own: Sequence[Action]) -> Seen | None:
    """The target of one reading as the run saw it last; None where it never did, or where that is not kept."""
    caller = work.caller
    read = await sighted(services, caller.tenant, caller.run, reading, work.variables)
    wrote = next(((one, its) for one in own if (its := _same_reading(services, work, one, reading))), None)
    if wrote is not None and (read is None or wrote[0].ended_at > read.at):
        read = await _left_by(services, wrote[0], wrote[1], reading)
    return read if read is not None and read.part.presence is not Presence.UNREADABLE else None


async def _left_by(services: Services, action: Action, its: Reading, reading: Reading) -> Seen | None:
    """The target as one of the run's own writes left it."""
    image = await image_or_none(services, action.after)
    part = image.part(its.name) if image is not None else None
    if part is None:
        return None
    _, redact = rule_fields(services, action)
    return Seen(replace(part, name=reading.name), action.ended_at, redact)


async def _own_writes(services: Services, work: Work) -> list[Action]:
    """The run's own writes to one of the targets that were read back, newest first. A person's undo is none of them."""
    found: dict[str, Action] = {}
    for name in {target.lease_name for target in work.decision.targets}:
        wanted = HistoryQuery(tenant=work.caller.tenant, run=work.caller.run, statuses=_RAN, target=name, limit=_MOST)
        for one in (await services.ledger.history(wanted)).actions:
            touches = name in {target.lease_name for target in one.targets}
            if touches and one.after is not None and one.principal == work.caller.principal and _took_effect(one):
                found[one.id] = one
    return sorted(found.values(), key=lambda one: one.ended_at, reverse=True)


def _took_effect(action: Action) -> bool:
    return action.in_force or action.status in {Status.SUCCEEDED, Status.COMPENSATING, Status.COMPENSATED}


def _same_reading(services: Services, work: Work, action: Action, reading: Reading) -> Reading | None:
    """The reading by which an action was read back that is this one; None: what it left cannot be compared."""
    wanted = _how(services, work, reading)
    return next((one for one in _readings_then(services, action) if _how(services, work, one) == wanted), None)


def _how(services: Services, work: Work, reading: Reading) -> JSON:
    """All that makes a reading but the name of its target, as an action keeps it."""
    return services.redacted({**reading.document(), "name": None}, work.redact)


def _readings_then(services: Services, action: Action) -> tuple[Reading, ...]:
    """How an action was read back: as it keeps it for its undo, else by its rule as the policy has it today."""
    stored = (action.compensation or {}).get("readings")
    if stored is not None:
        return tuple(map(Reading.from_document, stored))
    rule = rule_of(services, action)
    variables = {
        "args": action.arguments, "tenant": action.tenant, "user": action.principal, "run": action.run,
        **target_variables(action.targets),
    }  # fmt: skip
    try:
        return readings(rule, variables) if rule is not None else ()
    except ExpressionError:
        return ()
