"""What the images of later actions show of others: what they wrote between two writes of ours, and changed back.

Between the after-image of one write through the guard and the before-image of the next, nothing of ours happened to the
target. What differs there, or a version that moved there although nothing differs, is the work of others, even if the
target looks today as the action left it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from takeback.core.action import Action
from takeback.core.images import WHOLE, Difference, Image, differences, field_value, leaf
from takeback.core.merging import retaken
from takeback.core.policy.schema import ListKind
from takeback.core.vocabulary import Origin, Status
from takeback.guard.judging import stored_image
from takeback.guard.services import Services
from takeback.guard.undo.dependencies import used_since
from takeback.guard.undo.sight import looks_untouched, versions_differ
from takeback.ports import HistoryQuery, NotFound

_MOST: Final = 25
"""So many of the newest actions on a target are looked at: an undo costs the same however long the history is."""

Pair = tuple[str, str]
"""Digests of two images between which nothing of ours was written."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What others did, as seen in between. `retaken` are the action's fields that they changed to what it had left."""

    touched: bool = False
    retaken: frozenset[str] = frozenset()


async def traces_of_others(
    services: Services,
    action: Action,
    current: Image,
    differing: Sequence[Difference],
    *,
    ignore: tuple[str, ...],
    lists: Mapping[str, ListKind],
) -> Traces:
    """Look at the images between an action and now. Not for reads that lag: their images show what was, not what is."""
    if len(action.targets) != 1 or action.after is None:
        return Traces()  # of several targets, or one that has moved, the images do not go together
    name = action.targets[0].lease_name
    page = await services.ledger.history(HistoryQuery(tenant=action.tenant, target=name, limit=_MOST))
    pairs, last = between(action, page.actions)
    images = {digest: await _image(services, digest) for digest in {*sum(pairs, ()), *filter(None, [last])}}
    shown = [(images[one], images[other]) for one, other in pairs]
    seen = [*shown, (images.get(last or ""), current)]
    found: set[str] = set()
    for one, other in seen:
        if one is not None and other is not None and _comparable(one, other):
            found |= _retaken(one, other, current, differing, ignore, lists)
    told = seen if last != action.after else shown  # what lies between the action itself and now is looked at elsewhere
    silent = any(_silent(one, other, ignore, lists) for one, other in told)
    return Traces(silent and not await used_since(services, action, action), frozenset(found))


def between(action: Action, newest_first: Sequence[Action]) -> tuple[list[Pair], str | None]:
    """The pairs of images, and the newest one that was read after a write; None where it is not known what that left.

    What others did before the action was redone was the redo's to judge.
    """
    known = any(one.id == action.id for one in newest_first)
    left = action.after if known else None
    pairs: list[Pair] = []
    undos: set[str] = set()
    for one in _sent_after(action, newest_first):
        if one.original == action.id:
            undos.add(one.id)
        if one.origin is Origin.REDO and one.original in undos:
            pairs, left = [], one.after
            continue
        if left is not None and one.before is not None and left != one.before:
            pairs.append((left, one.before))
        without_effect = one.status is Status.FAILED and not one.in_force
        left = one.after or ((one.before or left) if without_effect else None)
    return pairs, left


def _sent_after(action: Action, newest_first: Sequence[Action]) -> list[Action]:
    """The later ones that may have written, in the order in which they were sent."""
    began = action.sent_at or action.created_at
    sent = [(one.sent_at, one) for one in reversed(newest_first) if one.sent_at is not None and one.sent_at >= began]
    order = [one for _, one in sorted(sent, key=lambda item: item[0])]
    at = next((index for index, one in enumerate(order) if one.id == action.id), -1)
    return order[at + 1 :]


async def _image(services: Services, digest: str) -> Image | None:
    try:
        return await stored_image(services, digest)
    except NotFound:
        return None  # retention took it: nothing to be seen there


def _comparable(one: Image, other: Image) -> bool:
    """Whether two images show the same fields; those of another tool may show others."""
    if not (one.readable and other.readable) or [p.name for p in one.parts] != [p.name for p in other.parts]:
        return False
    maps = [(a.value, b.value) for a, b in zip(one.parts, other.parts, strict=True)]
    return all(not (isinstance(a, Mapping) and isinstance(b, Mapping)) or a.keys() == b.keys() for a, b in maps)


def _silent(one: Image | None, other: Image | None, ignore: tuple[str, ...], lists: Mapping[str, ListKind]) -> bool:
    if one is None or other is None or not _comparable(one, other):
        return False
    return versions_differ(one, other) and looks_untouched(one, other, ignore, lists)


def _retaken(
    one: Image,
    other: Image,
    current: Image,
    differing: Sequence[Difference],
    ignore: tuple[str, ...],
    lists: Mapping[str, ListKind],
) -> set[str]:
    """The action's fields that others changed from the one image to the other, and that now hold what it had left."""
    changed = {leaf(difference.field) for difference in differences(one, other, ignore=ignore)}
    if any(leaf(difference.field) == WHOLE for difference in differing):
        return set() if looks_untouched(one, other, ignore, lists) else {WHOLE}
    if WHOLE in changed:
        return {leaf(difference.field) for difference in differing}
    return {
        leaf(d.field)
        for d in differing
        if leaf(d.field) in changed
        and retaken(
            lists.get(leaf(d.field)),
            (d.before, d.after, field_value(current, d.field)),
            (field_value(one, d.field), field_value(other, d.field)),
        )
    }
