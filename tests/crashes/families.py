"""Which workloads are enumerated, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.crashes.cases import Case
from tests.crashes.plans import DOCUMENTS
from tests.crashes.workloads import KINDS, pairs, singles, triples

FAMILIES: Final = ("one", "away", "start", "slow", "face", "two", "three", "plan")
"""One action; the same without an agent that asks again; the guard's start; heartbeats; MCP over stdio; two; three;
plans, with such an agent, without, and with two guards that go on at once."""

_FACELESS: Final = frozenset({"approved"})
"""Kinds in which a person has a part, whom a client's line does not reach."""


def workloads(family: str) -> Iterator[Case]:
    """The undisturbed cases of a family; each is enumerated over its boundaries."""
    match family:
        case "one":
            yield from (Case(workload=one) for one in singles())
        case "away":
            yield from (Case(workload=one, away=True) for one in singles())
        case "start":
            yield Case(workload=("set",), cold=True)
        case "slow":
            yield from (Case(workload=(one,), slow=True) for one in ("set", "note", "charge", "pay", "delete", "undo"))
        case "face":
            yield from (Case(workload=(one,), face=True) for one in KINDS if one not in _FACELESS)
        case "two":
            yield from (Case(workload=one) for one in pairs())
        case "three":
            yield from (Case(workload=one) for one in triples())
        case "plan":
            yield from (Case(workload=(one,), away=away) for one in DOCUMENTS for away in (False, True))
            yield from (Case(workload=(one,), away=True, rivals=True) for one in ("plan", "plan-back"))
        case _:
            raise ValueError(f"there is no family {family!r}")
