"""What a guard of the tests leaves behind, noted for the table when it is being made."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

NOTES: Final = "TAKEBACK_TESTS_UNDO_TABLE"
"""The environment variable that names the file for the notes; without it nothing is noted."""
_DOCUMENTS: Final = ("forecast", "outcome")


def answered(meta: Mapping[str, Any], text: str) -> dict[str, Any]:
    """What a client was told when it asked for an undo."""
    return {"action": meta.get("io.takeback/action"), "outcome": meta.get("io.takeback/outcome"), "text": text}


def record(system: str, state: Path, answers: Iterable[Mapping[str, Any]] = ()) -> None:
    """Note a guard's ledger, once the guard has ended, and what its clients were told about their undos."""
    if notes := os.environ.get(NOTES):
        note = {"system": system, **_ledger(state / "takeback.db"), "answers": list(answers)}
        with Path(notes).open("a", encoding="utf-8") as file:
            file.write(json.dumps(note) + "\n")


def _ledger(file: Path) -> dict[str, Any]:
    """Every action, and what waits for a person, read past the product's own code."""
    with closing(sqlite3.connect(file.as_uri() + "?mode=ro", uri=True)) as ledger:
        ledger.row_factory = sqlite3.Row
        rows = ledger.execute("SELECT id, origin, original, status, in_force, forecast, outcome FROM actions")
        actions = [{**row, **{name: json.loads(row[name] or "null") for name in _DOCUMENTS}} for row in map(dict, rows)]
        queue = [dict(row) for row in ledger.execute("SELECT action, why FROM recovery_items")]
    return {"actions": actions, "queue": queue}
