"""Connections: how each database is reached, made durable, and kept from waiting for ever."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from takeback.ports import LedgerFailure

BUSY_MS: Final = 5_000
"""How long SQLite waits for another process's write before it gives up."""

STATEMENT_MS: Final = 15_000
"""How long PostgreSQL works on one statement before it gives up."""

_CONNECT_SECONDS: Final = 10
_READERS: Final = 4
_READERS_OVERFLOW: Final = 8


def parse(url: str) -> URL:
    """The address of a ledger.

    Raises:
        LedgerFailure: it names no database that a ledger can live in.
    """
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise LedgerFailure("the ledger's url is not a database url") from None
    if found.drivername not in {"sqlite+aiosqlite", "postgresql+asyncpg"}:
        raise LedgerFailure(f"a ledger lives in sqlite+aiosqlite or postgresql+asyncpg, not in {found.drivername}")
    if found.get_backend_name() == "sqlite":
        _check_file(found)
    return found


def _check_file(url: URL) -> None:
    if url.database in {None, "", ":memory:"} or str(url.database).startswith("file:"):
        raise LedgerFailure("a ledger in memory would forget what it is there to remember: name a file by its path")
    if url.query:
        raise LedgerFailure(f"the url of a ledger's file takes no options: {', '.join(sorted(url.query))}")


def prepare_file(url: URL) -> None:
    """Create SQLite's folder (0700) and file (0600) where they are missing. What exists keeps its mode.

    Raises:
        LedgerFailure: they cannot be created.
    """
    if url.get_backend_name() != "sqlite" or url.database is None:
        return
    path = Path(url.database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise LedgerFailure(f"the ledger's file cannot be opened: {error.strerror or error}") from error


def file_engine(url: URL) -> Engine:
    """Connections for writing to SQLite, unpooled. Belongs to one thread, which sets how durable a commit is."""
    arguments = {"timeout": BUSY_MS / 1000, "check_same_thread": False}
    engine = create_engine(url.set(drivername="sqlite"), poolclass=NullPool, connect_args=arguments)
    _configure_sqlite(engine, begin="BEGIN IMMEDIATE")
    return engine


def writing_engine(url: URL, *, durable: bool) -> AsyncEngine:
    """Connections for writing, unpooled: the writer keeps its own.

    A commit on a durable one returns after the disk was synced. On the other kind it survives the death of this
    process, and a loss of power may take the last ones; whatever a durable commit rests on is synced along with it.
    On SQLite these are for migrations, and always durable: its batches go through `file_engine`.
    """
    if url.get_backend_name() == "sqlite":
        engine = _engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_MS / 1000})
        _configure_sqlite(engine.sync_engine, begin="BEGIN IMMEDIATE")
        return engine
    settings = {"synchronous_commit": "on" if durable else "off"}
    return _engine(url, poolclass=NullPool, connect_args=_postgresql_arguments(settings))


def reading_engine(url: URL) -> AsyncEngine:
    """Pooled connections for reading, a bounded number of them."""
    pool: dict[str, Any] = {"pool_size": _READERS, "max_overflow": _READERS_OVERFLOW, "pool_timeout": _CONNECT_SECONDS}
    if url.get_backend_name() == "sqlite":
        engine = _engine(url, connect_args={"timeout": BUSY_MS / 1000}, **pool)
        _configure_sqlite(engine.sync_engine, begin="BEGIN")
        return engine
    return _engine(url, connect_args=_postgresql_arguments({}), pool_pre_ping=True, **pool)


def _engine(url: URL, **settings: Any) -> AsyncEngine:
    try:
        return create_async_engine(url, **settings)
    except ImportError as error:
        raise LedgerFailure(f"this ledger needs a driver ({error.name}): install takeback[postgresql]") from error


def _postgresql_arguments(settings: dict[str, str]) -> dict[str, Any]:
    bounds = {"statement_timeout": str(STATEMENT_MS), "idle_in_transaction_session_timeout": str(2 * STATEMENT_MS)}
    return {
        "timeout": _CONNECT_SECONDS,
        "command_timeout": 2 * STATEMENT_MS / 1000,
        "server_settings": {"application_name": "takeback", **bounds, **settings},
    }


def _configure_sqlite(engine: Engine, *, begin: str) -> None:
    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; _begin does
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        if cursor.fetchone()[0] != "wal":
            raise LedgerFailure("the ledger's file system does not do write-ahead logging")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    @event.listens_for(engine, "commit")
    def _commit(connection: Any) -> None:
        # In some kinds of trouble SQLite rolls back by itself; the driver's commit then does nothing and says nothing.
        if not connection.connection.driver_connection.in_transaction:
            raise LedgerFailure("the database gave the transaction up; nothing was written")
