"""Many schedules through one guard: opening a ledger takes longer than playing a schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from takeback.testing import guarded
from tests.undo_world.player import Player
from tests.undo_world.schedules import Profile, Schedule, schedules
from tests.undo_world.tally import Tally
from tests.undo_world.tools import WorldTools
from tests.undo_world.worlds import World


@contextmanager
def playing(world: World, folder: Path, tally: Tally) -> Iterator[tuple[asyncio.Runner, Player]]:
    """A guard in an event loop of its own, for schedules one after another."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        tools = WorldTools(versions=world.versions)
        guard = runner.run(stack.enter_async_context(guarded(world.policy(), [tools], folder)))
        try:
            yield runner, Player(guard, tools, world, tally)
        finally:
            runner.run(stack.aclose())


def drive(world: World, profile: Profile, folder: Path, tally: Tally, *, number: int, seed_: int = 0) -> None:
    """Let Hypothesis make that many schedules; the first wrong one is shrunk and raised."""
    with playing(world, folder, tally) as (runner, player):

        @seed(seed_)
        @settings(
            max_examples=number,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(schedules(profile))
        def all_go_well(schedule: Schedule) -> None:
            runner.run(player.play(schedule))

        all_go_well()
