"""What rests on an action, and what it rested on: found in the ledger, not guessed from the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.expressions import ExpressionError
from takeback.core.flow import passed_on, produced
from takeback.core.images import WHOLE, Difference, leaf
from takeback.core.jsontext import loads
from takeback.core.phrases import quoted
from takeback.core.policy.decide import target_variables
from takeback.core.policy.schema import Children, Use
from takeback.core.results import is_error, record
from takeback.core.standoff import Standoff
from takeback.core.vocabulary import COMPENSATIONS, Does, Status
from takeback.guard.judging import ran_after
from takeback.guard.reading import ask
from takeback.guard.services import Services
from takeback.guard.undo.moved import Whereabouts
from takeback.guard.undo.sight import rule_of
from takeback.ports import HistoryQuery, Pruned, ToolFailure

_MOST_NAMED: Final = 3
_FEW: Final = 4
_PAGE: Final = 200


async def dependents_of(services: Services, place: Whereabouts, standoff: Standoff) -> tuple[Action, ...]:
    """Later actions in force that rest on this one, newest first: by a field, by a value passed on, or as declared.

    The values of a field may happen to agree all the same, also with what was there before. Counters do not rest on
    each other: sums commute.
    """
    if standoff.empty:
        return ()
    action = place.action
    later = [one for one in await services.ledger.later_writes(place.known_as) if ran_after(one, action)]
    found = [one for one in later if rests_on(one, standoff)]
    if _vanishes(standoff):
        found += await users_of(services, place, await services.ledger.standing_after(action))
    return with_children((), tuple(found))


async def users_of(services: Services, place: Whereabouts, later: Sequence[Action]) -> list[Action]:
    """Those that were given a value which the action returned, or that a rule says depend on its targets."""
    if not later:
        return []
    action = place.action
    result = await result_of(services, action)
    made = produced(record(result) if result is not None else None, action.arguments)
    made |= {target.id for target in place.known_as.targets if action.does is Does.CREATE}
    ours = {(target.type, target.id) for target in place.known_as.targets}
    declared = [await declared_uses(services, one) for one in later]
    return [
        one
        for one, uses in zip(later, declared, strict=True)
        if passed_on(made, one.arguments) or not ours.isdisjoint(uses)
    ]


async def used_since(services: Services, action: Action, newest: Action) -> bool:
    """Whether the run did something with the action's targets since, without writing them: that moves versions, too."""
    ids = [target.id for target in action.targets]
    ours = {(target.type, target.id) for target in action.targets}
    page = await services.ledger.history(HistoryQuery(tenant=action.tenant, run=action.run, limit=_PAGE))
    for one in page.actions:
        if one.id in {action.id, newest.id}:
            return False
        without_effect = one.status is Status.FAILED and not one.in_force
        writes = not ours.isdisjoint((target.type, target.id) for target in one.targets)
        if one.sent_at is None or without_effect or writes:
            continue
        if passed_on(ids, one.arguments) or not ours.isdisjoint(await declared_uses(services, one)):
            return True
    return False


async def result_of(services: Services, action: Action) -> Any:
    """The recorded result of an action, where there is one. Raises Pruned where retention took it."""
    if action.result is None:
        return None
    try:
        return loads(await services.ledger.image(action.result))
    except Pruned as gone:
        when = f" on {gone.at:%Y-%m-%d}" if gone.at else ""
        raise Pruned(
            f"what {action.id} returned was pruned{when} by retention, so nothing tells what rests on it", gone.at
        ) from None


async def declared_uses(services: Services, action: Action) -> frozenset[tuple[str, str]]:
    """The targets that an action depends on without writing them, as its rule declares."""
    rule = rule_of(services, action)
    if rule is None or not rule.uses:
        return frozenset()
    variables: dict[str, Any] = {"args": action.arguments, **target_variables(action.targets)}
    if any("result" in use.id.names for use in rule.uses):
        result = await result_of(services, action)
        variables["result"] = record(result) if result is not None else None
    return frozenset(found for use in rule.uses if (found := _use(use, variables)) is not None)


def _use(use: Use, variables: dict[str, Any]) -> tuple[str, str] | None:
    try:
        value = use.id.value(variables)
    except ExpressionError:
        return None
    return (use.type, str(value)) if value is not None else None


def with_children(dependents: tuple[Action, ...], children: tuple[Action, ...]) -> tuple[Action, ...]:
    """Both, each once, the newest first."""
    known = {one.id: one for one in (*dependents, *children)}
    return tuple(sorted(known.values(), key=lambda one: one.created_at, reverse=True))


def rests_on(later: Action, standoff: Standoff) -> bool:
    """Whether a later action on the same target wrote one of the fields in question."""
    if later.origin in COMPENSATIONS or later.does is Does.SEND:
        return False
    theirs = written(later)
    if not theirs and later.does in {Does.CREATE, Does.DELETE}:  # whatever lagging reads showed of it
        theirs = frozenset({WHOLE})
    if not theirs:
        return False
    commuting = {leaf(name) for name in standoff.counters} & counters(later)
    names = [one.field for one in standoff.restore] + [one.field for one in standoff.conflicts] + list(standoff.already)
    mine = {leaf(name) for name in names} - commuting
    return bool(mine) and (WHOLE in mine | theirs or not mine.isdisjoint(theirs))


def written(action: Action) -> frozenset[str]:
    """The fields that an action declared to write or was seen to change, without their targets' names."""
    return frozenset(leaf(field) for field in (*action.fields, *action.changed))


def counters(action: Action) -> frozenset[str]:
    """The fields that an action moved by a difference."""
    stored = action.compensation or {}
    return frozenset(stored.get("options") or ()) if stored.get("way") == "adjust" else frozenset()


async def dirty_fields(services: Services, action: Action, differing: Sequence[Difference]) -> frozenset[str]:
    """Fields whose before-value was written by an action that has been taken back since this one was sent.

    What was there before is then nothing that anybody wants back.
    """
    wanted = {leaf(difference.field) for difference in differing}
    found: set[str] = set()
    async for earlier in _before(services, action):
        wrote = _differed(earlier)
        hit = set(wanted) if WHOLE in wrote else wanted & wrote
        redone = earlier.id == action.original  # what a redo puts back was taken back by the very undo that it redoes
        if earlier.status is Status.COMPENSATED and not redone and _taken_back_after(earlier, action):
            found |= hit
        wanted -= hit
        if not wanted:
            break
    return frozenset(found - {WHOLE})


async def _before(services: Services, action: Action) -> AsyncIterator[Action]:
    """What ran before an action on its targets, newest first: the last few tell nearly always all there is to know."""
    few = await services.ledger.earlier_writes(action, limit=_FEW)
    for earlier in few:
        yield earlier
    if len(few) == _FEW:
        for earlier in (await services.ledger.earlier_writes(action))[_FEW:]:
            yield earlier


def _differed(action: Action) -> frozenset[str]:
    """The fields that an action was seen to change; where it was not read back, those that it declared to write."""
    return frozenset(map(leaf, action.changed)) if action.after is not None else written(action)


def _taken_back_after(earlier: Action, action: Action) -> bool:
    began = action.sent_at or action.created_at
    return earlier.updated_at > began


async def children_of(services: Services, place: Whereabouts, standoff: Standoff) -> tuple[tuple[Action, ...], str]:
    """What hangs on a created record that is to go: what was created through the guard, and the rest in a few words.

    What cannot be listed may be there: it counts as others'.
    """
    rule = rule_of(services, place.action)
    if rule is None or not rule.children or not _vanishes(standoff):
        return (), ""
    found = [await _hanging(services, place, spec) for spec in rule.children]
    ours = [one for mine, _ in found for one in mine]
    return tuple(ours), "; ".join(text for _, text in found if text)


def _vanishes(standoff: Standoff) -> bool:
    """Whether something that the action created is to go."""
    return any(one.field.endswith(WHOLE) and one.before is None for one in standoff.restore)


async def _hanging(services: Services, place: Whereabouts, spec: Children) -> tuple[list[Action], str]:
    entry = services.catalog.named(spec.tool)
    if entry is None:
        return [], f"there is no tool {spec.tool} to list its {spec.type}s with"
    variables: dict[str, Any] = {"args": place.renamed(place.action.arguments), **target_variables(place.targets)}
    try:
        result = await ask(services, entry, spec.args.value(variables))
        if is_error(result):
            return [], f"its {spec.type}s cannot be listed"
        ids = spec.ids.value({**variables, "result": record(result)})
    except (ToolFailure, ExpressionError) as problem:
        return [], f"its {spec.type}s cannot be listed: {problem}"
    if not isinstance(ids, list):
        return [], f"its {spec.type}s cannot be told apart"
    ours = await services.ledger.creations(place.action.tenant, spec.type, [str(one) for one in ids])
    foreign = [str(one) for one in ids if str(one) not in ours]
    named = ", ".join(quoted(one, 40) for one in foreign[:_MOST_NAMED])
    return list(ours.values()), f"{len(foreign)} {spec.type}(s): {named}" if foreign else ""
