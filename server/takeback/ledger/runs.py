"""Runs: which one a caller without a connection is in, what broke off, and what went on in one after a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, case, exists, select, update

from takeback.ledger.database import insert_into
from takeback.ledger.schema import access_log, actions, runs, scopes

_MOST: Final = 20
"""Runs of one client that are looked at when it comes back."""


def shared(connection: Connection, *, tenant: str, scope: str, fresh: str, now: datetime, idle: timedelta) -> str:
    """The run that a scope is in: the one of before, unless it was idle for too long, else the fresh one."""
    found = connection.execute(
        _shared(connection.dialect.name),
        {"tenant": tenant, "scope": scope, "run": fresh, "used_at": now, "b_since": now - idle},
    )
    return str(found.scalar_one())


@cache
def _shared(dialect: str) -> Any:
    statement = insert_into(dialect, scopes)
    new = statement.excluded
    kept = case((scopes.c.used_at < bindparam("b_since", type_=scopes.c.used_at.type), new.run), else_=scopes.c.run)
    return statement.on_conflict_do_update(
        index_elements=["tenant", "scope"], set_={"run": kept, "used_at": new.used_at}
    ).returning(scopes.c.run)


def broken_off(tenant: str, principal: str, client: str, *, owner: str, since: datetime) -> Select[Any]:
    """Runs of connections of other guards to the same client, which no run goes on from yet, newest first."""
    later = runs.alias("later")
    followed = exists().where(later.c.tenant == tenant, later.c.predecessor == runs.c.id)
    same = (runs.c.tenant == tenant, runs.c.principal == principal, runs.c.client == client)
    others = (runs.c.owner.is_not(None), runs.c.owner != owner, runs.c.opened_at >= since, ~followed)
    return select(runs).where(*same, *others).order_by(runs.c.opened_at.desc(), runs.c.id).limit(_MOST)


def end(connection: Connection, *, tenant: str, owner: str, at: datetime) -> None:
    """The connections of a guard are over, in good order."""
    mine = (runs.c.tenant == tenant, runs.c.owner == owner, runs.c.ended_at.is_(None))
    connection.execute(update(runs).where(*mine).values(ended_at=at))


def went_on(tenant: str, run: str, after: datetime) -> Select[Any]:
    """Whether its client asked for anything in a run after a moment."""
    wrote = select(actions.c.id).where(actions.c.tenant == tenant, actions.c.run == run, actions.c.created_at > after)
    read = select(access_log.c.tool).where(
        access_log.c.tenant == tenant, access_log.c.run == run, access_log.c.at > after
    )
    return select((exists(wrote.correlate(None)) | exists(read.correlate(None))).label("went_on"))
