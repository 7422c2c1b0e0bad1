"""Hands items over, in order, from synchronous code that must not wait to a sink that may."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

CAPACITY: Final = 1000
"""Items that may wait; beyond it the oldest are dropped, because a slow listener must not fill the memory."""

Item = TypeVar("Item")


class Pump(Generic[Item]):
    """Calls `sink` with one item after the other, in a task of its own that lives only while there is work."""

    def __init__(self, sink: Callable[[Item], Awaitable[None]], what: str) -> None:
        self._sink, self._what = sink, what
        self._waiting: deque[Item] = deque(maxlen=CAPACITY)
        self._task: asyncio.Task[None] | None = None

    def offer(self, item: Item) -> None:
        """Hand an item over. Returns at once."""
        if len(self._waiting) == CAPACITY:
            log.warning("%s: too many wait, the oldest is dropped", self._what)
        self._waiting.append(item)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._deliver(self._waiting.popleft())
        finally:
            self._task = None

    async def _deliver(self, item: Item) -> None:
        try:
            await self._sink(item)
        except Exception:
            log.exception("%s: the listener failed", self._what)

    async def finish(self, bound: float) -> None:
        """Wait until everything has been delivered, at most `bound` seconds; what is left then is dropped."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=bound)
        self.stop()

    def stop(self) -> None:
        """Drop what still waits."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
