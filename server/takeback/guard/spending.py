"""Limits beside each other: claims of one guard that are on their way count, too, before the ledger has them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Counter:
    users: int = 0
    claimed: int = 0
    claiming: int = 0


class Spending:
    """What this guard has added to each counter since somebody looked. Forgets a counter that nobody looks at."""

    def __init__(self) -> None:
        self._counters: dict[str, _Counter] = {}
        self._ended = asyncio.Event()

    @contextmanager
    def looking(self, names: Iterable[str]) -> Iterator[Mapping[str, int]]:
        """Around a look at the ledger and what follows from it; gives what `since` needs to know."""
        names = tuple(names)
        for name in names:
            self._counters.setdefault(name, _Counter()).users += 1
        try:
            yield {name: self._counters[name].claimed for name in names}
        finally:
            for name in names:
                self._counters[name].users -= 1
                if not self._counters[name].users:
                    del self._counters[name]

    def since(self, marks: Mapping[str, int]) -> dict[str, int]:
        """At most how much each counter has grown, or is about to grow, since the look."""
        return {
            name: self._counters[name].claimed - mark + self._counters[name].claiming for name, mark in marks.items()
        }

    @contextmanager
    def claiming(self, names: Iterable[str]) -> Iterator[None]:
        """Around the commit of a claim."""
        names = tuple(names)
        for name in names:
            self._counters[name].claiming += 1
        try:
            yield
            for name in names:
                self._counters[name].claimed += 1
        finally:
            for name in names:
                self._counters[name].claiming -= 1
            self._ended.set()
            self._ended = asyncio.Event()

    async def quiet(self, names: Iterable[str]) -> None:
        """Wait until no claim on these counters is on its way."""
        names = tuple(names)
        while any(name in self._counters and self._counters[name].claiming for name in names):
            await self._ended.wait()
