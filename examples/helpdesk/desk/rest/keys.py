"""Idempotency keys: the answer to a write is stored in its own transaction, and an equal request gets it again.

A refusal is not stored: it changed nothing, and the caller may try again with the same key once its reason is gone.
"""

import hashlib
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from desk.records import Record
from desk.rest.answers import Answer, Refused, written

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST = 255
RETENTION = timedelta(hours=24)
"""How long an answer is kept; after that the key is as good as new."""


def checked(key: str | None) -> str | None:
    """The key as it came, unless it cannot be one.

    Raises:
        Refused: it is empty or too long (400).
    """
    if key is not None and not 0 < len(key) <= LONGEST:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the {HEADER} must have 1 to {LONGEST} characters")
    return key


def fingerprint(operation: str, arguments: Record) -> str:
    """What makes two requests equal: the operation and all its arguments, in whatever order they came."""
    text = json.dumps([operation, arguments], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def recall(db: sqlite3.Connection, key: str, mark: str) -> Answer | None:
    """The answer that an earlier equal request got, or None.

    Raises:
        Refused: the key was used for another request (422).
    """
    db.execute("DELETE FROM idempotency_keys WHERE stored_at < ?", (_written(datetime.now(UTC) - RETENTION),))
    row = db.execute("SELECT * FROM idempotency_keys WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    if row["fingerprint"] != mark:
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"the {HEADER} was used before, for another request")
    return Answer(row["status"], row["body"], json.loads(row["headers"]))


def store(db: sqlite3.Connection, key: str, mark: str, answer: Answer) -> None:
    """Keep an answer, in the transaction of what it tells of."""
    db.execute(
        "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?, ?)",
        (key, mark, answer.status, written(dict(answer.headers)).decode(), answer.body, _written(datetime.now(UTC))),
    )


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
