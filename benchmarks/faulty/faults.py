"""What goes wrong with a call, and when: drawn from a seed, so that every subject meets the same weather."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

WRITES: Final = frozenset({"create", "set"})

LIGHTHOUSE: Final = "lighthouse"
"""A record by which the agent sees whether what it calls still answers. No call about it goes wrong by plan."""


class Fault(StrEnum):
    """What becomes of one call. `effect` is there where the name does not say `before`."""

    NONE = "none"
    DROPPED = "reply dropped"
    ERROR_BEFORE = "error before the effect"
    ERROR_AFTER = "error after the effect"
    RESET_BEFORE = "reset before the effect"
    RESET_AFTER = "reset after the effect"
    LATE = "landing late"
    GARBAGE = "garbage reply"

    @property
    def acts_first(self) -> bool:
        """Whether the effect is there before anything goes wrong."""
        return self not in {Fault.ERROR_BEFORE, Fault.RESET_BEFORE, Fault.LATE}


WRONG: Final = tuple(fault for fault in Fault if fault is not Fault.NONE)


class Plan(Protocol):
    """Says what becomes of the nth arrival (from 1) of a tool's call for one logical operation."""

    def fault(self, tool: str, operation: str, arrival: int) -> Fault:
        """What becomes of it."""


@dataclass(frozen=True, slots=True)
class LostReply:
    """The first arrival of each write takes effect, and then the upstream is gone before it answers."""

    def fault(self, tool: str, operation: str, arrival: int) -> Fault:
        """As `Plan.fault`."""
        return Fault.RESET_AFTER if tool in WRITES and arrival == 1 else Fault.NONE


@dataclass(frozen=True, slots=True)
class Drawn:
    """A share of all calls, reads included, goes wrong in one of seven ways, each as likely as the others."""

    seed: int
    rate: float

    def fault(self, tool: str, operation: str, arrival: int) -> Fault:
        """As `Plan.fault`."""
        chance = random.Random(f"{self.seed}/{tool}/{operation}/{arrival}")  # noqa: S311 - a draw, not a secret
        return chance.choice(WRONG) if chance.random() < self.rate else Fault.NONE


def plan_of(text: str) -> Plan:
    """`lost`, or `drawn:SEED:RATE`: how a plan travels to the upstream's process."""
    kind, *rest = text.split(":")
    return Drawn(int(rest[0]), float(rest[1])) if kind == "drawn" else LostReply()
