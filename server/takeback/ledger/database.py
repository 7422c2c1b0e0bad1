"""What is the same statement in meaning and different in words for the two databases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, literal, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.sql.elements import Tuple

_AGAIN: Final = frozenset({"40001", "40P01"})
"""PostgreSQL's words for: nothing was done, the same may well work now (serialization failure, deadlock)."""


_UNWELL: Final = frozenset({"53", "55", "57", "58", "XX"})
"""PostgreSQL's classes of errors that are no statement's fault: no room, locked, interrupted, broken, corrupt."""


def insert_into(dialect: str, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, which SQLAlchemy has in each dialect's own words."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; those that are there already are kept as they are."""
    if rows:
        connection.execute(_insert_missing(connection.dialect.name, table), list(rows))


def replace_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those with the same primary key."""
    if rows:
        connection.execute(_replace(connection.dialect.name, table), list(rows))


# Statements are made once: making one costs more than running it.


@cache
def _insert_missing(dialect: str, table: Table) -> Any:
    return insert_into(dialect, table).on_conflict_do_nothing()


@cache
def _replace(dialect: str, table: Table) -> Any:
    statement = insert_into(dialect, table)
    keys = [column.name for column in table.primary_key]
    values = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


def any_of(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a column is one of the values given as the parameter `name`, a list."""
    return column.in_(bindparam(name, expanding=True))


def beyond(columns: Sequence[Column[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes after these values, in the order of the columns: where a page before it ended."""
    return tuple_(*columns) > _row(columns, values)


def earlier(columns: Sequence[Column[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes before these values, in the order of the columns: where a page ended that ran backwards."""
    return tuple_(*columns) < _row(columns, values)


def _row(columns: Sequence[Column[Any]], values: Sequence[Any]) -> Tuple:
    return tuple_(*(literal(v, c.type) for c, v in zip(columns, values, strict=True)))


def violated(error: IntegrityError, constraint: str, columns: str) -> bool:
    """Whether `constraint` was violated: PostgreSQL names it, SQLite names its columns (`table.a, table.b`)."""
    message = first_line(error)
    return f'"{constraint}"' in message or message.endswith(f"UNIQUE constraint failed: {columns}")


def lost(error: DBAPIError) -> bool:
    """Whether the transaction is gone through no fault of the statement, so that the whole of it may be tried again."""
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _AGAIN


def failing(error: DBAPIError) -> bool:
    """Whether the database itself is in trouble, so that a savepoint saves nobody.

    SQLite may give up the whole transaction then (a full disk), and what was released before would be lost in silence.
    """
    state = getattr(error.orig, "sqlstate", None)
    return lost(error) or type(error) in {OperationalError, DatabaseError} or str(state or "")[:2] in _UNWELL


def first_line(error: Exception) -> str:
    """What a database says, without what it quotes: the lines after the first hold what was to be written."""
    line = str(getattr(error, "orig", None) or error).partition("\n")[0]
    return line.partition(">: ")[2] if line.startswith("<class ") else line
