"""Time and chance, as arguments."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Processes(Protocol):
    """Who holds something, and whether it still lives."""

    def me(self) -> str:
        """The name of this process; empty where it has none."""

    def is_gone(self, name: str) -> bool:
        """Whether the process of that name has provably ended."""


class Ids(Protocol):
    """Identifiers and jitter, as an argument."""

    def new(self, prefix: str) -> str:
        """A short identifier: the prefix letter and eight characters that are easy to read aloud."""

    def jitter(self) -> float:
        """A number from 0 to 1."""
