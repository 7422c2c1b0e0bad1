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


_LENGTH: Final = 8
_FAIR: Final = 256 - 256 % 31
"""Bytes from here on would make the alphabet's first characters likelier than the rest."""


def _unbiased() -> list[int]:
    """Eight random bytes below `_FAIR`, at one visit to the system's source in nearly all cases."""
    found: list[int] = []
    while len(found) < _LENGTH:
        found += [byte for byte in secrets.token_bytes(2 * _LENGTH) if byte < _FAIR]
    return found[:_LENGTH]


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
        return prefix + "".join(_ALPHABET[byte % 31] for byte in _unbiased())

    def jitter(self) -> float:
        """A number from 0 to 1."""
        return random.random()  # noqa: S311 - jitter guards nothing
