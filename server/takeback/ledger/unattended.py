"""What a guard began and no guard is at any more: nobody holds a lease on it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text, union_all

from takeback.core.action import PLAN
from takeback.core.queue import Cause
from takeback.core.vocabulary import Status
from takeback.ledger.schema import OCCUPIES, OF_ITEM, OPEN, UNDECIDED, UNREAD, actions, leases, recovery_items


def occupying(tenant: str, limit: int) -> Select[Any]:
    """Actions under way, in the order of their index: those of all time are too many to be sorted."""
    return select(actions).where(actions.c.tenant == tenant, text(OCCUPIES)).order_by(actions.c.id).limit(limit)


def agreed_plans(tenant: str) -> Select[Any]:
    """Plans to be begun: they wait for no caller."""
    wanted = (actions.c.tenant == tenant, text(UNDECIDED), actions.c.status == Status.APPROVED.value)
    by_name = zip((actions.c.upstream, actions.c.tool), PLAN, strict=True)
    return select(actions).where(*wanted, *(column == name for column, name in by_name))


def unverified(tenant: str, limit: int) -> Select[Any]:
    """What a worker reads back once more: found by what is open in the queue and by a partial index."""
    wrong = (
        select(actions.c.ord)
        .join_from(
            recovery_items,
            actions,
            OF_ITEM,
        )
        .where(
            recovery_items.c.tenant == tenant,
            text(f"recovery_items.{OPEN}"),
            recovery_items.c.cause.in_([Cause.MISMATCH.value, Cause.PARTIAL.value]),
            actions.c.status == Status.FAILED.value,
            actions.c.in_force,
        )
    )
    unread = select(actions.c.ord).where(actions.c.tenant == tenant, text(UNREAD))
    found = union_all(wrong, unread).subquery()
    return select(actions).where(actions.c.ord.in_(select(found.c.ord))).order_by(actions.c.ord.desc()).limit(limit)


def held(names: Iterable[str], now: datetime) -> Select[Any]:
    """The names of those leases that somebody holds."""
    wanted = (leases.c.name.in_(sorted(names)), leases.c.holder.is_not(None), leases.c.expires_at >= now)
    return select(leases.c.name).where(*wanted)


def holders(now: datetime) -> Select[Any]:
    """Those who hold leases that have not run out."""
    return select(leases.c.holder).where(leases.c.holder.is_not(None), leases.c.expires_at >= now).distinct()
