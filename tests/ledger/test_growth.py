"""What the ledger is asked costs no more when there is more in it: counted in the databases' own steps, not in time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import Engine, event, make_url

from benchmarks import growth
from takeback.core.action import begin
from takeback.core.run import Run
from takeback.core.states import Happening
from takeback.core.vocabulary import Status
from takeback.ledger import SqlLedger, open_ledger
from takeback.ports import Approach, Change, HistoryQuery

from .raw import make_tables

SMALL, LARGE = 1_000, 16_000
MOST_MORE: Final = 3
"""Times as many steps as in the small ledger, at the most; one that looks at all of it makes 16 times as many."""

FREE: Final = 500
"""Steps that nobody counts: plans differ a little."""

_TOUCHED: Final = ("Actual Rows", *(f"Rows Removed by {why}" for why in ("Filter", "Join Filter", "Index Recheck")))

Sent = tuple[str, Any]


@contextmanager
def sent() -> Iterator[list[Sent]]:
    """What goes to the database meanwhile, but for plain inserts."""
    found: list[Sent] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, _x: object, many: bool) -> None:
        if statement.split(None, 1)[0] in {"SELECT", "UPDATE", "DELETE", "WITH"}:
            found.extend((statement, one) for one in (parameters if many else [parameters]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def steps(url: str, statements: list[Sent]) -> int:
    """How much work these are, each by itself: instructions, or rows that were touched. Nothing of it stays."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        return _instructions(str(address.database), statements)
    connection = await asyncpg.connect(
        host=address.query["host"], user=address.username, database=address.database, timeout=10
    )
    try:
        total = 0
        for statement, parameters in statements:
            transaction = connection.transaction()
            await transaction.start()
            told = await connection.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *parameters)
            await transaction.rollback()
            total += _rows(json.loads(told)[0]["Plan"])
        return total
    finally:
        await connection.close()


def _instructions(path: str, statements: list[Sent]) -> int:
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    with closing(sqlite3.connect(path)) as file:
        for statement, parameters in statements:
            file.set_progress_handler(tick, 1)
            file.execute(statement, parameters).fetchall()
            file.set_progress_handler(None, 0)
            file.rollback()
    return count


def _rows(plan: dict[str, Any]) -> int:
    own = sum(plan.get(name, 0) for name in _TOUCHED)
    return int(own * plan.get("Actual Loops", 1)) + sum(_rows(below) for below in plan.get("Plans", ()))


Ask = Callable[[SqlLedger], Awaitable[Any]]
ONE: Final = growth.action(500)[1]
RUN: Final = Run(id=ONE.run, tenant="acme", principal="agent", opened_at=ONE.created_at, active_at=ONE.created_at)


def asked(**query: Any) -> Ask:
    return lambda ledger: ledger.history(HistoryQuery(tenant="acme", **query))


async def _approach(ledger: SqlLedger) -> None:
    names = ("acme/ticket:T-501",)
    at = datetime.now(UTC)
    found = await ledger.approach(
        Approach(
            tenant="acme",
            run=ONE.run,
            operation=ONE.operation,
            holder="h",
            lease_names=names,
            lease_for=timedelta(seconds=9),
            now=at,
            client_key="k",
            counters=("writes",),
        )
    )
    assert found.earlier is not None
    await ledger.release(found.leases)


async def _write(ledger: SqlLedger) -> None:
    """A claim and its outcome."""
    (first, last), done = growth.action(9_999_999, Happening.SUCCEED)
    await ledger.commit(Change(actions=((first, begin(first)),), counters={"writes": 1}, tenant="acme"))
    await ledger.commit(Change(actions=((last, done),), tenant="acme"))


QUESTIONS: Final[dict[str, Ask]] = {
    "approach": _approach,
    "claim and outcome": _write,
    "history": asked(),
    "history of a run": asked(run=ONE.run),
    "history of a run, of a status": asked(run=ONE.run, statuses=(Status.FAILED,)),
    "history of a target": asked(target="T-501"),
    "history of no target": asked(target="none"),
    "what needs attention": asked(needs_attention=True),
    "what needs attention in a run": asked(run=ONE.run, needs_attention=True),
    "the queue": lambda ledger: ledger.queue("acme"),
    "approvals that wait": lambda ledger: ledger.approvals("acme"),
    "what was left behind": lambda ledger: ledger.unattended("acme", datetime.now(UTC)),
    "what did not verify": lambda ledger: ledger.unverified("acme"),
    "runs": lambda ledger: ledger.runs("acme"),
    "where a run stands": lambda ledger: ledger.facts_of_runs((RUN,)),
    "one action": lambda ledger: ledger.action("acme", ONE.id),
    "its events": lambda ledger: ledger.events("acme", ONE.id),
    "later writes": lambda ledger: ledger.later_writes(ONE),
    "earlier writes": lambda ledger: ledger.earlier_writes(ONE),
    "the newest write": lambda ledger: ledger.newest_write(ONE),
    "deletions taken back": lambda ledger: ledger.deletions_taken_back(ONE),
    "what its run did after it": lambda ledger: ledger.standing_after(ONE),
    "who created": lambda ledger: ledger.creations("acme", "ticket", ["T-501"]),
    "the successor": lambda ledger: ledger.successor("acme", ONE.id),
    "what took it back": lambda ledger: ledger.compensations("acme", ONE.id),
}


async def test_no_question_costs_more_in_a_larger_ledger(fresh_url: Callable[[], Awaitable[str]]) -> None:
    found: list[dict[str, int]] = []
    for size in (SMALL, LARGE):
        url = await fresh_url()
        await make_tables(url)
        await growth.fill(url, size)
        ledger = await open_ledger(url)
        try:
            found.append({name: await _cost(url, ledger, ask) for name, ask in QUESTIONS.items()})
        finally:
            await ledger.close()
    small, large = found
    grown = {name: (small[name], large[name]) for name in small if large[name] > MOST_MORE * small[name] + FREE}
    assert grown == {}
    assert sum(large.values())


async def _cost(url: str, ledger: SqlLedger, ask: Ask) -> int:
    with sent() as statements:
        await ask(ledger)
    assert statements
    return await steps(url, statements)


@pytest.mark.parametrize("statement", ["SELECT count(*) FROM actions WHERE status = 'denied'"])
async def test_a_look_at_everything_is_noticed(fresh_url: Callable[[], Awaitable[str]], statement: str) -> None:
    """The control: what walks through all of them does cost more."""
    costs = []
    for size in (SMALL, LARGE):
        url = await fresh_url()
        await make_tables(url)
        await growth.fill(url, size)
        costs.append(await steps(url, [(statement, ())]))
    assert costs[1] > MOST_MORE * costs[0] + FREE
