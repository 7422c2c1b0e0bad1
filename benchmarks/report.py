"""The report: tables for people, and the same as JSON."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Aim, Spread, added, aims, beside_direct, kept, over, spread
from benchmarks.rounds import Cell, Plan, Round, cells
from benchmarks.subjects import Subject, Transport

_MIB: Final = 1024 * 1024
_PERCENT: Final = 100
_COLUMNS: Final = ("p50 ms", "p95 ms", "calls/s", "p50 to direct, ms", "calls/s to direct", "CPU ms a call")


def show(console: Console, plan: Plan, rounds: Sequence[Round]) -> None:
    """All tables. In parentheses: the least and the most of the rounds."""
    length = f"{plan.rounds} round(s), {plan.seconds} s for each figure"
    console.print(f"Upstream: {plan.upstream}; {length}. Medians of the rounds, and (least - most).")
    for transport in plan.transports:
        console.print(_calls(plan, rounds, transport))
    console.print(_memory(plan, rounds))
    console.print(_disk(plan, rounds))
    console.print(_aims(aims(rounds, plan.transports)))


def _calls(plan: Plan, rounds: Sequence[Round], transport: Transport) -> Table:
    table = Table("", "", *_COLUMNS, title=f"Calls over {transport}")
    for column in table.columns[2:]:
        column.justify = "right"
    for cell in cells(transport):
        name = f"{cell.operation}, {cell.in_flight} in flight"
        for subject in plan.subjects(transport):
            table.add_row(name, subject, *_row(rounds, cell, subject))
            name = ""
        table.add_section()
    return table


def _row(rounds: Sequence[Round], cell: Cell, subject: Subject) -> list[str]:
    # The spread goes under the figure: beside it, the table would not fit a terminal.
    said = partial(_said, between="\n")
    own = partial(over, rounds, cell, subject)
    beside = ["", ""]
    if subject is not Subject.DIRECT:
        beside = [
            said(beside_direct(rounds, cell, subject, added), 2, sign="+"),
            said(beside_direct(rounds, cell, subject, kept), 0, unit="%"),
        ]
    return [
        said(own(lambda sample: sample.p50), 2),
        said(own(lambda sample: sample.p95), 2),
        said(own(lambda sample: sample.per_second), 0),
        *beside,
        said(own(lambda sample: sample.processor), 2),
    ]


def _memory(plan: Plan, rounds: Sequence[Round]) -> Table:
    table = Table("", *plan.transports, title="Peak resident memory of the measured process, MiB")
    for subject in Subject:
        row = [_memory_of(rounds, transport, subject) for transport in plan.transports]
        if any(row):
            table.add_row(subject, *row)
    return table


def _memory_of(rounds: Sequence[Round], transport: Transport, subject: Subject) -> str:
    known = [each.memory[transport, subject] / _MIB for each in rounds if (transport, subject) in each.memory]
    return _said(spread(known), 0) if known else ""


def _disk(plan: Plan, rounds: Sequence[Round]) -> Table:
    """Writes beside the disk: with a sync shared by many, there are more writes than syncs."""
    table = Table("", "a second", title="Durable writes beside the disk")
    disks = [each.disk for each in rounds if each.disk is not None]
    table.add_row("the disk, one sync after the other", _said(spread(each.per_second for each in disks), 0))
    for transport in plan.transports:
        many = cells(transport)[-1]
        for subject in plan.subjects(transport):
            if subject.guards:
                rate = over(rounds, many, subject, lambda sample: sample.per_second)
                table.add_row(f"{subject}, {transport}, {many.in_flight} writes in flight", _said(rate, 0))
    return table


def _aims(found: Sequence[Aim]) -> Table:
    table = Table("", "aim", "found", "", title="Aims")
    for aim in found:
        found_now = _said(aim.found, 2 if aim.unit == "ms" else 0, unit=aim.unit)
        table.add_row(aim.name, aim.wanted, found_now, "met" if aim.met else "missed")
    return table


def _said(value: Spread, digits: int, *, unit: str = "", sign: str = "", between: str = " ") -> str:
    factor = _PERCENT if unit == "%" else 1
    median, least, most = (f"{each * factor:{sign}.{digits}f}" for each in (value.median, value.least, value.most))
    return f"{median}{' ms' if unit == 'ms' else unit}" + (f"{between}({least} - {most})" if least != most else "")


def as_json(plan: Plan, rounds: Sequence[Round]) -> dict[str, Any]:
    """Every sample of every round, what was concluded, and on what machine."""
    return {
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "load": os.getloadavg(),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: version(name) for name in ("takeback", "mcp")},
        },
        "seconds": plan.seconds,
        "upstream": plan.upstream,
        "rounds": [_round(each) for each in rounds],
        "aims": [asdict(aim) for aim in aims(rounds, plan.transports)],
    }


def _round(each: Round) -> dict[str, Any]:
    return {
        "samples": [{**asdict(cell), "subject": subject, **asdict(s)} for (cell, subject), s in each.samples.items()],
        "memory": [{"transport": t, "subject": subject, "bytes": b} for (t, subject), b in each.memory.items()],
        "disk": asdict(each.disk) if each.disk is not None else None,
    }
