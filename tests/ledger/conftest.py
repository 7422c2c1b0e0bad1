"""Both databases, really: SQLite in a temporary file, PostgreSQL from a server started for the session."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from takeback.ledger import SqlLedger, open_ledger

from .raw import make_tables

Open = Callable[[], Awaitable[SqlLedger]]
_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(request.param)


@pytest_asyncio.fixture
async def fresh_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Awaitable[str]]:
    """Makes addresses of databases that are empty and nobody else's."""

    async def make() -> str:
        name = f"test_{next(_numbers)}"
        if backend == "sqlite":
            return f"sqlite+aiosqlite:///{tmp_path}/{name}/takeback.db"
        folder = request.getfixturevalue("postgresql")
        connection = await asyncpg.connect(host=folder, user="postgres", database="postgres", timeout=10)
        try:
            # A role works in the schema of its own name, and a schema is made a hundred times faster than a database.
            await connection.execute(f"CREATE ROLE {name} LOGIN; CREATE SCHEMA {name} AUTHORIZATION {name}")
        finally:
            await connection.close()
        return f"postgresql+asyncpg://{name}@/postgres?host={folder}"

    return make


@pytest_asyncio.fixture
async def url(fresh_url: Callable[[], Awaitable[str]]) -> str:
    """The address of a database of the test's own: the tables of today, and nothing in them."""
    address = await fresh_url()
    await make_tables(address)
    return address


@pytest_asyncio.fixture
async def opened(url: str) -> AsyncIterator[Open]:
    """Opens stores on the test's database; each one more guard. All are closed at the end."""
    ledgers: list[SqlLedger] = []

    async def open_one() -> SqlLedger:
        ledger = await open_ledger(url)
        ledgers.append(ledger)
        return ledger

    yield open_one
    async with asyncio.timeout(30):
        await asyncio.gather(*(ledger.close() for ledger in ledgers))


@pytest_asyncio.fixture
async def ledger(opened: Open) -> SqlLedger:
    """A ledger, open and empty."""
    return await opened()


@pytest_asyncio.fixture
async def other(ledger: SqlLedger, opened: Open) -> SqlLedger:
    """Another guard's store on the same database."""
    return await opened()
