"""Looking at a target before it is put back: never at a state that may be older than what the action left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from takeback.core.action import Action
from takeback.core.images import Image, Part, Presence, differences, field_value, leaf, same
from takeback.core.merging import alike
from takeback.core.policy.decide import target_variables
from takeback.core.policy.schema import ListKind, Rule
from takeback.core.undo import changed
from takeback.guard.reading import take_image
from takeback.guard.readings import Reading
from takeback.guard.services import Services
from takeback.guard.undo.moved import Whereabouts

_LOOKS: Final = 3
"""How often a target is read again that seems to have vanished, or to be as it was before the action."""


class Unseen(Exception):
    """The target cannot be seen as it is now; the message says why, for a sentence. Nothing was changed."""


def rule_of(services: Services, action: Action) -> Rule | None:
    """The rule that an action ran under, as the policy has it today."""
    return next((n.rule for n in services.policy.rules_for(action.name) if n.id == action.rule), None)


async def sight(
    services: Services,
    place: Whereabouts,
    readings: tuple[Reading, ...],
    *,
    redact: tuple[str, ...],
    before: Image | None,
    after: Image | None,
) -> Image | None:
    """The targets as they are now, as they would be stored; None where there is nothing to read.

    An upstream whose reads lag is given its time since the action. What seems absent, or has the version or a value
    that it had before the action, is read again: one read that fell behind must not pass for an undo that nobody needs.

    Raises:
        Unseen: reads still lag, or show the state before the action.
    """
    if not readings:
        return None
    action = place.action
    lag = services.policy.read_lag(rule_of(services, action), action.upstream)
    if lag:
        newest = await services.ledger.newest_write(place.known_as)
        if newest is not None and _settled(newest) > _settled(action):
            action = newest
    await _let_reads_catch_up(services, action, lag)
    variables = {"args": place.renamed(action.arguments), **target_variables(place.targets)}
    image = services.stored_image(await take_image(services, readings, variables), redact)
    for _ in range(_LOOKS):
        if not (_vanished(after, image) or _stale(before, after, image)):
            break
        await services.clock.sleep(lag.total_seconds() / _LOOKS)
        image = services.stored_image(await take_image(services, readings, variables), redact)
    if _seems_back(place.action, before, after, image):
        image = services.stored_image(await take_image(services, readings, variables), redact)
    if _stale(before, after, image):
        raise Unseen(f"what is read of it still is the state before {action.id}, so nothing shows what is there now")
    return image


def _settled(action: Action) -> datetime:
    return action.settled_at or action.created_at


async def _let_reads_catch_up(services: Services, action: Action, lag: timedelta) -> None:
    if not lag or action.settled_at is None:
        return
    left = (action.settled_at + lag - services.clock.now()).total_seconds()
    if left > services.join_within.total_seconds():
        raise Unseen(f"reads of {action.upstream} lag behind its writes; ask again after {round(left) + 1} s")
    if left > 0:
        await services.clock.sleep(left)


def _vanished(after: Image | None, image: Image) -> bool:
    """Whether a target that the action left there seems to be gone: that must be seen more than once."""
    return after is not None and any(
        part.presence is Presence.ABSENT and _of(after, part).presence is Presence.PRESENT for part in image.parts
    )


def _stale(before: Image | None, after: Image | None, image: Image) -> bool:
    """Whether a version proves that the read is older than the action: after an update, or after a deletion."""
    if before is None or after is None:
        return False
    return any(part.version is not None and _is_old(part, _of(before, part), _of(after, part)) for part in image.parts)


def _is_old(part: Part, before: Part, after: Part) -> bool:
    moved = after.version is not None or after.presence is Presence.ABSENT
    return moved and part.version == before.version != after.version


def _seems_back(action: Action, before: Image | None, after: Image | None, image: Image) -> bool:
    """Whether something that the action changed holds what it held before."""
    if before is None or after is None or not (before.readable and after.readable and image.readable):
        return False
    mine = changed(before, after, declared=action.fields, ignore=())
    return any(same(field_value(image, one.field), one.before) for one in mine)


def _of(image: Image, part: Part) -> Part:
    return image.part(part.name) or Part(part.name, Presence.UNREADABLE)


def versions_differ(after: Image, current: Image) -> bool:
    """Whether a version shows that a target was written since the action."""
    return any(
        part.version is not None and (there := _of(after, part).version) is not None and part.version != there
        for part in current.parts
    )


def looks_untouched(
    after: Image, current: Image, ignore: tuple[str, ...], lists: Mapping[str, ListKind] | None = None
) -> bool:
    """Whether no field shows a change since the action. Another order of what has none, by `lists`, shows none."""
    kinds = lists or {}
    found = differences(after, current, ignore=ignore)
    return all(alike(kinds.get(leaf(one.field)), one.before, one.after) for one in found)
