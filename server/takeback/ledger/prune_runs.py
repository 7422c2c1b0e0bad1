"""Runs whose retention is over: idle for that long, with nothing in them that is not settled. They go as a whole.

A run that is too large for one transaction is closed with the first of them, so that nobody works in half of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, exists, func, insert, select, text, update

from takeback.core.limits import counters_of_run
from takeback.core.run import ApprovalStatus
from takeback.core.states import UNSETTLED
from takeback.core.vocabulary import RunStatus, Status
from takeback.ledger.database import beyond
from takeback.ledger.schema import (
    OPEN,
    UNDECIDED,
    access_log,
    action_targets,
    actions,
    approvals,
    checkpoints,
    counters,
    events,
    recovery_comments,
    recovery_items,
    runs,
    tombstones,
    unwindings,
)
from takeback.ports import Removed

Place = tuple[Any, ...]
_Row = Any
"""A row of one of the tables: its columns by name."""

CLOSING: Final = "its retention is over"
"""Why a run is finished that is being removed."""

_AT_ONCE: Final = 20
_MOVING: Final = frozenset(status.value for status in {Status.PLANNED, *UNSETTLED})
_ORDER: Final = (runs.c.active_at, runs.c.tenant, runs.c.id)
_REST: Final = ((approvals, approvals.c.id), (checkpoints, checkpoints.c.id), (unwindings, unwindings.c.id))


def take(
    connection: Connection, place: Place | None, before: datetime, now: datetime, most: int
) -> tuple[Removed, Place | None]:
    """Remove idle runs, at most `most` actions of them; and where to go on, None where nothing is left."""
    removed = Removed()
    found = _candidates(connection, place, before, locked=True)
    for run in found:
        if _may_go(connection, run, before):
            taken, again = _remove(connection, run, before, now, most - removed.actions)
            removed += taken
            if again:
                return removed, place or ()
        place = _place(run)
        if removed.actions >= most:
            return removed, place
    return removed, place if len(found) == _AT_ONCE else None


def count(
    connection: Connection, place: Place | None, before: datetime, _now: datetime, _most: int
) -> tuple[Removed, Place | None]:
    """What `take` would remove; nothing is changed."""
    removed = Removed()
    found = _candidates(connection, place, before, locked=False)
    for run in found:
        if _newest(connection, run) < before and _may_go(connection, run, before):
            what = select(func.count(), func.coalesce(func.sum(actions.c.version), 0)).where(*_of(actions, run))
            number, versions = connection.execute(what).one()
            removed += Removed(runs=1, actions=number, events=int(versions))
    return removed, _place(found[-1]) if len(found) == _AT_ONCE else None


def _candidates(connection: Connection, place: Place | None, before: datetime, *, locked: bool) -> Sequence[_Row]:
    where = [runs.c.active_at < before]
    if place:
        where.append(beyond(_ORDER, place))
    chosen = select(*_ORDER, runs.c.status).where(*where).order_by(*_ORDER).limit(_AT_ONCE)
    return connection.execute(chosen.with_for_update(skip_locked=True) if locked else chosen).all()


def _may_go(connection: Connection, run: _Row, before: datetime) -> bool:
    """Whether a run is idle and everything in it is settled. Of one that is not idle, its last activity is noted."""
    newest = _newest(connection, run)
    if newest >= before:
        connection.execute(update(runs).where(*_named(run)).values(active_at=newest))
        return False
    return not connection.execute(_something_open(run)).scalar_one()


def _newest(connection: Connection, run: _Row) -> datetime:
    """When something last happened in a run."""
    changed = connection.execute(select(func.max(actions.c.updated_at)).where(*_of(actions, run))).scalar_one()
    read = connection.execute(select(func.max(access_log.c.at)).where(*_of(access_log, run))).scalar_one()
    newest: datetime = max(run.active_at, changed or run.active_at, read or run.active_at)
    return newest


def _something_open(run: _Row) -> Any:
    """Whether something in a run waits for somebody: an action, an entry of the recovery queue, an approval."""
    moving = exists().where(*_of(actions, run), text(UNDECIDED))
    queued = exists().where(*_of(recovery_items, run), text(OPEN))
    asked = exists().where(*_of(approvals, run), approvals.c.status == ApprovalStatus.PENDING.value)
    return select(moving | queued | asked)


def _remove(connection: Connection, run: _Row, before: datetime, now: datetime, most: int) -> tuple[Removed, bool]:
    """Remove a run, or the first `most` of its actions; and whether there is more of it to remove."""
    chosen = select(actions).where(*_of(actions, run)).order_by(actions.c.ord).limit(most)
    rows = connection.execute(chosen.with_for_update(skip_locked=True)).all()
    if any(row.status in _MOVING or row.updated_at >= before for row in rows):
        return Removed(), False  # somebody is at it, after all
    gone = _remove_actions(connection, run, rows, now)
    if connection.execute(select(exists().where(*_of(actions, run)))).scalar_one():
        closed = {"status": RunStatus.FINISHED.value, "reason": CLOSING}
        connection.execute(update(runs).where(*_named(run)).values(closed))
        return gone, bool(rows)
    reads, again = _remove_rest(connection, run, most)
    gone += Removed(reads=reads)
    if again:
        return gone, True
    connection.execute(delete(runs).where(*_named(run)))
    return gone + Removed(runs=1), False


def _remove_actions(connection: Connection, run: _Row, rows: Sequence[_Row], now: datetime) -> Removed:
    """Actions and what belongs to each, with a tombstone in the place of each."""
    if not rows:
        return Removed()
    ids = sorted(row.id for row in rows)
    connection.execute(insert(tombstones), [_tombstone(row, now) for row in rows])
    told = connection.execute(delete(events).where(events.c.action.in_(ids))).rowcount
    connection.execute(delete(action_targets).where(action_targets.c.action.in_(ids)))
    queued = (recovery_items.c.tenant == run.tenant, recovery_items.c.action.in_(ids))
    gone = select(recovery_items.c.id).where(*queued)
    said = (recovery_comments.c.tenant == run.tenant, recovery_comments.c.item.in_(gone))
    connection.execute(delete(recovery_comments).where(*said))
    connection.execute(delete(recovery_items).where(*queued))
    counted = counters_of_run(run.id, {f"{row.upstream}.{row.tool}" for row in rows})
    connection.execute(delete(counters).where(counters.c.tenant == run.tenant, counters.c.name.in_(counted)))
    connection.execute(delete(actions).where(actions.c.tenant == run.tenant, actions.c.id.in_(ids)))
    return Removed(actions=len(rows), events=told)


def _tombstone(row: _Row, now: datetime) -> dict[str, Any]:
    same = ("tenant", "run", "operation", "generation", "key", "client_key", "principal", "status")
    kept = {name: getattr(row, name) for name in same}
    return kept | {"action": row.id, "events": row.version, "ended_at": row.updated_at, "pruned_at": now}


def _remove_rest(connection: Connection, run: _Row, most: int) -> tuple[int, bool]:
    """What belongs to a run and to none of its actions, so many rows of a table; how many were reads, and the rest."""
    full = False
    for table, key in _REST:
        full |= _some(connection, run, table, key, most) == most
    reads = _some(connection, run, access_log, access_log.c.ord, most)
    return reads, full or reads == most


def _some(connection: Connection, run: _Row, table: Table, key: Any, most: int) -> int:
    some = select(key).where(*_of(table, run)).limit(most)
    return connection.execute(delete(table).where(*_of(table, run), key.in_(some))).rowcount


def _of(table: Table, run: _Row) -> tuple[Any, Any]:
    return table.c.tenant == run.tenant, table.c.run == run.id


def _place(run: _Row) -> Place:
    return (run.active_at, run.tenant, run.id)


def _named(run: _Row) -> tuple[Any, Any]:
    return runs.c.tenant == run.tenant, runs.c.id == run.id
