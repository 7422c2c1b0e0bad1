"""Tells the fault matrix: the published page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.matrix.expected import LIMITS, Cell, limit_of
from tests.matrix.policies import KIND_NAMES, KINDS, RULE_NAMES, RULES, Kind

PAGE: Final = Path(__file__).parents[2] / "docs" / "faults.md"

_HEAD: Final = """\
# When something goes wrong

`make fault-matrix` plays every cell of these tables and writes this page; the same cells are tests (`tests/matrix`),
which fail when one of them comes to something else. The upstreams are real processes, and what goes wrong is done to
the bytes between them and the guard ([`takeback.faults`](../server/takeback/faults)), to the ledger's disk or
database, to the clock, or to the guard's process.

In each cell an agent makes a write, the fault befalls it, and the agent makes the same call again. A cell says:

- how many effects the upstream counts in the end (writing the value that is there is none);
- the action's state in the ledger, where it is not `succeeded`;
- what the agent was told at first → on its retry: **done** (now, or found to be done), **already** (done before;
  nothing more is needed), **nothing** (not executed), **failed** (the tool says so, and its word is passed on),
  **unknown** (in the recovery queue, in doubt, or still to be taken up; do not call again). Where a guard stalls, it
  is what the one that took over says.

Four kinds of rule: `set` with a `read`; `once` with a `probe`; `once` with nothing that settles it; `once` with an
idempotency key that the upstream honours.

What holds in every cell, apart from those with a number: at most one effect; what the agent was told is true;
*unknown* is said only of what the ledger holds for open; the next call, of something else, works; every answer comes
within a bound.
"""

_NO_CELL: Final = {
    "503": "there is no status on stdio",
    "the ledger": "the same on every upstream: played on the HTTP API",
}


def page(found: Mapping[Cell, str]) -> str:
    """The whole page, for what came of each cell."""
    return "\n".join([_HEAD, *(line for kind in KINDS for line in _table(kind, found)), *_notes()]) + "\n"


def _table(kind: Kind, found: Mapping[Cell, str]) -> Iterator[str]:
    yield f"## {KIND_NAMES[kind]}\n"
    yield "| what goes wrong | " + " | ".join(RULE_NAMES[rule] for rule in RULES) + " |"
    yield "|---" * (len(RULES) + 1) + "|"
    for row in dict.fromkeys(cell.row for cell in found):
        cells = [Cell(row, kind, rule) for rule in RULES]
        if cells[0] in found:
            yield f"| {row} | " + " | ".join(_square(cell, found[cell]) for cell in cells) + " |"
        else:
            why = next(why for word, why in _NO_CELL.items() if row.startswith(word))
            yield f"| {row} | {why} | | | |"
    yield ""


def _square(cell: Cell, summary: str) -> str:
    """`1: done → already`, with the state where it says more, and the number of the note."""
    counted, told = summary.split(": ")
    effects, status = counted.split(" ")
    state = "" if status == "succeeded" else f" `{status}`"
    note = f" ({_reasons().index(why) + 1})" if (why := limit_of(cell)) is not None else ""
    return f"{effects}{state}: {told.replace(', ', ' → ')}{note}"


def _reasons() -> list[str]:
    return list(dict.fromkeys(why for _, why in LIMITS.values()))


def _notes() -> Iterator[str]:
    yield "## Where it is not so\n"
    yield from (f"{number}. {why}" for number, why in enumerate(_reasons(), 1))
