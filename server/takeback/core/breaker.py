"""A circuit breaker: an upstream that failed several times in a row is left alone for a while, then tried once.

The pattern is that of Nygard, "Release It!" (2007). Pure: time is an argument, in seconds that never go back.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Breaker:
    """Closed (requests pass), open (none does, for `rest` seconds), or half-open (one does, and decides)."""

    failures: int
    rest: float
    _in_a_row: int = 0
    _open_until: float | None = None
    _trying: bool = False

    @property
    def in_a_row(self) -> int:
        """Failures since the last success."""
        return self._in_a_row

    def wait(self, now: float) -> float | None:
        """Seconds until a request may pass; None: it may pass now, and then `succeeded`, `failed` or `ended` is due."""
        if self._open_until is None:
            return None
        if now < self._open_until:
            return min(self._open_until - now, self.rest)
        if self._trying:
            return self.rest
        self._trying = True
        return None

    def succeeded(self) -> None:
        """The upstream answered, whatever it said."""
        self._in_a_row, self._open_until, self._trying = 0, None, False

    def failed(self, now: float) -> None:
        """It could not be reached, or gave no usable answer."""
        self._in_a_row += 1
        if self._trying or self._in_a_row >= self.failures:
            self._open_until = now + self.rest
        self._trying = False

    def ended(self) -> None:
        """A request ended in a way that says nothing of the upstream: it was cancelled, say."""
        self._trying = False
