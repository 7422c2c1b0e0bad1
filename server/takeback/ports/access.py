"""The port to what is remembered of reads: that they happened, and what a run saw where a rule wants that known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a run saw at a read. `place` names tool and arguments by a digest; `at` is when the read was begun.

    `content` is the answer as canonical JSON, as it may be kept: redacted and bounded.
    """

    place: str
    at: datetime
    content: bytes


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One read that passed through, for the access log (written in batches), and what was `seen`, where that counts."""

    tenant: str
    run: str
    principal: str
    upstream: str
    tool: str
    at: datetime
    ok: bool
    arguments_digest: str
    seen: Sighting | None = None


class AccessLedger(Protocol):
    """What the ledger knows of reads."""

    async def log_access(self, entry: AccessEntry) -> None:
        """Remember a read, and what it saw. Returns at once; written within 100 ms."""

    async def sighting(self, tenant: str, run_id: str, place: str) -> Sighting | None:
        """What a run saw last at a place. None where it never read there, or retention took it.

        Knows all that was logged through this store, and what others' stores have written. Raises LedgerFailure.
        """
