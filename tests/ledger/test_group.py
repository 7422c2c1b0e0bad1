"""Commits side by side: they share a sync, a caller that goes away harms nobody, and a failing database is survived."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Transaction, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncTransaction, create_async_engine
from sqlalchemy.pool import NullPool

from takeback.core.states import Happening
from takeback.ledger import SqlLedger, engine, file_lane, writer
from takeback.ledger.file_lane import FileLane
from takeback.ledger.lane import Lane
from takeback.ports import KeyTaken, LedgerFailure, NotFound, Stale

from .conftest import Open
from .raw import sql
from .stories import NOW, after, approach, first, ids, image, sha, write


def waits(connection: Connection) -> bool:
    """Whether a commit on this connection to SQLite waits for the disk."""
    driver = connection.connection.driver_connection
    assert driver is not None
    return bool(driver.execute("PRAGMA synchronous").fetchone()[0] >= 2)


def _durable_lane(ledger: SqlLedger) -> Any:
    return ledger._writer._durable_lane._lane  # type: ignore[attr-defined]  # what is behind it notes how it fares


@pytest.fixture
def syncs(ledger: SqlLedger) -> list[str]:
    """Grows by one with every durable commit of the store: that is what waits for the disk."""
    seen: list[str] = []
    lane: Any = _durable_lane(ledger)
    if isinstance(lane, FileLane):  # both lanes have one connection, which is set to wait for the disk or not
        event.listen(lane._file._engine, "commit", lambda c: seen.extend(["commit"] if waits(c) else []))
    else:
        event.listen(lane._engine.sync_engine, "commit", lambda _: seen.append("commit"))
    return seen


async def test_many_commits_share_few_syncs(ledger: SqlLedger, syncs: list[str]) -> None:
    await asyncio.gather(*(write(ledger, first(f"a{n}")) for n in range(200)))
    assert len(syncs) == 2  # as many as there are full batches of 128
    assert len(await ids(ledger, limit=200)) == 200


async def test_a_commit_alone_is_one_sync_and_an_approach_is_none(ledger: SqlLedger, syncs: list[str]) -> None:
    standing = await ledger.approach(approach("h1", "a"))
    assert syncs == []
    await write(ledger, first("a1"), leases=standing.leases, release=standing.leases)
    assert syncs == ["commit"]


async def test_every_culprit_gets_its_own_failure_and_the_others_land(ledger: SqlLedger, syncs: list[str]) -> None:
    begun = first("standing")
    await write(ledger, begun)
    facts: dict[str, Any] = {f"a{n}": first(f"a{n}") for n in range(10)}
    facts["taken"] = first("taken", key=sha("key standing"))
    facts["twin of a3"] = first("twin", key=sha("key a3"))
    facts["forked"] = first("standing", key=sha("k"), operation=sha("o"))
    facts["next"] = after(begun, Happening.NOTE)
    results = await asyncio.gather(*(write(ledger, fact) for fact in facts.values()), return_exceptions=True)
    failed = {name: type(result) for name, result in zip(facts, results, strict=True) if result is not None}
    assert failed == {"taken": KeyTaken, "twin of a3": KeyTaken, "forked": Stale}
    assert len(syncs) == 2
    assert len(await ids(ledger, limit=200)) == 11
    assert [fact.seq for fact in await ledger.events("acme", "standing")] == [1, 2]


async def test_who_lost_a_key_finds_the_winner(ledger: SqlLedger, other: SqlLedger) -> None:
    won = first("a1", client_key="mine")
    await write(other, won)
    with pytest.raises(KeyTaken, match="join"):
        await write(ledger, first("a2", key=won[1].key, operation=won[1].operation))
    standing = await ledger.approach(approach("h1", operation=won[1].operation, client_key="mine", principal="ann"))
    assert standing.earlier == standing.by_client_key == won[1]


class Gate:
    """Holds the durable lane up just before it begins a batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self.lane: Any = None
        for kind in (Lane, FileLane):
            monkeypatch.setattr(kind, "run", self._held(kind.run))

    def _held(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        async def held(lane: Any, work: Callable[[Connection], Any]) -> Any:
            if lane is self.lane:
                self.reached.set()
                await self.open.wait()
            return await plain(lane, work)

        return held

    def at(self, ledger: SqlLedger) -> Gate:
        self.lane = _durable_lane(ledger)
        return self


async def test_cancelled_waiters_change_nothing_for_anybody(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch).at(ledger)
    never = asyncio.create_task(write(ledger, first("never")))
    never.cancel()  # before it ran: nothing was queued
    taken = [asyncio.create_task(write(ledger, first(f"taken{n}"))) for n in range(6)]
    async with asyncio.timeout(10):
        await gate.reached.wait()
    queued = [asyncio.create_task(write(ledger, first(f"queued{n}"))) for n in range(6)]
    await asyncio.sleep(0)
    for task in [*taken[::2], *queued[::2]]:
        task.cancel()
    gate.open.set()
    async with asyncio.timeout(10):
        results = await asyncio.gather(never, *taken, *queued, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, *[asyncio.CancelledError, type(None)] * 6]
    await write(ledger, first("after"))
    landed = set(await ids(ledger, limit=50))
    assert landed == {"after"} | {f"{word}{n}" for word in ("taken", "queued") for n in range(6)}


async def test_a_full_queue_refuses_at_once(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_LONGEST_QUEUE", 3)
    results = await asyncio.gather(*(write(ledger, first(f"a{n}")) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] * 3 + [LedgerFailure] * 2
    assert sorted(await ids(ledger)) == ["a0", "a1", "a2"]


async def test_a_database_that_is_held_by_somebody_is_not_waited_for_for_ever(
    url: str, opened: Open, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MS", 100)
    monkeypatch.setattr(engine, "STATEMENT_MS", 100)
    ledger = await opened()
    await write(ledger, first("a1"))
    holder = create_async_engine(url, poolclass=NullPool)
    async with holder.connect() as connection:
        await connection.exec_driver_sql("BEGIN IMMEDIATE" if backend == "sqlite" else "LOCK TABLE actions")
        async with asyncio.timeout(20):
            with pytest.raises(LedgerFailure, match="database"):
                await write(ledger, first("a2"))
        await connection.rollback()
    await holder.dispose()
    await write(ledger, first("a3"))
    assert await ids(ledger) == ["a3", "a1"]


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_connections_that_the_server_closed_are_opened_again(ledger: SqlLedger, url: str) -> None:
    standing = await ledger.approach(approach("h1", "a"))
    await write(ledger, first("a1"))
    await ledger.action("acme", "a1")
    others = "WHERE usename = current_user AND pid <> pg_backend_pid()"
    gone = await sql(url, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity {others}")
    assert len(gone) >= 3
    await write(ledger, first("a2"), leases=standing.leases)
    assert (await ledger.approach(approach("h2", "a"))).refused_by == "h1"
    assert await ids(ledger) == ["a2", "a1"]


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_a_commit_whose_answer_was_lost_is_looked_up(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = AsyncTransaction.commit

    async def commit_and_lose(transaction: AsyncTransaction) -> None:
        await plain(transaction)
        raise OperationalError("COMMIT", {}, ConnectionError("gone"))

    with monkeypatch.context() as patched:
        patched.setattr(AsyncTransaction, "commit", commit_and_lose)
        await write(ledger, first("a1"))
    await write(ledger, first("a2"))
    assert await ids(ledger) == ["a2", "a1"]


async def test_a_commit_that_did_not_happen_is_a_failure(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(_: Transaction) -> None:
        raise OperationalError("COMMIT", {}, ConnectionError("gone"))

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "commit", lose)
        with pytest.raises(LedgerFailure):
            await write(ledger, first("a1"))
    await write(ledger, first("a2"))
    assert await ids(ledger) == ["a2"]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_full_disk_loses_nothing_that_was_acknowledged(ledger: SqlLedger) -> None:
    lane = _durable_lane(ledger)

    async def allow(pages: int) -> None:
        await lane.run(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar_one())

    await write(ledger, first("a"))
    used = await lane.run(lambda connection: int(connection.exec_driver_sql("PRAGMA page_count").scalar_one()))
    await allow(used + 30)
    pictures = [image(os.urandom(6000).hex()) for _ in range(24)]
    commits = (write(ledger, first(f"a{n}"), images=dict([picture])) for n, picture in enumerate(pictures))
    results = await asyncio.gather(*commits, return_exceptions=True)
    await allow(1_000_000)
    assert LedgerFailure in {type(result) for result in results} <= {type(None), LedgerFailure}
    for n, (result, (digest, content)) in enumerate(zip(results, pictures, strict=True)):
        if result is None:
            assert (await ledger.action("acme", f"a{n}")).id == f"a{n}"
            assert await ledger.image(digest) == content
        else:
            with pytest.raises(NotFound):
                await ledger.action("acme", f"a{n}")
            with pytest.raises(NotFound):
                await ledger.image(digest)
    await write(ledger, first("last"))


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_transaction_that_vanished_is_not_taken_for_committed(ledger: SqlLedger) -> None:
    """SQLite gives one up by itself in some kinds of trouble, and the driver's commit then says nothing."""
    lane = _durable_lane(ledger)
    with pytest.raises(LedgerFailure, match="gave the transaction up"):
        await lane.run(lambda connection: connection.exec_driver_sql("ROLLBACK").close())
    await write(ledger, first("a1"))


async def test_a_refusal_says_nothing_of_what_was_to_be_written(ledger: SqlLedger) -> None:
    """Rows hold what users wrote; a database likes to quote them when it refuses one."""
    with pytest.raises(LedgerFailure) as refused:
        await write(
            ledger, first("a1", generation=-1, reason="the patient's name", client_key='"uq_actions_tenant_key"')
        )
    assert type(refused.value) is LedgerFailure
    assert "generation" in str(refused.value)
    assert "patient" not in str(refused.value)


async def test_times_are_exact(ledger: SqlLedger) -> None:
    begun = first("a1", deadline=NOW.replace(microsecond=999_999))
    await write(ledger, begun)
    assert await ledger.action("acme", "a1") == begun[1]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_database_that_hangs_is_left_to_itself(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, over = threading.Event(), threading.Event()

    def hang(_: Connection) -> None:
        stuck.set()
        over.wait(30)

    monkeypatch.setattr(file_lane, "_BATCH_SECONDS", 0.2)
    try:
        with pytest.raises(LedgerFailure, match="did not answer in time"):
            await ledger._writer.durable(hang)
        assert stuck.is_set()
    finally:
        over.set()
    monkeypatch.setattr(file_lane, "_BATCH_SECONDS", 20.0)
    await write(ledger, first("a1"))
    assert await ids(ledger) == ["a1"]
