"""Who waits for an action to move on: told at once when this store commits it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from takeback.ports import Change


class Watch:
    """The waiting callers of one store, by action."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def on(self, action_id: str) -> Iterator[asyncio.Event]:
        """A signal that is set whenever this store commits a change to the action."""
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
        for event, _ in change.actions:
            for signal in self._waiting.get(event.action, ()):
                signal.set()
