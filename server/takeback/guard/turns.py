"""Turns: inside one guard, calls on the same target wait for each other in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


class Busy(Exception):
    """The turn did not come in time; nothing is held."""


class Turns:
    """First come, first served, for each name. Leases in the ledger do the same among guards; this spares them."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, names: Iterable[str], *, within: float) -> AsyncIterator[None]:
        """Hold all names, taken in sorted order.

        Raises:
            Busy: they were not all free `within` seconds.
        """
        taken: list[str] = []
        try:
            try:
                async with asyncio.timeout(within):
                    for name in sorted(set(names)):
                        await self._take(name)
                        taken.append(name)
            except TimeoutError:
                raise Busy from None
            yield
        finally:
            for name in reversed(taken):
                self._give(name)

    def busy(self, name: str) -> bool:
        """Whether somebody holds the name now."""
        held = self._locks.get(name)
        return held is not None and held[0].locked()

    async def _take(self, name: str) -> None:
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._forget(name)
            raise

    def _give(self, name: str) -> None:
        self._locks[name][0].release()
        self._forget(name)

    def _forget(self, name: str) -> None:
        lock, users = self._locks[name]
        if users == 1:
            del self._locks[name]
        else:
            self._locks[name] = (lock, users - 1)
