"""A cell, played: an agent calls, something goes wrong, it calls again with the same arguments, then something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.policy.load import load
from takeback.core.vocabulary import Status
from takeback.extensions import connector
from takeback.guard.around import Around
from takeback.ports import HistoryQuery, LedgerFailure, ProgressSink, ToolClient
from takeback.testing import GuardForTests, ManualClock, guarded
from tests.matrix.ledgers import Place
from tests.matrix.oracle import Account, Told, told
from tests.matrix.policies import Rule, arguments, policy
from tests.matrix.world import World

BOUND: Final = 30.0
"""Seconds within which every answer must have come."""

_LONG: Final = 5.0
"""Seconds: whoever pauses for longer waits for something to land, and does not merely try again."""

_OPEN: Final = frozenset({Status.RUNNING, Status.IN_DOUBT, Status.NEEDS_OPERATOR})

Step = Callable[["Stage"], Awaitable[None]]


class Clock(ManualClock):
    """A clock that can be set, and a world in which things go on while somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self._set_by = timedelta(0)
        self.meanwhile: Callable[[float], Awaitable[None]] | None = None

    def now(self) -> datetime:
        return super().now() + self._set_by

    def jump(self, span: timedelta) -> None:
        """Somebody sets the clock; no time passes."""
        self._set_by += span

    async def sleep(self, seconds: float) -> None:
        if self.meanwhile is not None:
            await self.meanwhile(seconds)
        await super().sleep(seconds)


class Between(Around):
    """A real connector; `after` happens when the next write was answered, before the guard hears of it."""

    def __init__(self, client: ToolClient, rule: Rule) -> None:
        super().__init__(client)
        self._rule = rule
        self.after: Callable[[], Awaitable[None]] | None = None

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            return await super().request(method, params, timeout=timeout, progress=progress, headers=headers)
        finally:
            if self.after is not None and params is not None and params.get("name") == self._rule:
                happens, self.after = self.after, None
                await happens()


@dataclass(slots=True)
class Stage:
    """What a row can reach. `undo_it` is done once the first answer is there, and then some minutes pass."""

    world: World
    rule: Rule
    record: str
    clock: Clock
    client: Between
    guard: GuardForTests
    place: Place
    late: bool = False
    undo_it: list[Callable[[], None]] = field(default_factory=list)

    async def land_if_late(self) -> None:
        if self.late:
            self.late = False
            await self.world.land(self.record)

    async def call(self, record: str) -> Told:
        """A call of the agent, as it hears of its outcome."""
        try:
            async with asyncio.timeout(BOUND):
                reply = await self.guard.call(self.rule, arguments(self.rule, record))
        except LedgerFailure as failure:
            return Told("nothing", f"the call was refused: {failure}")
        return told(reply)


@asynccontextmanager
async def staged(
    world: World, rule: Rule, record: str, place: Place, *, timeout: str = "10s", direct: bool = False
) -> AsyncIterator[Stage]:
    """A guard in this process, on a real ledger, with the real connector before the real upstream."""
    text = policy(world.kind, world.where(direct=direct), timeout=timeout)
    upstream = load(text, env={"STATE": str(place.folder)}, source="policy.toml").file.upstream["store"]
    client = Between(connector(upstream.kind)("store", upstream, "acme"), rule)
    clock = Clock()
    await client.start()
    try:
        async with guarded(text, [client], place.folder, url=place.url, clock=clock) as guard:
            stage = Stage(world, rule, record, clock, client, guard, place)
            clock.meanwhile = lambda seconds: _meanwhile(stage, seconds)
            yield stage
    finally:
        await client.close()


async def _meanwhile(stage: Stage, seconds: float) -> None:
    if seconds > _LONG:
        await stage.land_if_late()
    await stage.world.back()


async def play(stage: Stage, arrange: Step) -> Account:
    """Play the cell to its end, and say what is so."""
    await arrange(stage)
    first = await stage.call(stage.record)
    at_first = stage.world.effects(stage.record)
    asked_at_first = await _asked(stage)
    await stage.land_if_late()
    for undo in stage.undo_it:
        undo()
    if stage.undo_it:
        stage.clock.move(timedelta(minutes=10))  # whatever lease the guard could not give back has run out
    await stage.world.back()
    again = await stage.call(stage.record)
    at_last = stage.world.effects(stage.record)
    asked_at_last = await _asked(stage)
    other = await stage.call(f"{stage.record}-other")
    return Account(
        first=first,
        again=again,
        other=other,
        effects=(at_first, at_last, stage.world.effects(f"{stage.record}-other")),
        asked=(asked_at_first, asked_at_last),
        status=await _status(stage),
        met=not stage.world.pending and stage.world.died and stage.client.after is None,
    )


async def _asked(stage: Stage) -> bool | None:
    """Whether the ledger knows that the outcome is open: an action under way, or in doubt, or in the queue."""
    try:
        return any(action.status in _OPEN for action in await _actions(stage))
    except LedgerFailure:
        return None


async def _actions(stage: Stage) -> list[Action]:
    page = await stage.guard.ledger.history(HistoryQuery(tenant="acme"))
    return [one for one in page.actions if any(target.id == stage.record for target in one.targets)]


async def _status(stage: Stage) -> str:
    found = await _actions(stage)
    assert len(found) <= 1, f"one logical operation, and {len(found)} actions"
    return found[0].status.value if found else "nothing"
