"""The port to the definitions of tools that are trusted, and to those that wait for a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from takeback.core.pins.judge import Pin


class Pins(Protocol):
    """Which definitions were seen, and which of them count. A matter of the policy: the same for all its tenants."""

    async def pins(self, scope: str) -> Sequence[Pin]:
        """All that is known under a policy, by upstream and tool, the oldest first.

        Raises:
            LedgerFailure: it cannot be looked up.
        """

    async def keep(self, seen: Sequence[Pin]) -> None:
        """Remember what was seen, durably. Only a tool that was never seen before gets a pin, by whoever is first.

        What is pinned already stays pinned; an offer may be retired, and come back.

        Raises:
            LedgerFailure: nothing of it was kept.
        """

    async def accept(self, pin: Pin, *, beside: bool, by: str, at: datetime) -> None:
        """Pin a definition that was seen, on a person's word; with `beside` the others that are pinned stay so.

        Raises:
            NotFound: it is not known (any more).
            LedgerFailure: nothing was changed.
        """
