"""Bringing a ledger's tables up to date at start, under a lock, so that guards that start together do it once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from takeback.ledger.database import first_line
from takeback.ledger.schema import REVISION
from takeback.ports import LedgerFailure

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05

_ADVISORY: Final = 0x7461_6B65_6261_636B
"""The number of the advisory lock: "takeback" in ASCII."""

# Alembic keeps its state in module globals, so within one process two migrations must not be under way at once.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def migrate(engine: AsyncEngine, to: str = REVISION) -> None:
    """Create the tables, or change them as the migrations say up to revision `to`; nothing when they are there.

    Raises:
        LedgerFailure: the database cannot be reached or changed, or its tables are newer than this program.
    """
    turn = _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), turn:
            await _connected_once(engine)
            async with engine.begin() as connection:
                await _lock(connection)
                await connection.run_sync(_upgrade, to)
    except TimeoutError:
        raise LedgerFailure("the ledger could not be opened in time: another process holds it") from None
    except LedgerFailure:
        raise
    except Exception as error:  # drivers have a dozen ways of their own to say that an address is wrong
        raise LedgerFailure(f"the ledger cannot be opened: {first_line(error)}") from error


async def _connected_once(engine: AsyncEngine) -> None:
    """Connect, which switches a new SQLite file to write-ahead logging.

    The busy time-out does not cover that switch, so whoever creates the file at the same moment comes again.
    """
    while True:
        try:
            async with engine.connect():
                return
        except OperationalError as error:
            if "locked" not in str(error.orig):
                raise
        await asyncio.sleep(_PAUSE_SECONDS)


async def _lock(connection: AsyncConnection) -> None:
    # SQLite: the transaction began with BEGIN IMMEDIATE, which is the lock.
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SET LOCAL statement_timeout = {int(_PATIENCE_SECONDS * 1000)}"))
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY})"))


def _upgrade(connection: Connection, to: str) -> None:
    stands = revision(connection)
    if stands == to:
        return
    if stands is None and set(inspect(connection).get_table_names()) - {"alembic_version"}:
        raise LedgerFailure(
            "this database is not a ledger: it holds tables of something else, and a ledger wants its own"
        )
    # Imported here: most starts find everything in place and need not pay for it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if stands is not None and stands not in known:
        raise LedgerFailure(
            f"this ledger has revision {stands!r}, which this version of takeback does not know: "
            "a newer one has written it, and an older one must not"
        )
    command.upgrade(config, to)


def revision(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: Any = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found if found is None else str(found)
