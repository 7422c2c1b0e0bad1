"""Who waits for an action to move on, or for anything to happen: told at once when this store commits or hears it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from takeback.ledger.notices import News
from takeback.ports import Change


class Watch:
    """The waiting callers of one store, by action."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._stirred = asyncio.Event()

    @contextmanager
    def on(self, action_id: str) -> Iterator[asyncio.Event]:
        """A signal that is set whenever this store commits, or hears of, a change to the action."""
        signal = asyncio.Event()
        signals = self._waiting.setdefault(action_id, set())
        signals.add(signal)
        try:
            yield signal
        finally:
            signals.discard(signal)
            if not signals and self._waiting.get(action_id) is signals:
                del self._waiting[action_id]

    def committed(self, change: Change) -> None:
        """Tell those who wait for one of the change's actions."""
        ids = frozenset(event.action for event, _ in change.actions)
        self.heard(News(ids, News.of([change]).stirring))

    def heard(self, news: News) -> None:
        """Tell those whom it concerns."""
        for action_id in self._waiting if news.actions is None else news.actions & self._waiting.keys():
            for signal in self._waiting[action_id]:
                signal.set()
        if news.stirring:
            self.stir()

    def stir(self) -> None:
        """Something happened that a worker may want to look at."""
        self._stirred.set()

    async def stirred(self, timeout: float) -> bool:
        """Wait until something happened since this was last answered, at most `timeout` seconds; whether it did."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._stirred.wait()
        happened = self._stirred.is_set()
        self._stirred.clear()
        return happened
