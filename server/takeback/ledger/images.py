"""Images as the ledger keeps them: content-addressed, compressed, bounded, and stamped with their last use.

An image is used by every change to an action that refers to it. Retention goes by that: what was last used long ago is
referred to by nothing that changed since.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, bindparam, case, or_, type_coerce, update

from takeback.core.action import Action
from takeback.ledger.database import insert_into
from takeback.ledger.schema import images
from takeback.ports import Change, LedgerFailure

LARGEST: Final = 16 * 2**20
"""Bytes of canonical JSON that one image may have; the guard's own bound is much lower."""

SLACK: Final = timedelta(hours=1)
"""How much older than its last use the stamp of an image may be: so that most changes need not write it."""

_LEVEL: Final = 3
_SLACK_MICROS: Final = SLACK // timedelta(microseconds=1)
_TOUCH: Final = (
    update(images)
    .where(images.c.digest == bindparam("b_digest"), images.c.used_at < bindparam("b_stale"))
    .values(used_at=bindparam("b_at"))
)


def check(digest: str, content: bytes) -> None:
    """Raises LedgerFailure when the content is too large or is not what the digest names."""
    if len(content) > LARGEST:
        raise LedgerFailure(f"an image of {len(content)} bytes is larger than {LARGEST}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise LedgerFailure("an image is not what its digest names")


def packed(digest: str, content: bytes) -> dict[str, Any]:
    """The row of an image."""
    return {"digest": digest, "content": zlib.compress(content, _LEVEL), "size": len(content)}


def references(action: Action) -> set[str]:
    """The digests of the images that an action refers to."""
    return {digest for digest in (action.before, action.after, action.result) if digest is not None}


def keep(connection: Connection, changes: Sequence[Change]) -> None:
    """Store the images of changes, and stamp those that their actions refer to."""
    blobs: dict[str, bytes] = {}
    used: dict[str, datetime | None] = {}
    for change in changes:
        at = max((event.at for event, _ in change.actions), default=None)
        blobs |= change.images
        used |= dict.fromkeys(change.images, at)
    store(connection, {digest: (content, used[digest]) for digest, content in blobs.items()})
    if touched := sorted(_stale(changes, blobs.keys())):
        connection.execute(_TOUCH, [{"b_digest": d, "b_at": at, "b_stale": at - SLACK} for d, at in touched])


def store(connection: Connection, contents: Mapping[str, tuple[bytes, datetime | None]]) -> None:
    """Store contents by their digests, each with the time of its use."""
    # Sorted, like all rows that several guards write: who locks in one order does not wait in a circle.
    rows = [{**packed(digest, contents[digest][0]), "used_at": contents[digest][1]} for digest in sorted(contents)]
    if rows:
        connection.execute(_storing(connection.dialect.name), rows)


def _stale(changes: Iterable[Change], stored: Iterable[str]) -> list[tuple[str, datetime]]:
    """The images whose stamps may be too old by now: they are no older than the action that they belong to."""
    known = set(stored)
    found: dict[str, datetime] = {}
    for change in changes:
        for event, action in change.actions:
            if event.at - action.created_at >= SLACK:
                found |= dict.fromkeys(references(action) - known, event.at)
    return list(found.items())


@cache
def _storing(dialect: str) -> Any:
    """Insert; where the image is there, stamp it, and put the content of a pruned one back.

    The row is locked even where nothing needs to be written, so that retention does not take it at this very moment.
    """
    statement = insert_into(dialect, images)
    new, gone = statement.excluded, images.c.pruned_at.is_not(None)
    stale = type_coerce(images.c.used_at, BigInteger) < type_coerce(new.used_at, BigInteger) - _SLACK_MICROS
    later = case((or_(images.c.used_at.is_(None), images.c.used_at < new.used_at), new.used_at), else_=images.c.used_at)
    return statement.on_conflict_do_update(
        index_elements=["digest"],
        set_={"content": case((gone, new.content), else_=images.c.content), "used_at": later, "pruned_at": None},
        where=or_(gone, stale, images.c.used_at.is_(None)),
    )


def unpacked(content: bytes, size: int) -> bytes:
    """The content of an image's row.

    Raises:
        LedgerFailure: the row was damaged.
    """
    try:
        plain = zlib.decompressobj().decompress(content, size + 1)
    except zlib.error:
        raise LedgerFailure("an image in the ledger is damaged") from None
    if len(plain) != size:
        raise LedgerFailure("an image in the ledger is damaged")
    return plain
