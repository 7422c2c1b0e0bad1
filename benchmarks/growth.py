"""`python -m benchmarks.growth`: a ledger of a million actions beside one of a thousand, asked the same in one run.

The question is whether what a guard asks of its ledger gets slower with what is in it. Both ledgers are filled in bulk
with settled actions of many runs, and some hundred that wait for a person; then each question is asked of one and the
other in turn, and the ratio of the medians is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.postgresql import postgresql
from takeback.core.action import Action, Event, Target, begin, evolve
from takeback.core.canonical import canonical, digest
from takeback.core.queue import RecoveryItem
from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Does, Effect, Risk, Verified
from takeback.ledger import SqlLedger, open_ledger, rows, schema
from takeback.ledger.images import packed
from takeback.ports import Approach, Change, HistoryQuery

SIZES: Final = (1_000, 1_024_000)
QUICK: Final = (1_000, 32_000)
A_RUN: Final = 50
"""Actions in one run."""
WAITING: Final = 100
"""Open entries of the recovery queue, in each ledger."""
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
FIRST: Final = 1_000
COPIED: Final = {
    "actions": ("id", "run", "operation", "key", "searchable"),
    "events": ("action",),
    "action_targets": ("action", "lease_name", "id"),
}
"""The tables that are doubled, and what must be told apart in them."""

AROUND: Final = (
    (
        "INSERT INTO runs (tenant, id, principal, client, opened_at, active_at, status) "
        "SELECT tenant, run, 'agent', '', min(created_at), max(updated_at), 'open' FROM actions GROUP BY tenant, run"
    ),
    (
        "INSERT INTO recovery_items (tenant, id, run, action, risk, why, opened_at, closed_at, closed_by, decision) "
        "SELECT tenant, 'q' || id, run, id, 'low', 'in doubt', created_at, updated_at, 'ann', 'close' FROM actions "
        "WHERE ord % 50 = 0"
    ),
    (
        "INSERT INTO approvals (tenant, id, run, action, digest, requested_at, expires_at, status, "
        "decided_at, decided_by) SELECT tenant, 'p' || id, run, id, key, created_at, updated_at, 'consumed', "
        "updated_at, 'ann' FROM actions WHERE ord % 20 = 0"
    ),
    (
        "INSERT INTO tombstones (tenant, action, run, operation, generation, key, principal, status, events, ended_at, "
        "pruned_at) SELECT tenant, 'z' || id, 'z' || run, 'z' || operation, 0, 'z' || key, principal, 'succeeded', 2, "
        "updated_at, updated_at FROM actions"
    ),
)
"""What lies around the actions: their runs, what was decided of some, and as many that were pruned before."""

_numbers = itertools.count()


def action(number: int, status: Happening = Happening.SUCCEED) -> tuple[list[Event], Action]:
    """A settled action like those of a guard, with its two events; everything that must be unique is."""
    at = START + timedelta(seconds=number)
    operation = digest(["operation", number])
    changes: dict[str, Any] = {
        "tenant": "acme", "run": f"r{number // A_RUN}", "principal": "agent", "upstream": "desk", "tool": "set",
        "arguments": {"id": f"T-{number % 5_000}", "priority": "high", "note": f"number {number}"},
        "targets": (Target(type="ticket", id=f"T-{number % 5_000}", label=f"Ticket {number % 5_000}"),),
        "operation": operation, "generation": 0, "key": digest([1, operation, 0]), "fingerprint": digest(number),
        "action_class": ActionClass.INTERNAL_UPDATE, "effect": Effect.SET, "does": Does.UPDATE, "risk": Risk.LOW,
        "rule": "set", "policy_digest": digest("policy"), "before": digest(["image", number % 997]), "sent_at": at,
        "fields": ("priority",),
    }  # fmt: skip
    first = Event(f"a{number}", 1, Happening.CLAIM, at, "guard for agent", changes, "rule set")
    begun = begin(first)
    ends: dict[str, Any] = {
        "in_force": True, "verified": Verified.YES, "changed": ("priority",), "settled_at": at,
    }  # fmt: skip
    last = Event(begun.id, 2, status, at, "guard", ends if status is Happening.SUCCEED else {}, "read back")
    return [first, last], evolve(begun, last)


async def fill(url: str, size: int) -> None:
    """Put so many actions into a ledger whose tables are there: the first thousand one by one, the rest by doubling."""
    engine = create_async_engine(url)
    pictures = [packed(digest(["image", n]), canonical({"n": n, "text": "x" * 300})) for n in range(997)]
    found = [action(number) for number in range(min(size, FIRST))]
    async with engine.begin() as connection:
        await connection.execute(insert(schema.images), pictures)
        await connection.execute(insert(schema.actions), [rows.action_row(one) for _, one in found])
        told = [rows.event_row(event) for events, _ in found for event in events]
        await connection.execute(insert(schema.events), told)
        await connection.execute(
            insert(schema.action_targets), [row for _, one in found for row in rows.target_rows(one)]
        )
    for at in range(doublings(size)):
        async with engine.begin() as connection:
            for table, renamed in COPIED.items():
                await connection.execute(text(_copy(table, renamed, f".{at}")))
    async with engine.begin() as connection:
        for statement in AROUND:
            await connection.execute(text(statement))
        await connection.execute(text("ANALYZE"))
    await engine.dispose()


def doublings(size: int) -> int:
    """How often the first thousand are doubled."""
    return max(size // FIRST, 1).bit_length() - 1


def _copy(table: str, renamed: tuple[str, ...], suffix: str) -> str:
    """Every row of a table once more, under other names."""
    columns = [column.name for column in schema.metadata.tables[table].columns if column.name != "ord"]
    values = [f"{name} || '{suffix}'" if name in renamed else f'"{name}"' for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table}"  # noqa: S608 - names of our own


def known(size: int) -> str:
    """The suffix of some copy of the first thousand: another one each time."""
    chosen = next(_numbers) * 7919
    return "".join(f".{at}" for at in range(doublings(size)) if chosen >> at & 1)


async def queue(ledger: SqlLedger, size: int) -> None:
    """Some actions that wait for a person."""
    for number in range(size, size + WAITING):
        (first, lost), doubtful = action(number, Happening.LOSE)
        item = RecoveryItem(
            id=f"q{number}",
            tenant="acme",
            run=doubtful.run,
            action=doubtful.id,
            risk=Risk.LOW,
            why="in doubt",
            opened_at=first.at,
        )
        await ledger.commit(Change(actions=((first, begin(first)), (lost, doubtful)), queue=(item,), tenant="acme"))


Ask = Callable[[SqlLedger, int], Awaitable[Any]]


async def _claim(ledger: SqlLedger, _size: int) -> None:
    """What a write asks: leases and a look, the claim, the outcome."""
    number = 10_000_000 + next(_numbers)
    (first, last), done = action(number)
    standing = await ledger.approach(
        Approach(
            tenant="acme",
            run=done.run,
            operation=done.operation,
            holder=f"h{number}",
            lease_names=(f"acme/ticket:T-{number % 5_000}",),
            lease_for=timedelta(seconds=20),
            now=datetime.now(UTC),
        )
    )
    assert standing.leases
    begun = begin(first)
    await ledger.commit(Change(actions=((first, begun),), tenant="acme", leases=standing.leases))
    await ledger.commit(Change(actions=((last, done),), tenant="acme", leases=standing.leases, release=standing.leases))


async def _look(ledger: SqlLedger, size: int) -> None:
    one = action(next(_numbers) % FIRST)[1]
    found = await ledger.approach(
        Approach(
            tenant="acme",
            run=one.run,
            operation=one.operation + known(size),
            holder="h",
            lease_names=(),
            lease_for=timedelta(seconds=20),
            now=datetime.now(UTC),
        )
    )
    assert found.earlier is not None


async def _history(ledger: SqlLedger, _size: int) -> None:
    assert len((await ledger.history(HistoryQuery(tenant="acme"))).actions) > 1


async def _run(ledger: SqlLedger, size: int) -> None:
    run = f"r{next(_numbers) % (FIRST // A_RUN)}{known(size)}"
    assert (await ledger.history(HistoryQuery(tenant="acme", run=run))).actions


async def _needing(ledger: SqlLedger, _size: int) -> None:
    assert (await ledger.history(HistoryQuery(tenant="acme", needs_attention=True))).actions


async def _queue(ledger: SqlLedger, _size: int) -> None:
    assert len(await ledger.queue("acme")) >= WAITING


async def _unattended(ledger: SqlLedger, _size: int) -> None:
    assert await ledger.unattended("acme", datetime.now(UTC))


async def _one(ledger: SqlLedger, size: int) -> None:
    name = f"a{next(_numbers) % FIRST}{known(size)}"
    assert len(await ledger.events("acme", name)) == 2  # noqa: PLR2004 - claimed, and succeeded


QUESTIONS: Final[dict[str, Ask]] = {
    "a write: look, claim, outcome": _claim,
    "look an operation up": _look,
    "history, a page": _history,
    "history of a run": _run,
    "what needs attention": _needing,
    "recovery queue": _queue,
    "what was left behind": _unattended,
    "one action's events": _one,
}


async def measured(urls: list[str], sizes: tuple[int, ...], rounds: int) -> dict[str, list[float]]:
    """The median of each question in seconds, for each size; the sizes take turns."""
    async with AsyncExitStack() as stack:
        ledgers = []
        for url, size in zip(urls, sizes, strict=True):
            ledger = await open_ledger(url)
            stack.push_async_callback(ledger.close)
            await queue(ledger, size)
            ledgers.append(ledger)
        found: dict[str, list[float]] = {}
        for name, ask in QUESTIONS.items():
            times: list[list[float]] = [[] for _ in sizes]
            for turn in range(rounds + 5):
                for at, (ledger, size) in enumerate(zip(ledgers, sizes, strict=True)):
                    began = time.perf_counter()
                    await ask(ledger, size)
                    if turn >= 5:  # noqa: PLR2004 - the first few warm it up
                        times[at].append(time.perf_counter() - began)
            found[name] = [statistics.median(one) for one in times]
        return found


async def prepared(url: str, size: int) -> float:
    """A ledger with so many actions; returns how long that took."""
    await (await open_ledger(url)).close()
    began = time.perf_counter()
    await fill(url, size)
    return time.perf_counter() - began


def addresses(stack: ExitStack, folder: Path, number: int, *, server: bool) -> list[str]:
    """Addresses of empty databases."""
    if server:
        fresh = stack.enter_context(postgresql(folder))
        return [fresh() for _ in range(number)]
    return [f"sqlite+aiosqlite:///{folder}/growth-{at}.db" for at in range(number)]


def lines(found: dict[str, list[float]]) -> Iterator[tuple[str, ...]]:
    """Rows of the table: milliseconds for each size, and the ratio."""
    for name, medians in found.items():
        yield (name, *(f"{one * 1000:.2f}" for one in medians), f"{medians[-1] / medians[0]:.2f}")


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="Ledgers of two sizes.")
    parser.add_argument("--quick", action="store_true", help="32,000 actions instead of a million: a look")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    parser.add_argument("--rounds", type=int, default=50, help="how often each question is asked")
    options = parser.parse_args()
    sizes = QUICK if options.quick else SIZES
    console = Console(width=120)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = addresses(stack, folder, len(sizes), server=options.postgresql)
        for url, size in zip(urls, sizes, strict=True):
            console.print(f"{size:,} actions: filled in {asyncio.run(prepared(url, size)):.0f} s")
        found = asyncio.run(measured(urls, sizes, options.rounds))
    table = Table("question", *(f"{size:,}, ms" for size in sizes), "ratio")
    for line in lines(found):
        table.add_row(*line)
    console.print(table)


if __name__ == "__main__":
    main()
