"""What was seen, by kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts over many schedules."""

    schedules: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str) -> None:
        """One more of a kind."""
        self.counts[kind] += 1

    def merge(self, other: Tally) -> None:
        """Add what another one counted."""
        self.schedules += other.schedules
        self.counts += other.counts

    def lines(self) -> list[str]:
        """For people to read."""
        return [f"{self.schedules:6d} schedules", *(f"{n:6d} {kind}" for kind, n in sorted(self.counts.items()))]
