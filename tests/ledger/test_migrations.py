"""From nothing, from the first revision with data in it, and by several guards at once: the tables end up the same."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from takeback.core.action import begin
from takeback.core.states import Happening
from takeback.ledger import open_ledger, schema
from takeback.ledger.columns import to_micros
from takeback.ledger.engine import parse, prepare_file, writing_engine
from takeback.ledger.images import packed
from takeback.ledger.migrate import migrate, revision
from takeback.ledger.rows import action_row, event_row
from takeback.ports import Approach, LedgerFailure

from .conftest import Open
from .raw import on, sql
from .stories import (
    NOW,
    a_run,
    after,
    an_approval,
    an_item,
    approach,
    first,
    ids,
    image,
    write,
)


@pytest_asyncio.fixture
async def url(fresh_url: Callable[[], Awaitable[str]]) -> str:
    """The address of a database of the test's own, still empty."""
    return await fresh_url()


async def to(url: str, goal: str) -> None:
    """Migrate up to a revision."""
    address = parse(url)
    prepare_file(address)
    engine = writing_engine(address, durable=True)
    try:
        await migrate(engine, goal)
    finally:
        await engine.dispose()


def described(connection: Connection) -> dict[str, Any]:
    """All that the database says about its tables; the order of columns means nothing."""
    found = inspect(connection)
    return {
        name: {
            "columns": sorted(
                (c["name"], str(c["type"]), c["nullable"], bool(c.get("autoincrement") is True))
                for c in found.get_columns(name)
            ),
            "primary key": found.get_pk_constraint(name),
            "foreign keys": sorted(map(str, found.get_foreign_keys(name))),
            "unique": sorted((str(u["name"]), u["column_names"]) for u in found.get_unique_constraints(name)),
            "checks": sorted((str(c["name"]), str(c["sqltext"])) for c in found.get_check_constraints(name)),
            "indexes": sorted(
                (str(i["name"]), i["column_names"], bool(i["unique"]), _where(i)) for i in found.get_indexes(name)
            ),
        }
        for name in found.get_table_names()
        if name != "alembic_version"
    }


def _where(index: Any) -> str:
    options = index.get("dialect_options", {})
    return str(options.get("sqlite_where", options.get("postgresql_where", "")))


async def test_the_migrations_lead_to_the_tables_of_today(url: str, fresh_url: Callable[[], Awaitable[str]]) -> None:
    await to(url, schema.REVISION)
    plain = await fresh_url()
    prepare_file(parse(plain))
    await on(plain, schema.metadata.create_all)
    migrated = await on(url, described)
    assert set(migrated) == set(schema.metadata.tables)
    assert migrated == await on(plain, described)

    def compared(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), schema.metadata)

    assert await on(url, compared) == []
    assert await on(url, revision) == schema.REVISION


async def test_a_second_start_changes_nothing(url: str, opened: Open) -> None:
    before = await opened()
    await write(before, first("a1"))
    again = await opened()
    assert await ids(again) == ["a1"]


def _inserted(connection: Connection, table: str, row: dict[str, Any]) -> None:
    """As the first version wrote it: JSON as text, times as microseconds."""
    typed = schema.metadata.tables[table]
    known = {column["name"] for column in inspect(connection).get_columns(table)}
    values = {name: value for name, value in row.items() if name in known}
    connection.execute(typed.insert().values(values))


async def test_the_data_of_the_first_revision_survives(url: str, opened: Open) -> None:
    begun = first("a1", before=image({"priority": "low"})[0])
    done = after(begun, Happening.SUCCEED, in_force=True)
    digest, content = image({"priority": "low"})
    micros = to_micros(NOW)

    def fill(connection: Connection) -> None:
        _inserted(connection, "actions", action_row(done[1]))
        for event, _ in (begun, done):
            _inserted(connection, "events", event_row(event))
        target = {
            "action": "a1",
            "position": 0,
            "tenant": "acme",
            "lease_name": "ticket:T-a1",
            "type": "ticket",
            "id": "T-a1",
        }
        _inserted(connection, "action_targets", target | {"label": "Printer", "occupied": False})
        _inserted(connection, "images", packed(digest, content))
        preview, suggestion = json.dumps({"n": 2**70}), json.dumps({"tool": "x"})
        hour, minute = micros + 3_600_000_000, micros + 60_000_000
        digest_shown = an_approval("p1").digest
        rows = {
            "runs": f"'acme', 'r1', 'ann', '', {micros}, {micros}, 'open', 'tidy up', NULL, NULL, NULL",
            "approvals": f"'acme', 'p1', 'r1', 'a1', '{digest_shown}', '{preview}', {micros}, {hour}, 'pending', "
            "NULL, NULL, NULL, NULL",
            "recovery_items": f"'acme', 'q1', 'r1', 'a1', 'low', 'in doubt', {micros}, '{suggestion}', "
            "NULL, NULL, NULL, NULL",
            "leases": f"'acme/ticket:T-a1', 'h1', 7, {micros}, {minute}",
            "counters": "'acme', 'writes', 41",
        }
        for table, values in rows.items():
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({values})")

    await to(url, "0001")
    assert await on(url, revision) == "0001"
    await on(url, fill)
    ledger = await opened()
    assert await on(url, revision) == schema.REVISION
    assert await ledger.action("acme", "a1") == done[1]
    assert await ledger.events("acme", "a1") == [begun[0], done[0]]
    assert begin((await ledger.events("acme", "a1"))[0]) == begun[1]
    assert await ledger.image(digest) == content
    assert await ledger.run("acme", "r1") == a_run()
    assert await ledger.approval("acme", "p1") == an_approval("p1")
    assert await ledger.queue("acme") == [an_item("q1")]
    await _goes_on(ledger.approach)
    await write(ledger, after(done, Happening.NOTE, forecast={"outcome": "exact"}), first("a2"), counters={"writes": 1})
    assert await ids(ledger) == ["a2", "a1"]


async def _goes_on(ask: Callable[[Approach], Awaitable[Any]]) -> None:
    held = await ask(approach("h2", "acme/ticket:T-a1", counters=("writes",)))
    assert (held.refused_by, held.counters) == ("h1", {"writes": 41})
    free = await ask(approach("h2", "acme/ticket:T-a1", now=NOW.replace(year=2027)))
    assert [lease.fence for lease in free.leases] == [8]


async def test_guards_that_start_together_migrate_once(url: str, opened: Open) -> None:
    await to(url, "0001")
    ledgers = await asyncio.gather(*(opened() for _ in range(4)))
    await asyncio.gather(*(write(ledger, first(f"a{n}")) for n, ledger in enumerate(ledgers)))
    assert len(await ids(ledgers[0])) == 4
    assert len(await sql(url, "SELECT version_num FROM alembic_version")) == 1


STARTER = """
import asyncio, sys
from takeback.ledger import open_ledger

async def main():
    sys.stdout.write("ready\\n"); sys.stdout.flush()
    sys.stdin.readline()
    ledger = await open_ledger(sys.argv[1])
    await ledger.secret("shared")
    await ledger.close()
    print("opened")

asyncio.run(main())
"""


async def test_processes_that_start_together_migrate_once(url: str, opened: Open) -> None:
    starters = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", STARTER, url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        async with asyncio.timeout(60):
            for process in starters:
                assert process.stdout is not None
                assert await process.stdout.readline() == b"ready\n"
            said = await asyncio.gather(*(process.communicate(b"go\n") for process in starters))
    finally:
        for process in starters:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert said == [(b"opened\n", b"")] * len(starters)
    assert await on(url, revision) == schema.REVISION
    assert len(await sql(url, "SELECT name FROM secrets")) == 1
    await write(await opened(), first("a1"))


async def test_a_newer_ledger_is_left_alone(url: str) -> None:
    await to(url, schema.REVISION)
    await sql(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerFailure, match=r"revision '9999'.*newer"):
        await open_ledger(url)
    assert await sql(url, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_a_migration_that_fails_leaves_the_old_tables(url: str, opened: Open) -> None:
    """The access log's name is taken, so the second revision stops half way."""
    await to(url, "0001")
    await sql(url, "CREATE TABLE access_log (theirs INTEGER)")
    with pytest.raises(LedgerFailure, match="access_log"):
        await open_ledger(url)
    assert await on(url, revision) == "0001"
    assert "checkpoints" not in await on(url, described)
    await sql(url, "DROP TABLE access_log")
    await write(await opened(), first("a1"))


async def test_a_database_of_somebody_else_is_left_alone(url: str) -> None:
    prepare_file(parse(url))
    await sql(url, "CREATE TABLE customers (name TEXT)")
    with pytest.raises(LedgerFailure, match="not a ledger"):
        await open_ledger(url)
    assert set(await on(url, described)) == {"customers"}
