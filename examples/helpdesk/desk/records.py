"""What all kinds of records have in common: ids, reading, and writing with a version."""

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desk.clock import now
from desk.errors import Conflict, Invalid, NotFound
from desk.store import transaction

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: where it lives, how its ids begin, and which columns hold JSON."""

    name: str
    table: str
    key: str
    prefix: str = ""
    encoded: frozenset[str] = frozenset()


def find(db: sqlite3.Connection, kind: Kind, record_id: str) -> Record | None:
    """The record, or None."""
    row = db.execute(f"SELECT * FROM {kind.table} WHERE {kind.key} = ?", (record_id,)).fetchone()
    return _decoded(kind, row) if row else None


def get(db: sqlite3.Connection, kind: Kind, record_id: str) -> Record:
    """The record; its absence is an error."""
    record = find(db, kind, record_id)
    if record is None:
        raise NotFound(kind.name, record_id)
    return record


def select(db: sqlite3.Connection, kind: Kind, **equal: object) -> list[Record]:
    """All records whose columns have these values, in the order of their numbers; None asks for nothing."""
    wanted = {column: value for column, value in equal.items() if value is not None}
    where = " AND ".join(f"{column} = ?" for column in wanted) or "1"
    order = f"length({kind.key}), {kind.key}"
    rows = db.execute(f"SELECT * FROM {kind.table} WHERE {where} ORDER BY {order}", (*wanted.values(),))
    return [_decoded(kind, row) for row in rows]


def insert(db: sqlite3.Connection, kind: Kind, values: Mapping[str, object]) -> Record:
    """Add a record under the id that the values name, or else under the next free one."""
    with transaction(db):
        wanted = values.get(kind.key)
        record_id = _next_id(db, kind) if wanted is None else _reserve_id(db, kind, str(wanted))
        row = _encoded(kind, {**values, kind.key: record_id})
        marks = ", ".join("?" for _ in row)
        db.execute(f"INSERT INTO {kind.table} ({', '.join(row)}) VALUES ({marks})", (*row.values(),))
        return get(db, kind, record_id)


def update(
    db: sqlite3.Connection,
    kind: Kind,
    record_id: str,
    changes: Mapping[str, object],
    expected_version: int | None = None,
) -> Record:
    """Change only the given columns and count the version up."""
    with transaction(db):
        current = get_at(db, kind, record_id, expected_version)
        if not changes:
            raise Invalid(f"nothing to change in {kind.name} {record_id}")
        if unknown := sorted(changes.keys() - current.keys()):
            raise Invalid(f"a {kind.name} has no field {', '.join(unknown)}")
        row = _encoded(kind, {**changes, "updated_at": now(), "version": current["version"] + 1})
        assignments = ", ".join(f"{column} = ?" for column in row)
        db.execute(f"UPDATE {kind.table} SET {assignments} WHERE {kind.key} = ?", (*row.values(), record_id))
        return get(db, kind, record_id)


def delete(db: sqlite3.Connection, kind: Kind, record_id: str, expected_version: int | None = None) -> Record:
    """Remove the record for good; its id is not given out again."""
    with transaction(db):
        get_at(db, kind, record_id, expected_version)
        try:
            db.execute(f"DELETE FROM {kind.table} WHERE {kind.key} = ?", (record_id,))
        except sqlite3.IntegrityError:
            raise Conflict(f"{kind.name} {record_id} is still in use by other records") from None
    return {kind.key: record_id, "deleted": True}


def get_at(db: sqlite3.Connection, kind: Kind, record_id: str, expected_version: int | None) -> Record:
    """The record, which must be at the expected version where one is given."""
    record = get(db, kind, record_id)
    if expected_version is not None and record["version"] != expected_version:
        at = record["version"]
        raise Conflict(f"{kind.name} {record_id} is at version {at}, not {expected_version}")
    return record


def _next_id(db: sqlite3.Connection, kind: Kind) -> str:
    row = db.execute(
        "INSERT INTO last_numbers VALUES (?, 1) ON CONFLICT DO UPDATE SET number = number + 1 RETURNING number",
        (kind.prefix,),
    ).fetchone()
    return f"{kind.prefix}-{row['number']}"


def _reserve_id(db: sqlite3.Connection, kind: Kind, record_id: str) -> str:
    if find(db, kind, record_id):
        raise Conflict(f"{kind.name} {record_id} already exists")
    if kind.prefix:
        _never_give_out(db, kind, record_id)
    return record_id


def _never_give_out(db: sqlite3.Connection, kind: Kind, record_id: str) -> None:
    match = re.fullmatch(rf"{kind.prefix}-([1-9]\d{{0,8}})", record_id)
    if not match:
        raise Invalid(f"'{record_id}' is not a {kind.name} id; they look like {kind.prefix}-12")
    db.execute(
        "INSERT INTO last_numbers VALUES (?, ?) ON CONFLICT DO UPDATE SET number = max(number, excluded.number)",
        (kind.prefix, int(match[1])),
    )


def _encoded(kind: Kind, values: Mapping[str, object]) -> dict[str, object]:
    return {column: json.dumps(value) if column in kind.encoded else value for column, value in values.items()}


def _decoded(kind: Kind, row: sqlite3.Row) -> Record:
    return {column: json.loads(value) if column in kind.encoded else value for column, value in dict(row).items()}
