"""How the fields that an action changed are to be judged: what the ledger and the rule say beside the three images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.images import WHOLE, Image, leaf
from takeback.core.jsontext import JSON
from takeback.core.standoff import Manner, Standoff, stand
from takeback.core.undo import changed
from takeback.core.vocabulary import Status, Verified
from takeback.guard.judging import stored_image
from takeback.guard.services import Services
from takeback.guard.undo.dependencies import dirty_fields, used_since
from takeback.guard.undo.sight import looks_untouched, rule_of, versions_differ
from takeback.guard.undo.traces import Traces, traces_of_others

_ADJUST: Final = "adjust"


class NotUndoable(Exception):
    """The action cannot be taken back; the message says why, in a sentence for people and models."""


async def standoff_of(
    services: Services, action: Action, images: tuple[Image | None, Image | None, Image | None]
) -> Standoff:
    """How the changed fields stand; empty where no images tell. Raises NotUndoable when the target cannot be read."""
    before, after, current = images
    if before is None or after is None or current is None or not before.readable or not after.readable:
        return Standoff()
    if not current.readable:
        problem = "; ".join(part.problem or "unreadable" for part in current.parts)
        raise NotUndoable(f"the target cannot be read now ({problem}), so nothing can be put back safely")
    ignore, _ = rule_fields(services, action)
    differing = changed(before, after, declared=action.fields, ignore=ignore)
    lists = lists_of(services, action)
    lag = services.policy.read_lag(rule_of(services, action), action.upstream)
    seen = Traces() if lag else await traces_of_others(services, action, current, differing, ignore=ignore, lists=lists)
    manner = Manner(
        ignore=ignore,
        moved=_counters(action.compensation, differing),
        lists=lists,
        dirty=await dirty_fields(services, action, differing),
        unsure=_unsure(action),
        touched=seen.touched or await _touched(services, action, after, current, ignore),
        retaken=seen.retaken,
    )
    return stand(before, after, current, differing, manner)


def _counters(stored: Mapping[str, Any], differing: tuple[Any, ...]) -> Mapping[str, JSON]:
    """By how much the call moved each counter: as its arguments named it, else as the images show."""
    if stored["way"] != _ADJUST:
        return {}
    named = stored.get("options") or {}
    if named:
        return dict(named)
    numbers = ((leaf(d.field), d.before, d.after) for d in differing)
    return {n: a - b for n, b, a in numbers if all(type(value) in {int, float} for value in (a, b))}


def _unsure(action: Action) -> frozenset[str]:
    """The fields that did not read back as expected; `*` where the rule's own expression said so of the whole."""
    mismatch = action.mismatch or {}
    if action.verified is not Verified.MISMATCH or mismatch.get("ours"):
        return frozenset()
    expected = mismatch.get("expected")
    return frozenset(expected) if isinstance(expected, Mapping) else frozenset({WHOLE})


def lists_of(services: Services, action: Action) -> Mapping[str, Any]:
    """How the parts of the action's fields are told apart, by today's rule."""
    rule = rule_of(services, action)
    return rule.lists if rule is not None else {}


async def _touched(services: Services, action: Action, after: Image, current: Image, ignore: tuple[str, ...]) -> bool:
    """Whether a version shows that somebody else wrote to the target since, though no field tells what.

    That may be an edit to the very value that the action left: it is theirs, and not to be overwritten.
    """
    if all(part.version is None for part in current.parts):
        return False  # without a version there is nothing to tell it by, and no need to ask the ledger
    newest = await services.ledger.newest_write(action) or action  # compensations included
    left = await stored_image(services, newest.after) if newest.id != action.id else after
    if left is None or not versions_differ(left, current):
        return False
    if not looks_untouched(left, current, ignore, lists_of(services, action)):
        return False
    if not await _shows_its_own_write(services, await _last_with_effect(services, action, newest), left):
        return False  # a read that lagged behind the write itself tells nothing of what came after it
    return not await used_since(services, action, newest)


async def _last_with_effect(services: Services, action: Action, newest: Action) -> Action:
    """The last write that made a version of the target; one that failed without effect was read back, and made none."""
    if newest.status is not Status.FAILED or newest.in_force:
        return newest
    later = await services.ledger.later_writes(action)
    return later[-1] if later else action


async def _shows_its_own_write(services: Services, newest: Action, left: Image) -> bool:
    """Whether what was read back (`left`) is newer than what was read before the newest write, by its version."""
    before = await stored_image(services, newest.before)
    if before is None or [part.presence for part in before.parts] != [part.presence for part in left.parts]:
        return True
    return versions_differ(before, left)


def rule_fields(services: Services, action: Action) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`ignore` and `redact` as they were when the action ran, or of its rule as the policy has it today."""
    stored = action.compensation or {}
    if "redact" in stored:
        return tuple(stored["ignore"]), tuple(stored["redact"])
    rule = rule_of(services, action)
    return (rule.ignore, rule.redact) if rule is not None else ((), ())
