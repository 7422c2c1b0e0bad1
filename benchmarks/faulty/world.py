"""The upstream's own store, and the oracle over it: what really happened, whatever anybody claims."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

LANDS_AFTER: Final = 2.5
"""Seconds after its arrival at which a late call takes effect: past every time limit that waits for it."""

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY, tool TEXT, operation TEXT, args TEXT, key TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS records (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS arrivals (tool TEXT, operation TEXT, count INTEGER, PRIMARY KEY (tool, operation));
CREATE TABLE IF NOT EXISTS pending (number INTEGER PRIMARY KEY, due REAL, tool TEXT, args TEXT, key TEXT);
"""


class World:
    """One file of SQLite. Several processes may have it open: an upstream that died, and its successor."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def prepare(self, keys: Iterable[str]) -> None:
        """Records that are there before anything happens."""
        with self._transaction() as database:
            database.executemany("INSERT INTO records VALUES (?, 'as it was')", [(key,) for key in keys])

    def arrived(self, tool: str, operation: str) -> int:
        """How many calls of this tool came for this operation, with this one."""
        statement = "INSERT INTO arrivals VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count"
        with self._transaction() as database:
            return int(database.execute(statement, (tool, operation)).fetchone()[0])

    def apply(self, tool: str, args: dict[str, Any], key: str | None) -> dict[str, Any]:
        """Let a write take effect; returns what the tool answers. A key that was seen takes effect no second time."""
        with self._transaction() as database:
            return _effect(database, tool, args, key)

    def postpone(self, tool: str, args: dict[str, Any], key: str | None) -> tuple[int, float]:
        """Let a write take effect later, whatever becomes of the process that took it. Returns its number, and when."""
        statement = "INSERT INTO pending (due, tool, args, key) VALUES (?, ?, ?, ?) RETURNING number"
        due = time.time() + LANDS_AFTER
        with self._transaction() as database:
            return int(database.execute(statement, (due, tool, json.dumps(args), key)).fetchone()[0]), due

    def pending(self) -> list[tuple[int, float]]:
        """What is still to land: number, and when (seconds since the epoch)."""
        return self._database.execute("SELECT number, due FROM pending ORDER BY due").fetchall()

    def land(self, number: int) -> dict[str, Any] | None:
        """Let a postponed write take effect; None where another process was quicker."""
        statement = "DELETE FROM pending WHERE number = ? RETURNING tool, args, key"
        with self._transaction() as database:
            row = database.execute(statement, (number,)).fetchone()
            return None if row is None else _effect(database, row[0], json.loads(row[1]), row[2])

    def read(self, tool: str, operation: str) -> dict[str, Any] | None:
        """What `get` and `search` answer; None for a record that is not there."""
        if tool == "search":
            return {"items": [_created(*row) for row in self._created(operation)]}
        row = self._database.execute("SELECT value FROM records WHERE key = ?", (operation,)).fetchone()
        return None if row is None else {"key": operation, "value": row[0]}

    def _created(self, operation: str) -> list[tuple[int, str]]:
        statement = "SELECT number, args FROM effects WHERE tool = 'create' AND operation = ? ORDER BY number"
        return self._database.execute(statement, (operation,)).fetchall()

    def effects(self) -> Counter[str]:
        """The oracle: how often each operation took effect."""
        return Counter(dict(self._database.execute("SELECT operation, COUNT(*) FROM effects GROUP BY operation")))


def operation_of(args: dict[str, Any]) -> str:
    """The natural key of what a call is about."""
    return str(args.get("reference") or args.get("key") or "")


def _effect(database: sqlite3.Connection, tool: str, args: dict[str, Any], key: str | None) -> dict[str, Any]:
    known = database.execute("SELECT number, args FROM effects WHERE key = ?", (key,)).fetchone() if key else None
    number = known[0] if known else _insert(database, tool, args, key)
    if tool == "create":
        return _created(number, json.dumps(args))
    database.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", (args["key"], args["value"]))
    return {"key": args["key"], "value": args["value"]}


def _insert(database: sqlite3.Connection, tool: str, args: dict[str, Any], key: str | None) -> int:
    statement = "INSERT INTO effects (tool, operation, args, key) VALUES (?, ?, ?, ?)"
    return int(database.execute(statement, (tool, operation_of(args), json.dumps(args), key)).lastrowid or 0)


def _created(number: int, args: str) -> dict[str, Any]:
    found = json.loads(args)
    return {"id": f"R-{number}", "reference": found["reference"], "title": found["title"]}
