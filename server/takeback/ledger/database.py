"""What is the same statement in meaning and different in words for the two databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

_AGAIN: Final = frozenset({"40001", "40P01"})
"""PostgreSQL's words for: nothing was done, the same may well work now (serialization failure, deadlock)."""


def insert_into(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, which SQLAlchemy has in each dialect's own words."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; those that are there already are kept as they are."""
    if rows:
        connection.execute(insert_into(connection, table).on_conflict_do_nothing(), list(rows))


def replace_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those with the same primary key."""
    if not rows:
        return
    statement = insert_into(connection, table)
    keys = [column.name for column in table.primary_key]
    values = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows))


def violated(error: IntegrityError, constraint: str, columns: str) -> bool:
    """Whether `constraint` was violated: PostgreSQL names it, SQLite names its columns (`table.a, table.b`)."""
    message = str(error.orig)
    return f'"{constraint}"' in message or message.endswith(f"UNIQUE constraint failed: {columns}")


def lost(error: DBAPIError) -> bool:
    """Whether the transaction is gone through no fault of the statement, so that the whole of it may be tried again."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _AGAIN
