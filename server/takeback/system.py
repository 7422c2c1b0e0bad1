"""The real clock and the real source of identifiers."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from datetime import UTC, datetime
from typing import Final

_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without the characters that are mistaken for each other when read aloud (0 and o, 1 and l and i)."""


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class RandomIds:
    """Short identifiers that nobody can guess: a prefix and eight of 31 characters (8.5e11 of them)."""

    def new(self, prefix: str) -> str:
        """A new identifier."""
        return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(8))

    def jitter(self) -> float:
        """A number from 0 to 1."""
        return random.random()  # noqa: S311 - jitter guards nothing
