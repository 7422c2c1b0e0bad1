"""The stop switch in the ledger: a row for each use of it, lifted and never deleted.

`Switch` is what a store remembers of it, so that a read need not ask the database each time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, CheckConstraint, Column, Connection, Index, Select, String, Table, select, text, update

from takeback.core.freezing import Freeze, FreezeKind
from takeback.ledger.columns import FreeText, Instant
from takeback.ledger.database import any_of, insert_missing
from takeback.ledger.tables import listed, metadata, only, tenant_check
from takeback.ports import LedgerFailure, NotFound, Stale

IN_FORCE: Final = "lifted_at IS NULL"

SEEN_WITHIN: Final = 1.0
"""Seconds after which what is remembered of the switch is looked up anew."""

freezes: Final = Table(
    "freezes",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("id", FreeText, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("name", FreeText, nullable=False),
    Column("reads", Boolean, nullable=False),
    Column("since", Instant, nullable=False),
    Column("frozen_by", FreeText, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("lifted_at", Instant),
    Column("lifted_by", FreeText),
    Column("lifted_reason", FreeText),
    tenant_check(),
    CheckConstraint("name <> ''", name="name"),
    CheckConstraint(f"kind IN ({listed(FreezeKind)})", name="kind"),
    Index("uq_freezes_in_force", "tenant", "kind", "name", unique=True, **only(IN_FORCE)),
)

_FOR_TENANTS: Final = select(freezes).where(any_of(freezes.c.tenant, "b_tenants"), text(IN_FORCE))


def freeze_from(row: Mapping[Any, Any]) -> Freeze:
    """The freeze of a row."""
    values: dict[str, Any] = {**row, "kind": FreezeKind(row["kind"])}
    return Freeze(**values)


def of_tenant(tenant: str, *, in_force_only: bool, limit: int) -> Select[Any]:
    """A tenant's freezes, the newest first."""
    found = select(freezes).where(freezes.c.tenant == tenant).order_by(freezes.c.since.desc(), freezes.c.id)
    return (found.where(text(IN_FORCE)) if in_force_only else found).limit(limit)


def in_force(connection: Connection, tenants: Sequence[str]) -> dict[str, tuple[Freeze, ...]]:
    """By tenant: what is frozen now."""
    found: dict[str, tuple[Freeze, ...]] = {}
    for row in connection.execute(_FOR_TENANTS, {"b_tenants": list(tenants)}).mappings():
        found[row["tenant"]] = (*found.get(row["tenant"], ()), freeze_from(row))
    return found


def freeze(connection: Connection, fresh: Freeze) -> Freeze:
    """Freeze it; returns the freeze that is in force then: an earlier one stays, unless it let reads pass.

    Raises:
        Stale: somebody thaws it at this very moment.
    """
    known = _known(connection, fresh)
    if known is not None and fresh.reads and not known.reads:
        _lift(connection, known, fresh.since, fresh.frozen_by, f"frozen with its reads: {fresh.reason}")
    insert_missing(connection, freezes, [asdict(fresh) | {"kind": fresh.kind.value}])
    if (now := _known(connection, fresh)) is None:
        raise Stale(f"{fresh.what} is thawed by somebody at this moment: look again")
    return now


def lift(connection: Connection, tenant: str, freeze_id: str, at: datetime, by: str, reason: str) -> Freeze:
    """Thaw; returns the freeze as it stands then: whoever lifted it first is the one that is recorded.

    Raises:
        NotFound: the tenant has no such freeze.
    """
    wanted = select(freezes).where(freezes.c.tenant == tenant, freezes.c.id == freeze_id)
    row = connection.execute(wanted.with_for_update()).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no freeze {freeze_id}")
    _lift(connection, freeze_from(row), at, by, reason)
    return freeze_from(connection.execute(wanted).mappings().one())


def _known(connection: Connection, like: Freeze) -> Freeze | None:
    wanted = select(freezes).where(
        freezes.c.tenant == like.tenant, freezes.c.kind == like.kind.value, freezes.c.name == like.name, text(IN_FORCE)
    )
    row = connection.execute(wanted.with_for_update()).mappings().one_or_none()
    return freeze_from(row) if row is not None else None


def _lift(connection: Connection, known: Freeze, at: datetime, by: str, reason: str) -> None:
    own = freezes.c.tenant == known.tenant, freezes.c.id == known.id, text(IN_FORCE)
    connection.execute(update(freezes).where(*own).values(lifted_at=at, lifted_by=by, lifted_reason=reason))


@dataclass(frozen=True, slots=True)
class _Seen:
    found: tuple[Freeze, ...]
    at: float


class Switch:
    """What a store remembers of the stop switch, by tenant: at most `SEEN_WITHIN` old, and less where it is told."""

    def __init__(self, look: Callable[[str], Awaitable[tuple[Freeze, ...]]]) -> None:
        self._look = look
        self._seen: dict[str, _Seen] = {}
        self._last: dict[str, tuple[Freeze, ...]] = {}
        self._moves = 0
        self._looking = asyncio.Lock()

    def moved(self) -> None:
        """Something was frozen or thawed: what is remembered does not count any more."""
        self._moves += 1
        self._seen.clear()

    async def stands(self, tenant: str) -> tuple[Freeze, ...]:
        """What is frozen; where it cannot be looked up, what was when it last could. Raises LedgerFailure."""
        if (seen := self._fresh(tenant)) is not None:
            return seen.found
        async with self._looking:  # one looks for all who came meanwhile
            while (seen := self._fresh(tenant)) is None:
                moves, at = self._moves, time.monotonic()
                try:
                    found = await self._look(tenant)
                except LedgerFailure:
                    if tenant in self._last:
                        return self._last[tenant]
                    raise
                self._last[tenant] = found
                if moves == self._moves:
                    self._seen[tenant] = _Seen(found, at)
                    return found
        return seen.found

    def _fresh(self, tenant: str) -> _Seen | None:
        seen = self._seen.get(tenant)
        return seen if seen is not None and time.monotonic() - seen.at < SEEN_WITHIN else None
