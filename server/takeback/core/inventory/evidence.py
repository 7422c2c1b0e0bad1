"""Evidence: what speaks for a judgement and what against it, each with where it was seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from takeback.core.jsontext import JSON


class Source(StrEnum):
    """Where something was seen. Two findings of one source are one opinion."""

    NAME = "name"
    DESCRIPTION = "description"
    SCHEMA = "schema"
    ANNOTATIONS = "annotations"
    HTTP = "http"
    OTHERS = "other tools"


class Confidence(StrEnum):
    """How sure a draft is of something. `GUESS` stands where the careful side was taken for want of anything better."""

    HIGH = "high"
    FAIR = "fair"
    LOW = "low"
    GUESS = "guess"

    @property
    def rank(self) -> int:
        """Greater is surer."""
        return _RANKS[self]


_RANKS: Final = {Confidence.GUESS: 0, Confidence.LOW: 1, Confidence.FAIR: 2, Confidence.HIGH: 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen. `weight` is above 0 where it speaks for a read, below where it speaks for a write.

    `VETO` alone makes a write of whatever else is said.
    """

    source: Source
    weight: int
    reason: str

    def document(self) -> JSON:
        """For `--json`."""
        speaks = "for a read" if self.weight > 0 else "for a write"
        return {"source": self.source.value, "speaks": speaks, "decisive": self.weight <= VETO, "reason": self.reason}


VETO: Final = -100
FOR: Final = 2
"""The weight of one source that says that a tool reads."""

ENOUGH: Final = 2 * FOR
"""Two sources that are independent of each other."""


def balance(findings: Iterable[Finding]) -> int:
    """What all findings come to; a source that says the same twice counts once."""
    best: dict[Source, int] = {}
    against = 0
    for finding in findings:
        if finding.weight < 0:
            against += finding.weight
        else:
            best[finding.source] = max(best.get(finding.source, 0), finding.weight)
    return sum(best.values()) + against
