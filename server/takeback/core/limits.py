"""Limits: bounds on what one run, and one principal in a day, may do; and loops without progress."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from takeback.core.policy.schema import Limits
from takeback.core.vocabulary import Does

_RUNS: Final = 64
_CALLS: Final = 4
_DAILY: Final = re.compile(r"principal:.*:(\d{4}-[01]\d-[0-3]\d):(?:writes|deletes)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that a call would exceed."""

    limit: str
    allowed: int
    counter: str


def counters_for(
    limits: Limits, *, run: str, principal: str, tool: str, does: Does, at: datetime
) -> dict[str, tuple[str, int]]:
    """The counters that a write adds one to: counter name -> (limit, allowed)."""
    day = at.date().isoformat()
    found: dict[str, tuple[str, int | None]] = {
        f"run:{run}:writes": ("writes_per_run", limits.writes_per_run),
        f"run:{run}:tool:{tool}": ("calls_per_tool", limits.calls_per_tool),
        f"principal:{principal}:{day}:writes": ("writes_per_principal", limits.writes_per_principal),
    }
    if does is Does.DELETE:
        found[f"run:{run}:deletes"] = ("deletes_per_run", limits.deletes_per_run)
        found[f"principal:{principal}:{day}:deletes"] = ("deletes_per_principal", limits.deletes_per_principal)
    return {name: (limit, allowed) for name, (limit, allowed) in found.items() if allowed is not None}


def counters_of_run(run: str, tools: Iterable[str]) -> list[str]:
    """The names of the counters that belong to a run which wrote with these tools."""
    return [f"run:{run}:writes", f"run:{run}:deletes", *(f"run:{run}:tool:{tool}" for tool in sorted(tools))]


def is_over(counter: str, today: date) -> bool:
    """Whether a counter belongs to a day that is over, everywhere on earth."""
    daily = _DAILY.fullmatch(counter)
    return daily is not None and date.fromisoformat(daily[1]) < today - timedelta(days=1)


def exceeded(wanted: Mapping[str, tuple[str, int]], counts: Mapping[str, int]) -> Exceeded | None:
    """The first limit that one more call would exceed."""
    for counter, (limit, allowed) in wanted.items():
        if counts.get(counter, 0) >= allowed:
            return Exceeded(limit, allowed, counter)
    return None


@dataclass(slots=True)
class LoopWatch:
    """Counts equal calls in a row that made no progress, for each run.

    A call is equal when tool and arguments are, and no progress was made when its outcome equals the last one's. A few
    other calls in between do not hide a loop (a, b, a, b); more than four different ones do end it. A write that took
    effect is progress for everything in its run. Bounded: runs beyond the newest 64 are forgotten.
    """

    _last: OrderedDict[str, dict[str, tuple[str, int]]] = field(default_factory=OrderedDict)

    def count(self, run: str, call: str) -> int:
        """How many times in a row this call came without progress, up to now."""
        return self._last.get(run, {}).get(call, ("", 0))[1]

    def saw(self, run: str, call: str, outcome: str) -> None:
        """Remember the outcome of a call. Another outcome than the last time starts the count anew."""
        calls = self._last.setdefault(run, {})
        last, count = calls.pop(call, ("", 0))
        calls[call] = (outcome, count + 1 if outcome == last else 1)
        while len(calls) > _CALLS:
            del calls[next(iter(calls))]
        self._last.move_to_end(run)
        while len(self._last) > _RUNS:
            self._last.popitem(last=False)

    def progress(self, run: str) -> None:
        """A write of the run took effect: what was read before may be different now."""
        self._last.pop(run, None)
