"""The lane of SQLite: a whole transaction in one visit to the thread that owns the connection.

An asynchronous driver visits its thread for each statement, several times; a write has some twenty, and the visits then
cost more than the statements. Here a batch costs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from takeback.ports import LedgerFailure

T = TypeVar("T")

_BATCH_SECONDS: Final = 40.0
_CLOSE_SECONDS: Final = 5.0


class FileLane:
    """As `lane.Lane`, for a database in a file. Both lanes of a store go to the same file through one connection."""

    def __init__(self, file: File, *, durable: bool) -> None:
        self._file, self._durable = file, durable

    async def run(self, work: Callable[[Connection], T]) -> T:
        """As `File.run`."""
        return await self._file.run(work, durable=self._durable)

    async def close(self) -> None:
        """As `File.close`."""
        await self._file.close()


class File:
    """The one connection that writes to a file, and its thread; not for concurrent use.

    One, because two would throw each other's pages out of the cache. Whether a commit waits for the disk is set anew
    where it differs from the transaction before.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._durable: bool | None = None
        self._thread = _a_thread()

    async def run(self, work: Callable[[Connection], T], *, durable: bool) -> T:
        """Do the work in one transaction.

        Raises:
            LedgerFailure: it took too long, or the commit failed.
            Exception: what `work` or the database raised; nothing of it stands.
        """
        visit = asyncio.get_running_loop().run_in_executor(self._thread, self._once, work, durable)
        done, _ = await asyncio.wait({visit}, timeout=_BATCH_SECONDS)
        if not done:
            self._abandon()
            visit.add_done_callback(lambda late: late.cancelled() or late.exception())
            raise LedgerFailure("the database did not answer in time; look again before repeating")
        return visit.result()

    async def close(self) -> None:
        """Close the connection and end the thread. Never raises; bounded."""
        with suppress(RuntimeError):  # closed already
            visit = asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
            await asyncio.wait({visit}, timeout=_CLOSE_SECONDS)
        self._thread.shutdown(wait=False)
        self._engine.dispose()

    def _abandon(self) -> None:
        """The thread hangs in the database: interrupt it, leave it to its end, and go on with another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.connection.driver_connection.interrupt()  # type: ignore[union-attr]
        self._thread.shutdown(wait=False)
        self._thread = _a_thread()

    # --- in the thread -------------------------------------------------------------------------------------------

    def _once(self, work: Callable[[Connection], T], durable: bool) -> T:
        connection = self._connected()
        self._set_durable(connection, durable)
        try:
            return self._transaction(connection, work)
        finally:
            if self._connection is not connection:  # nobody waits for this thread any more, or the connection is bad
                _end(connection)

    def _transaction(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        try:
            transaction = connection.begin()
            result = work(connection)
        except BaseException:
            self._roll_back(connection)
            raise
        try:
            transaction.commit()
        except (DBAPIError, OSError) as error:
            self._drop()
            raise LedgerFailure(f"the database failed at the commit: {type(error).__name__}") from error
        except BaseException:
            self._drop()
            raise
        return result

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection, self._durable = self._engine.connect(), None
        return self._connection

    def _set_durable(self, connection: Connection, durable: bool) -> None:
        """FULL waits for the disk at each commit, and takes along what earlier ones left. NORMAL does not wait."""
        if durable is not self._durable:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except (SQLAlchemyError, OSError):
            self._drop()
        else:
            if connection.invalidated:
                self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _end(connection)


def _end(connection: Connection) -> None:
    with suppress(Exception):
        connection.invalidate()
        connection.close()


def _a_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="takeback-ledger")
