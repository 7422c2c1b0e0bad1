"""A guard is killed again and again, another one each time, and started anew before the next one's turn comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from .balancer import Balancer
from .kit import Guard


class Killer:
    """Kills after `every` answers on the average, counted from when all guards listen. `kills`: when it did."""

    def __init__(self, guards: list[Guard], balancer: Balancer, *, every: int, chance: random.Random) -> None:
        self.kills: list[datetime] = []
        self._guards, self._balancer, self._every, self._chance = guards, balancer, every, chance
        self._left = every
        self._due = asyncio.Event()
        self._last = -1
        self._over = False

    def answered(self) -> None:
        """A client was answered."""
        self._left -= 1
        if self._left <= 0:
            self._due.set()

    def end(self) -> None:
        """Kill nobody more; one that was killed is started yet."""
        self._over = True
        self._due.set()

    async def run(self) -> None:
        """Until the end."""
        while True:
            await self._due.wait()
            if self._over:
                return
            await self._replace(self._chance.choice([at for at in range(len(self._guards)) if at != self._last]))
            self._left = self._chance.randint(1, 2 * self._every)
            if not self._over:
                self._due.clear()

    async def _replace(self, which: int) -> None:
        self._last = which
        self.kills.append(datetime.now(UTC))
        await self._guards[which].kill()
        await self._guards[which].start()
        self._balancer.ports[which] = self._guards[which].port


@asynccontextmanager
async def killing(killer: Killer) -> AsyncIterator[None]:
    """Kill meanwhile; at the end all guards listen."""
    async with asyncio.TaskGroup() as group:
        group.create_task(killer.run())
        try:
            yield
        finally:
            killer.end()
