"""The access log: reads that passed through, written in batches, within 100 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from takeback.ports import AccessEntry, LedgerFailure

_WITHIN: Final = 0.08
"""Seconds from the first entry of a batch to its write; what is left of 100 ms is for the write."""

_MOST: Final = 10_000
"""Entries kept while the database fails. Beyond them the oldest are forgotten: a read never waits for its log."""

_MOST_BYTES: Final = 64 * 2**20
"""Bytes of what was seen that are kept likewise. What is forgotten counts as not seen."""


class AccessLog:
    """Collects entries and hands them to `write` in batches. Needs a running event loop."""

    def __init__(self, write: Callable[[Sequence[AccessEntry]], Awaitable[None]]) -> None:
        self._write = write
        self._entries: list[AccessEntry] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._writing = asyncio.Lock()

    def add(self, entry: AccessEntry) -> None:
        """Remember a read. Returns at once. After `close` there is nowhere to write to, and it is forgotten."""
        if self._closed:
            return
        self._entries.append(entry)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._soon(), name="takeback access log")

    async def close(self) -> None:
        """Write what is left. Never raises."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self.flush()

    async def flush(self) -> None:
        """Write what is there, when what is on its way is written. Never raises; what fails stays for the next time."""
        async with self._writing:
            await self._flush()

    async def _soon(self) -> None:
        while self._entries:
            await asyncio.sleep(_WITHIN)
            await self.flush()

    async def _flush(self) -> None:
        entries, self._entries = self._entries, []
        if not entries:
            return
        try:
            await self._write(entries)
        except LedgerFailure:
            self._entries = _bounded([*entries, *self._entries][-_MOST:])


def _bounded(entries: Sequence[AccessEntry]) -> list[AccessEntry]:
    """Entries whose sightings together are of a bounded size: the newest of them are kept."""
    kept: list[AccessEntry] = []
    left = _MOST_BYTES
    for entry in reversed(entries):
        left -= len(entry.seen.content) if entry.seen is not None else 0
        kept.append(entry if left >= 0 else replace(entry, seen=None))
    return kept[::-1]
