"""Retention: what is old enough goes, a little at a time. Nothing else removes an event from the ledger.

Each batch is one short transaction of the writer, beside the guards' own. One that is broken off has done whole things
only, and the next begins where there is something left. Rows that somebody else works on are stepped over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, delete, func, or_, select, text, update

from takeback.core.limits import is_over
from takeback.core.policy.schema import Retention
from takeback.ledger import prune_runs, sightings
from takeback.ledger.database import beyond
from takeback.ledger.images import SLACK
from takeback.ledger.schema import DAILY, KEPT, UNDECIDED, access_log, actions, counters, images, scopes
from takeback.ports import Removed

BATCH: Final = 100
"""Images or actions that one transaction takes: so that a guard waits for some 10 ms at the most."""

Place = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What one batch came to. `place`: where the next one goes on; None: there is nothing further."""

    removed: Removed
    place: Place | None = None


Batch = Callable[[Connection, Place | None], Step]
Do = Callable[[Callable[[Connection], Step]], Awaitable[Step]]


@dataclass(slots=True)
class Position:
    """Where a pass stands: what kind of thing it is at, and where in it. The next one goes on there."""

    kind: int = 0
    place: Place | None = ()

    def moved(self, place: Place | None) -> None:
        """One batch is done."""
        self.kind, self.place = (self.kind, place) if place is not None else (self.kind + 1, ())


async def prune(
    do: Do, retention: Retention, now: datetime, *, dry_run: bool, batches: int | None, at: Position
) -> Removed:
    """Take what is older than its retention, at most `batches` transactions of it; `do` runs one of them.

    `at` is where the pass before was stopped: what cannot go yet is passed by once in a pass, and holds nothing up.
    """
    removed, done, kinds = Removed(), 0, _kinds(retention, now, dry_run=dry_run)
    while at.kind < len(kinds):
        if done == batches:
            return removed + Removed(more=True)
        step = await do(_from(kinds[at.kind], at.place))
        at.moved(step.place)
        removed, done = removed + step.removed, done + 1
    at.kind = 0
    return removed


def _from(work: Batch, place: Place | None) -> Callable[[Connection], Step]:
    return lambda connection: work(connection, place or None)


def _kinds(retention: Retention, now: datetime, *, dry_run: bool) -> list[Batch]:
    """What there is to do, in order: runs first, since what they take needs no second look."""
    found: list[Batch] = []
    if retention.runs is not None:
        before = now - retention.runs
        found += [
            partial(_runs, before=before, now=now, dry_run=dry_run),
            partial(_reads, before=before, dry_run=dry_run),
        ]
        if not dry_run:
            found += [partial(_stubs, before=before), partial(_scopes, before=before), partial(_days, today=now.date())]
    if (span := retention.images or retention.runs) is not None:
        if not dry_run:
            found += [partial(_sightings, before=now - span), partial(_stamps, now=now)]
        found.append(partial(_contents, before=now - span - SLACK, now=now, dry_run=dry_run))
    return found


def _runs(connection: Connection, place: Place | None, *, before: datetime, now: datetime, dry_run: bool) -> Step:
    took = prune_runs.count if dry_run else prune_runs.take
    removed, at = took(connection, place, before, now, BATCH)
    return Step(removed, at)


# --- images ---


def _contents(connection: Connection, place: Place | None, *, before: datetime, now: datetime, dry_run: bool) -> Step:
    """The contents of images that no action uses any more which changed since `before`. Their digests stay."""
    order = (images.c.used_at, images.c.digest)
    where: list[Any] = [text(KEPT), images.c.used_at < before]
    if place is not None:
        where.append(beyond(order, place))
    chosen = select(*order).where(*where).order_by(*order).limit(BATCH)
    rows = connection.execute(chosen if dry_run else chosen.with_for_update(skip_locked=True)).all()
    if not rows:
        return Step(Removed())
    going = {row.digest for row in rows} - _needed(connection, {row.digest for row in rows})
    if going and not dry_run:
        gone = update(images).where(images.c.digest.in_(sorted(going)))
        connection.execute(gone.values(content=b"", pruned_at=now))
    return Step(Removed(images=len(going)), (rows[-1].used_at, rows[-1].digest))


def _needed(connection: Connection, digests: set[str]) -> set[str]:
    """Those that an action refers to which is not settled, however old it is."""
    columns = (actions.c.before, actions.c.after, actions.c.result)
    uses = or_(*(column.in_(sorted(digests)) for column in columns))
    rows = connection.execute(select(*columns).where(text(UNDECIDED), uses))
    return {digest for row in rows for digest in row if digest is not None}


def _stamps(connection: Connection, _place: Place | None, *, now: datetime) -> Step:
    """An image of whose last use nothing is known was used just now: an older version of this program wrote it."""
    unknown = select(images.c.digest).where(text(KEPT), images.c.used_at.is_(None)).limit(BATCH)
    stamped = connection.execute(update(images).where(images.c.digest.in_(unknown)).values(used_at=now)).rowcount
    return Step(Removed(), () if stamped == BATCH else None)


def _sightings(connection: Connection, place: Place | None, *, before: datetime) -> Step:
    """What runs saw: it goes no later than the images that it refers to."""
    return Step(Removed(), sightings.prune(connection, place, before=before, most=BATCH))


def _stubs(connection: Connection, _place: Place | None, *, before: datetime) -> Step:
    """What stayed of images whose contents went before `before`."""
    old = select(images.c.digest).where(text("pruned_at IS NOT NULL"), images.c.pruned_at < before).limit(BATCH)
    gone = connection.execute(delete(images).where(images.c.digest.in_(old), images.c.pruned_at < before)).rowcount
    return Step(Removed(), () if gone == BATCH else None)


# --- reads, counters of days, and callers without a connection ---


def _reads(connection: Connection, _place: Place | None, *, before: datetime, dry_run: bool) -> Step:
    """Entries of the access log, in their order, which is that of time."""
    if dry_run:
        old = select(func.count()).select_from(access_log).where(access_log.c.at < before)
        return Step(Removed(reads=connection.execute(old).scalar_one()))
    oldest = select(access_log.c.ord, access_log.c.at).order_by(access_log.c.ord).limit(BATCH)
    ordinals = [row.ord for row in connection.execute(oldest) if row.at < before]
    if ordinals:
        connection.execute(delete(access_log).where(access_log.c.ord.in_(ordinals)))
    return Step(Removed(reads=len(ordinals)), () if len(ordinals) == BATCH else None)


def _scopes(connection: Connection, _place: Place | None, *, before: datetime) -> Step:
    """Which run a caller without a connection was in, where none came for so long."""
    connection.execute(delete(scopes).where(scopes.c.used_at < before))
    return Step(Removed())


def _days(connection: Connection, place: Place | None, *, today: date) -> Step:
    """Counters of days that are over."""
    order = (counters.c.tenant, counters.c.name)
    where: list[Any] = [text(DAILY)]
    if place is not None:
        where.append(beyond(order, place))
    rows = connection.execute(select(*order).where(*where).order_by(*order).limit(BATCH)).all()
    for row in rows:
        if is_over(row.name, today):
            connection.execute(delete(counters).where(counters.c.tenant == row.tenant, counters.c.name == row.name))
    return Step(Removed(), (rows[-1].tenant, rows[-1].name) if len(rows) == BATCH else None)
