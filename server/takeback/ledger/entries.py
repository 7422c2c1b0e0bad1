"""The recovery queue in the ledger: entries that move by compare-and-set, and comments that are only added to.

* One open entry for one action and cause: what comes again is merged into the one that is there.
* An entry of version 1 is new; a later version must follow the one that stands, or its change is `Stale`.
* What settles itself closes its entries in the very commit that settles it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Connection, Index, String, Table, text, update
from sqlalchemy import insert as insert_rows
from sqlalchemy import select as select_rows

from takeback.core.queue import Cause, Comment, RecoveryItem, Settled
from takeback.core.vocabulary import Risk
from takeback.ledger.columns import Document, FreeText, Instant
from takeback.ledger.database import beyond, insert_into
from takeback.ledger.tables import listed, metadata, only, tenant_check
from takeback.ports import Change, Stale

OPEN: Final = "closed_at IS NULL"

recovery_items: Final = Table(
    "recovery_items",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("id", FreeText, primary_key=True),
    Column("run", FreeText, nullable=False),
    Column("action", FreeText, nullable=False),
    Column("risk", String(32), nullable=False),
    Column("why", FreeText, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("suggestion", Document),
    Column("closed_at", Instant),
    Column("closed_by", FreeText),
    Column("decision", FreeText),
    Column("reason", FreeText),
    Column("cause", String(32), nullable=False, server_default=Cause.IN_DOUBT.value),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("assignee", FreeText),
    Column("handler", FreeText),
    Column("handling", FreeText),
    Column("searchable", FreeText, nullable=False, server_default=""),
    tenant_check(),
    CheckConstraint(f"risk IN ({listed(Risk)})", name="risk"),
    Index("ix_recovery_items_tenant_action", "tenant", "action"),
    Index("ix_recovery_items_tenant_opened_at", "tenant", "opened_at", "id"),
    Index("ix_recovery_items_open", "tenant", "opened_at", "id", **only(OPEN)),
    Index("ix_recovery_items_open_run", "tenant", "run", **only(OPEN)),
    Index("uq_recovery_items_cause", "tenant", "action", "cause", unique=True, **only(OPEN)),
)

recovery_comments: Final = Table(
    "recovery_comments",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("id", FreeText, primary_key=True),
    Column("item", FreeText, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", FreeText, nullable=False),
    Column("text", FreeText, nullable=False),
    Column("searchable", FreeText, nullable=False),
    tenant_check(),
    Index("ix_recovery_comments_item", "tenant", "item", "at"),
)

Key = tuple[str, str]
"""Tenant and id."""

AGE: Final = (recovery_items.c.opened_at, recovery_items.c.id)

_ITEM: Final = tuple(one.name for one in fields(RecoveryItem))
_COMMENT: Final = tuple(one.name for one in fields(Comment))
_SAID_ANEW: Final = ("why", "searchable", "suggestion", "risk")


def item_row(item: RecoveryItem) -> dict[str, Any]:
    """The row of an entry."""
    return asdict(item) | {"risk": item.risk.value, "cause": item.cause.value, "searchable": item.why.casefold()}


def item_from(row: Mapping[Any, Any]) -> RecoveryItem:
    """The entry of a row."""
    values: dict[str, Any] = {name: row[name] for name in _ITEM}
    values |= {"risk": Risk(row["risk"]), "cause": Cause(row["cause"])}
    return RecoveryItem(**values)


def comment_from(row: Mapping[Any, Any]) -> Comment:
    """The comment of a row."""
    return Comment(**{name: row[name] for name in _COMMENT})


def standing(connection: Connection, changes: Sequence[Change]) -> dict[Key, int]:
    """The versions of the entries that these changes move on, locked against others until the transaction ends."""
    moved = sorted({(item.tenant, item.id) for change in changes for item in change.queue if item.version > 1})
    found: dict[Key, int] = {}
    for tenant, id_ in moved:
        wanted = select_rows(recovery_items.c.version).where(*_named(tenant, id_)).with_for_update()
        version = connection.execute(wanted).scalar_one_or_none()
        if version is not None:
            found[tenant, id_] = version
    return found


def check(change: Change, versions: Mapping[Key, int]) -> dict[Key, int]:
    """The versions after a change. Raises Stale when an entry is not at the one before any more."""
    after: dict[Key, int] = {}
    for item in change.queue:
        key = (item.tenant, item.id)
        if item.version > 1 and after.get(key, versions.get(key)) != item.version - 1:
            raise Stale(_MOVED.format(item.id))
        after[key] = item.version
    return after


_MOVED: Final = "somebody else was quicker with {}: look at it again"


def write(connection: Connection, changes: Sequence[Change]) -> None:
    """Write what changes say of the queue, one after the other: what a later one opens an earlier one cannot close."""
    for change in changes:
        for item in (one for one in change.queue if one.version > 1):
            _move(connection, item)
        for settled in change.settled:
            _settle(connection, settled)
        for item in (one for one in change.queue if one.version == 1):
            connection.execute(_opening(connection.dialect.name), item_row(item))
        if change.comments:
            said = [asdict(one) | {"searchable": one.text.casefold()} for one in change.comments]
            connection.execute(insert_rows(recovery_comments), said)


def _move(connection: Connection, item: RecoveryItem) -> None:
    # The version once more: what another change of the same batch did to the entry was not known when it was checked.
    stands = (*_named(item.tenant, item.id), recovery_items.c.version == item.version - 1)
    if connection.execute(update(recovery_items).where(*stands).values(item_row(item))).rowcount != 1:
        raise Stale(_MOVED.format(item.id))


def _settle(connection: Connection, settled: Settled) -> None:
    table = recovery_items.c
    connection.execute(
        update(recovery_items)
        .where(table.tenant == settled.tenant, table.action == settled.action, text(OPEN))
        .where(table.cause.in_(sorted(cause.value for cause in settled.causes)))
        .values(
            closed_at=settled.at,
            closed_by=settled.by,
            decision=settled.decision.value,
            reason=settled.reason,
            handler=None,
            handling=None,
            version=table.version + 1,
        )
    )


@cache
def _opening(dialect: str) -> Any:
    """Insert an entry; where one is open for the same action and cause, that one says what this one says."""
    statement = insert_into(dialect, recovery_items)
    new = statement.excluded
    values: dict[str, Any] = {name: new[name] for name in _SAID_ANEW}
    return statement.on_conflict_do_update(
        index_elements=["tenant", "action", "cause"],
        index_where=text(OPEN),
        set_=values | {"version": recovery_items.c.version + 1},
        where=recovery_items.c.why != new.why,
    )


def _named(tenant: str, id_: str) -> tuple[Any, Any]:
    return recovery_items.c.tenant == tenant, recovery_items.c.id == id_


def after(cursor: Sequence[Any]) -> Any:
    """What comes after the last entry of a page: its time and id."""
    return beyond(AGE, cursor)
