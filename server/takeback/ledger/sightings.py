"""What runs saw: for each run and each place that it read at, the newest answer, as an image.

A place is a tool with its arguments. Only the newest answer counts, so that a run that polls grows by nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, select, tuple_

from takeback.ledger import images
from takeback.ledger.database import beyond, insert_into
from takeback.ledger.schema import images as stored
from takeback.ledger.schema import sightings
from takeback.ports import AccessEntry

_KEY: Final = (sightings.c.tenant, sightings.c.run, sightings.c.place)
_ORDER: Final = (sightings.c.at, *_KEY)

Place = tuple[Any, ...]


def keep(connection: Connection, entries: Iterable[AccessEntry]) -> None:
    """Store what these reads saw; what was seen at the same place before is forgotten."""
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    contents: dict[str, tuple[bytes, datetime]] = {}
    seen = [(entry, entry.seen) for entry in entries if entry.seen is not None]
    for entry, one in sorted(seen, key=lambda pair: pair[1].at):
        digest = hashlib.sha256(one.content).hexdigest()
        contents[digest] = (one.content, one.at)
        key = (entry.tenant, entry.run, one.place)
        newest[key] = {"tenant": key[0], "run": key[1], "place": key[2], "at": one.at, "image": digest}
    if newest:
        images.store(connection, contents)
        connection.execute(_keeping(connection.dialect.name), [newest[key] for key in sorted(newest)])


@cache
def _keeping(dialect: str) -> Any:
    """Insert, or replace what was seen earlier: another guard's may be newer."""
    statement = insert_into(dialect, sightings)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["tenant", "run", "place"],
        set_={"at": new.at, "image": new.image},
        where=sightings.c.at <= new.at,
    )


def newest(tenant: str, run: str, place: str) -> Select[Any]:
    """What a run saw last at a place, while its image is kept."""
    found = select(sightings.c.place, sightings.c.at, stored.c.content, stored.c.size)
    joined = found.join(stored, stored.c.digest == sightings.c.image)
    named = (sightings.c.tenant == tenant, sightings.c.run == run, sightings.c.place == place)
    return joined.where(*named, stored.c.pruned_at.is_(None))


def prune(connection: Connection, place: Place | None, *, before: datetime, most: int) -> Place | None:
    """Forget at most `most` that were seen before then; and where to go on, None where nothing is left."""
    where = [sightings.c.at < before]
    if place:
        where.append(beyond(_ORDER, place))
    rows = connection.execute(select(*_ORDER).where(*where).order_by(*_ORDER).limit(most)).all()
    gone = [(row.tenant, row.run, row.place) for row in rows]
    if gone:  # unless it was seen anew at this very moment
        connection.execute(delete(sightings).where(tuple_(*_KEY).in_(gone), sightings.c.at < before))
    return tuple(rows[-1]) if len(rows) == most else None
