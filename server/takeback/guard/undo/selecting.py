"""What an undo means: one action, the last few, everything since a point, a run. Resolved once, and stored."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

from takeback.core.action import Action
from takeback.core.run import Unwinding
from takeback.core.vocabulary import COMPENSATIONS
from takeback.guard import history
from takeback.guard.services import Services
from takeback.ports import Caller, Change, NotFound

LAST: Final = "last 1"
PLAN: Final = "plan "
_LAST: Final = re.compile(r"(?:the )?last(?: (\d{1,5}))?(?: changes?| actions?| writes?)?")
_SINCE: Final = re.compile(r"since (.+)")
_RUN: Final = re.compile(r"(?:the |this )?(?:whole )?run(?: ([\w-]+))?")


def spelled(what: str | None) -> str:
    """A selection in its one spelling: `last N`, `since X`, `run`, `run R`, or an action's id."""
    text = (what or "").strip().strip("[]").removeprefix("takeback ").strip()
    if not text:
        return LAST
    if (last := _LAST.fullmatch(text.lower())) is not None:
        return f"last {int(last[1] or 1)}"
    if (since := _SINCE.fullmatch(text)) is not None:
        return f"since {since[1].strip()}"
    if (run := _RUN.fullmatch(text)) is not None:
        return f"run {run[1]}" if run[1] else "run"
    return text


def is_relative(selection: str) -> bool:
    """Whether a selection names several actions, or one by where it stands."""
    return selection == "run" or selection.startswith(("last ", "since ", "run ", PLAN))


async def own(services: Services, caller: Caller, action_id: str) -> Action:
    """An action in the caller's scope: the own run; a person's is the whole tenant. Raises NotFound."""
    action = await history.find(services, caller.tenant, action_id)
    if not caller.person and action.run != caller.run:
        raise NotFound(f"{action.id} belongs to another run; only a person can act on it")
    return action


async def known_before(services: Services, caller: Caller, selection: str) -> Unwinding | None:
    """The same request made before, as long as the run has written nothing since: then the same actions are meant."""
    found = await services.ledger.unwindings(caller.tenant, caller.run, what=selection, limit=1)
    if not found:
        return None
    async for action in _writes(services, caller.tenant, caller.run):
        return found[0] if action.created_at < found[0].opened_at else None
    return found[0]


async def select(services: Services, caller: Caller, selection: str) -> tuple[Action, ...]:
    """The actions in force that are meant, newest first: the order in which they are taken back.

    Raises:
        NotFound: there is nothing of the kind in the caller's scope.
    """
    if selection.startswith(PLAN):
        return await _steps(services, caller, selection.removeprefix(PLAN))
    run, later, most = await _bounds(services, caller, selection)
    found: list[Action] = []
    async for action in _writes(services, caller.tenant, run):
        if len(found) == most or not later(action):
            break
        if action.in_force:
            found.append(action)
    if not found:
        raise NotFound("there is no change that stands" + ("" if selection == "run" else f" ({selection})"))
    return tuple(found)


async def _steps(services: Services, caller: Caller, plan: str) -> tuple[Action, ...]:
    """What a plan did and still stands, newest first."""
    action = await own(services, caller, plan)
    steps = [one for one in await services.ledger.steps(action.tenant, action.id) if one.in_force]
    if not steps:
        raise NotFound(f"nothing that {action.id} did stands")
    return tuple(newest_first(steps))


def newest_first(actions: Iterable[Action]) -> list[Action]:
    """In the order in which they are taken back: what was sent last goes first."""
    return sorted(actions, key=lambda one: (one.sent_at or one.created_at, one.id), reverse=True)


async def _bounds(
    services: Services, caller: Caller, selection: str
) -> tuple[str, Callable[[Action], bool], int | None]:
    """The run, which of its actions belong to it, and how many at the most."""
    kind, _, rest = selection.partition(" ")
    if kind == "run":
        if rest and rest != caller.run and not caller.person:
            raise NotFound(f"run {rest} is not this one; only a person can act on it")
        return rest or caller.run, _any, None
    if kind == "last":
        return caller.run, _any, max(int(rest), 1)
    return caller.run, await _since(services, caller, rest), None


def _any(_action: Action) -> bool:
    return True


async def _since(services: Services, caller: Caller, point: str) -> Callable[[Action], bool]:
    """Whether an action came after a point: a checkpoint by id or name (the newest of that name), or an action."""
    for checkpoint in await services.ledger.checkpoints(caller.tenant, caller.run):
        if point in {checkpoint.id, checkpoint.name}:
            moment = checkpoint.at
            return lambda action: action.created_at > moment
    try:
        last = await own(services, caller, point)
    except NotFound:
        raise NotFound(f"this run has no checkpoint and no action {point!r}") from None
    return lambda action: action.id != last.id and action.created_at >= last.created_at


async def _writes(services: Services, tenant: str, run: str) -> AsyncIterator[Action]:
    """A run's writes, newest first, those aside that take others back."""
    async for action in history.every(services, tenant, run):
        if action.origin not in COMPENSATIONS:
            yield action


async def remember(
    services: Services, caller: Caller, selection: str, actions: Sequence[Action], reason: str, confirm: str | None
) -> Unwinding:
    """Keep what a request meant, so that the same words mean the same again."""
    unwinding = Unwinding(
        id=services.ids.new("u"),
        tenant=caller.tenant,
        run=caller.run,
        principal=caller.principal,
        what=selection,
        reason=reason,
        actions=tuple(action.id for action in actions),
        opened_at=services.clock.now(),
        confirm=confirm,
    )
    await services.ledger.commit(Change(unwindings=(unwinding,), tenant=caller.tenant))
    return unwinding
