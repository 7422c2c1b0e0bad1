"""`python -m benchmarks.undo`: a run of 10, 100, 1,000 and 10,000 actions on the help desk, taken back.

The question is whether time and memory for each action grow with their number. The desk is a real server on stdio, the
ledger a file; the guard runs in this process, so that its memory can be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from takeback.bootstrap import Guard, read_policy, running
from takeback.core.jsontext import dumps
from takeback.core.policy.load import Policy
from takeback.core.results import record
from takeback.guard.calling import CallRequest
from takeback.ports import Caller

ROOT: Final = Path(__file__).parents[1]
SIZES: Final = (10, 100, 1_000, 10_000)
QUICK: Final = (10, 100)
A_PIECE: Final = 5
"""Actions on one ticket: it is created, changed three times, and commented on."""

OWN: Final = """
extends = {rules}

[defaults]
tenant = "acme"
limits = {{ writes_per_run = 1000000, deletes_per_run = 1000000 }}

[upstream.desk]
command = {python}
args = [{server}, "--db", {database}]
lands_within = "5s"
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one size came to: seconds for each action, and the growth of the guard's memory, in bytes for each."""

    size: int
    written: float
    previewed: float
    undone: float
    memory: float
    said: str
    exact: bool


async def measured(size: int, folder: Path) -> Sample:
    """Make a run of `size` changes and take it back."""
    database = folder / f"desk-{size}.db"
    async with running(_policy(folder, size, database), one_must_start=True) as guard:
        caller = Caller(tenant="acme", principal="bench", run=f"run-{size}")
        before = _state(database)
        began = time.perf_counter()
        for number in range(size // A_PIECE):
            await _piece(guard, caller, number)
        written = (time.perf_counter() - began) / size
        began = time.perf_counter()
        preview = await guard.use_cases.undo(caller, what="run", reason="a benchmark", confirm=None)
        previewed = (time.perf_counter() - began) / size
        gc.collect()
        memory = _peak()
        began = time.perf_counter()
        answer = await guard.use_cases.undo(caller, what="run", reason="a benchmark", confirm=preview.confirm)
        undone = (time.perf_counter() - began) / size
        grown = (_peak() - memory) / size
    same = _state(database) == before
    return Sample(size, written, previewed, undone, grown, answer.text.splitlines()[0], same and answer.ok)


async def _piece(guard: Guard, caller: Caller, number: int) -> None:
    """One ticket's worth of work."""
    made = await _done(guard, caller, "create_ticket", tenant="acme", subject=f"Number {number}")
    ticket = made["ticket_id"]
    for priority in ("high", "low", "urgent"):
        await _done(guard, caller, "update_ticket", ticket_id=ticket, priority=priority)
    await _done(guard, caller, "add_comment", ticket_id=ticket, body=f"Looked at number {number}")


async def _done(guard: Guard, caller: Caller, tool: str, **arguments: Any) -> Any:
    reply = await guard.use_cases.call(CallRequest(caller=caller, name=tool, arguments=arguments))
    if reply.action is None or reply.action.status.value != "succeeded":
        raise SystemExit(f"{tool} {arguments} was not done: {reply}")
    return record(reply.result or {})


def _policy(folder: Path, size: int, database: Path) -> Policy:
    server = ROOT / "examples" / "helpdesk" / "mcp_server.py"
    names = {"rules": ROOT / "policy.toml", "python": sys.executable, "server": server, "database": database}
    text = OWN.format(**{name: dumps(str(value)).decode() for name, value in names.items()})
    path = folder / f"policy-{size}.toml"
    path.write_text(text + f'\n[ledger]\nurl = "sqlite+aiosqlite:///{folder}/ledger-{size}.db"\n')
    return read_policy(path, os.environ)


def _peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _state(database: Path) -> list[tuple[Any, ...]]:
    """The tickets and comments as the desk's own tables have them, without what changes by itself."""
    with closing(sqlite3.connect(database)) as connection:
        tickets = connection.execute("SELECT ticket_id, subject, priority, status FROM tickets ORDER BY ticket_id")
        comments = connection.execute("SELECT comment_id, body FROM comments ORDER BY comment_id")
        return [*tickets.fetchall(), *comments.fetchall()]


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.undo", description="Undo of whole runs.")
    parser.add_argument("--quick", action="store_true", help="only small runs: a look, not a measurement")
    options = parser.parse_args()
    table = Table("actions", "write, ms each", "preview, ms each", "undo, ms each", "memory, KiB each", "exact")
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        for size in QUICK if options.quick else SIZES:
            sample = asyncio.run(measured(size, Path(folder)))
            samples.append(sample)
            table.add_row(
                f"{size:,}",
                f"{sample.written * 1000:.1f}",
                f"{sample.previewed * 1000:.2f}",
                f"{sample.undone * 1000:.1f}",
                f"{sample.memory / 1024:.1f}",
                "yes" if sample.exact else f"NO: {sample.said}",
            )
    console = Console(width=120)
    console.print(table)
    first, last = samples[-2], samples[-1]
    console.print(f"undo, each, {last.size:,} to {first.size:,}: time x{last.undone / first.undone:.2f}")


if __name__ == "__main__":
    main()
