"""The database itself, past the ledger: what a test needs to see or to break."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from takeback.ledger.engine import prepare_file
from takeback.ledger.schema import REVISION, metadata

T = TypeVar("T")


async def on(url: str, work: Callable[[Connection], T]) -> T:
    """Do some work on a connection of its own, in one transaction."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                await connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements in one transaction; the rows of the last one."""

    def run(connection: Connection) -> list[tuple[Any, ...]]:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []

    return await on(url, run)


async def make_tables(url: str) -> None:
    """Make the tables of today in one go. Migrating leads to the same, as a test of its own shows, and takes longer."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        prepare_file(address)
        with closing(sqlite3.connect(str(address.database))) as file:
            file.executescript(_script("sqlite"))
        return
    connection = await asyncpg.connect(
        host=address.query["host"], user=address.username, database=address.database, timeout=10
    )
    try:
        await connection.execute(_script("postgresql+asyncpg"))
    finally:
        await connection.close()


@cache
def _script(backend: str) -> str:
    dialect = make_url(f"{backend}://").get_dialect()()
    tables = metadata.sorted_tables
    making = [CreateTable(table) for table in tables] + [
        CreateIndex(index) for table in tables for index in table.indexes
    ]
    marked = ["CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"]
    marked += [f"INSERT INTO alembic_version VALUES ('{REVISION}')"]
    return ";\n".join(["BEGIN", *(str(made.compile(dialect=dialect)) for made in making), *marked, "COMMIT"])
