"""A lane: one connection for writing, and how a batch is carried through one transaction on it.

Every wait here has an end. A connection that misbehaved is dropped, and the next batch opens another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncTransaction

from takeback.ledger.database import lost
from takeback.ports import LedgerFailure

T = TypeVar("T")

_BATCH_SECONDS: Final = 40.0
_DROP_SECONDS: Final = 5.0
_ATTEMPTS: Final = 3
_LOOKS: Final = 25
_LOOK_PAUSE: Final = 0.2
# Text on its way to the server: the driver would take a parameter of this type for a number.
_STATUS: Final = text("SELECT pg_xact_status(CAST(CAST(:mark AS text) AS xid8))")


class AnyLane(Protocol):
    """What the writer needs of a lane."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction."""

    async def close(self) -> None:
        """Close the connection. Never raises; bounded."""


class Lane:
    """Carries one batch after the other; not for concurrent use."""

    def __init__(self, engine: AsyncEngine, *, durable: bool) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        # Only where the server may die alone, and only for what must not be in doubt.
        self._marks = durable and engine.dialect.name == "postgresql"

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction. A deadlock, or a connection lost before the commit, is tried again.

        Raises:
            LedgerFailure: it took too long, or it cannot be found out whether the commit stands.
            Exception: what `work` or the database raised; nothing of it stands.
        """
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._bounded(work)
            except DBAPIError as error:
                if not lost(error):
                    raise
        return await self._bounded(work)

    async def close(self) -> None:
        """Close the connection and the engine. Never raises; bounded."""
        await self._drop()
        with suppress(Exception):
            async with asyncio.timeout(_DROP_SECONDS):
                await self._engine.dispose()

    async def _bounded(self, work: Callable[[Connection], T]) -> T:
        try:
            async with asyncio.timeout(_BATCH_SECONDS):
                return await self._once(work)
        except TimeoutError:
            await self._drop()
            raise LedgerFailure("the database did not answer in time; look again before repeating") from None

    async def _once(self, work: Callable[[Connection], T]) -> T:
        connection = await self._connected()
        mark: str | None = None
        try:
            transaction = await connection.begin()
            if self._marks:
                mark = await connection.scalar(text("SELECT pg_current_xact_id()::text"))
            result = await connection.run_sync(work)
        except BaseException:
            await self._roll_back(connection)
            raise
        await self._commit(transaction, mark)
        return result

    async def _connected(self) -> AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._engine.connect()
        return self._connection

    async def _roll_back(self, connection: AsyncConnection) -> None:
        try:
            async with asyncio.timeout(_DROP_SECONDS):
                await connection.rollback()
        except (SQLAlchemyError, TimeoutError, OSError):
            await self._drop()
        else:
            if connection.invalidated:
                await self._drop()

    async def _commit(self, transaction: AsyncTransaction, mark: str | None) -> None:
        try:
            await transaction.commit()
        except (DBAPIError, OSError) as error:
            await self._drop()
            if mark is None or not await self._stands(mark):
                raise LedgerFailure(f"the database failed at the commit: {type(error).__name__}") from error
        except BaseException:
            await self._drop()
            raise

    async def _stands(self, mark: str) -> bool:
        """Whether a transaction whose commit got no answer was committed. Asks the server until it says so.

        Raises:
            LedgerFailure: the server cannot be asked.
        """
        for _ in range(_LOOKS):
            with suppress(DBAPIError, OSError):
                async with self._engine.connect() as connection:
                    status = await connection.scalar(_STATUS, {"mark": mark})
                if status in {"committed", "aborted"}:
                    return bool(status == "committed")
            await asyncio.sleep(_LOOK_PAUSE)
        raise LedgerFailure("the connection broke at the commit, and whether it stands cannot be found out")

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(Exception):
            async with asyncio.timeout(_DROP_SECONDS):
                await connection.invalidate()
                await connection.close()
