"""Keeping leases: they are short, and last for as long as their guard lives and reaches the ledger.

A guard that dies keeps others off its targets for one lease at most. One that merely stalls finds out before it sends:
nothing goes upstream under a lease that may be somebody else's by now. What was sent before then may still land;
whoever takes the action over counts with that (`settling.take_over`). The idea is that of Burrows, "The Chubby lock
service" (OSDI 2006), with the fencing numbers of the ledger in the place of its sequencers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from takeback.ports import Clock, Lease, Ledger, LedgerFailure

log = logging.getLogger(__name__)

BEATS: Final = 3
"""How often a lease is prolonged in the time for which it lasts."""

_Key = tuple[str, str, int]


class Keeper:
    """The leases that this guard holds at the moment. `lease` is how long one lasts without its guard."""

    def __init__(self, ledger: Ledger, clock: Clock, lease: timedelta) -> None:
        self._ledger, self._clock, self.lease = ledger, clock, lease
        self._held: dict[_Key, tuple[Lease, datetime]] = {}
        self._beating: asyncio.Task[None] | None = None

    @contextmanager
    def keeping(self, leases: Sequence[Lease]) -> Iterator[None]:
        """Prolong them for as long as this lasts, unless they are given back or lost before."""
        for lease in leases:
            self._held[_key(lease)] = (lease, lease.expires_at)
        if leases and (self._beating is None or self._beating.done()):
            self._beating = asyncio.create_task(self._beat(), name="takeback heartbeat")
        try:
            yield
        finally:
            for lease in leases:
                self._held.pop(_key(lease), None)

    async def sure(self, leases: Sequence[Lease]) -> bool:
        """Whether these leases are ours, and for a while to come. Looks into the ledger only where one is about to end.

        Raises:
            LedgerFailure: one is about to end, and the ledger cannot say whether it is still ours.
        """
        now = self._clock.now()
        enough = now + self.lease / 2
        if all(self._until(lease) >= enough for lease in leases):
            return True
        return len(await self._renew(leases)) == len(leases)

    async def close(self) -> None:
        """Prolong nothing any more."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})

    def _until(self, lease: Lease) -> datetime:
        return self._held.get(_key(lease), (lease, lease.expires_at))[1]

    async def _beat(self) -> None:
        while self._held:
            await asyncio.sleep(self.lease.total_seconds() / BEATS)
            with suppress(LedgerFailure):  # it is tried again at the next beat; meanwhile nothing is sent for long
                await self._renew([lease for lease, _ in self._held.values()])

    async def _renew(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Prolong what is still ours; returns that."""
        if not leases:
            return ()
        until = self._clock.now() + self.lease
        ours = await self._ledger.renew(leases, until)
        for lease in ours:
            if _key(lease) in self._held:
                self._held[_key(lease)] = (lease, until)
        return ours


def _key(lease: Lease) -> _Key:
    return lease.name, lease.holder, lease.fence
