"""A database of each test's own, and what stands around the guards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.postgresql import Postgresql, a_postgresql

from .kit import Counter, counting


@pytest.fixture
def server() -> Iterator[Postgresql]:
    """A PostgreSQL that may be stopped."""
    with a_postgresql() as found:
        yield found


@pytest.fixture
def ledger(server: Postgresql) -> str:
    """The address of an empty ledger."""
    return f"postgresql+asyncpg://postgres@/postgres?host={server.folder}"


@pytest_asyncio.fixture
async def counter() -> AsyncIterator[Counter]:
    """The API behind the guards."""
    async with counting() as found:
        yield found
