"""What is read of the recovery queue: entries by what is looked for, with what each is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, text

from takeback.core.queue import Comment, RecoveryItem
from takeback.ledger import rows, unattended
from takeback.ledger.columns import from_micros, to_micros
from takeback.ledger.cursors import cursor_of, place_of
from takeback.ledger.entries import AGE, OPEN, after, comment_from, item_from, recovery_comments, recovery_items
from takeback.ledger.reader import Reader
from takeback.ledger.schema import actions, runs
from takeback.ports import LedgerFailure, QueueEntry, QueuePage, QueueQuery

LARGEST_PAGE: Final = 200
LONGEST_TEXT: Final = 1000
_LONGEST_CURSOR: Final = 400


class QueueReads(Reader):
    """The recovery queue, as `takeback.ports.QueueLedger` describes it."""

    async def queue(self, tenant: str, *, run: str | None = None, open_only: bool = True) -> Sequence[RecoveryItem]:
        """Recovery items (of one run, where it is named), oldest first."""
        items = _items(tenant, open_only=open_only)
        items = items if run is None else items.where(recovery_items.c.run == run)
        return [item_from(row) for row in await self._all(items.order_by(*AGE))]

    async def items_of(self, tenant: str, action_id: str, *, open_only: bool = True) -> Sequence[RecoveryItem]:
        """The items of one action, oldest first."""
        of_action = _items(tenant, open_only=open_only).where(recovery_items.c.action == action_id)
        return [item_from(row) for row in await self._all(of_action.order_by(*AGE))]

    async def entries(self, query: QueueQuery, now: datetime) -> QueuePage:
        """A page of entries. Raises LedgerFailure for a cursor that is none, or a text that is too long."""
        size = max(1, min(query.limit, LARGEST_PAGE))
        found = [item_from(row) for row in await self._all(_page(query, size + 1))]
        entries = tuple(await self._with_what_they_are_about(query.tenant, found[:size], now))
        return QueuePage(entries, _cursor(found[size - 1]) if len(found) > size else None)

    async def entry(self, tenant: str, item_id: str, now: datetime) -> QueueEntry:
        """One entry. Raises NotFound."""
        wanted = _items(tenant, open_only=False).where(recovery_items.c.id == item_id)
        item = item_from(await self._one(wanted, f"{item_id} in the recovery queue"))
        return (await self._with_what_they_are_about(tenant, [item], now))[0]

    async def comments(self, tenant: str, item_id: str) -> Sequence[Comment]:
        """What was said of an entry, oldest first."""
        said = recovery_comments.c
        wanted = select(recovery_comments).where(said.tenant == tenant, said.item == item_id)
        return [comment_from(row) for row in await self._all(wanted.order_by(said.at, said.id))]

    async def _with_what_they_are_about(
        self, tenant: str, items: Sequence[RecoveryItem], now: datetime
    ) -> list[QueueEntry]:
        if not items:
            return []
        acts = await self._all(_actions(tenant, {item.action for item in items}))
        begun = await self._all(_begun(tenant, {item.run for item in items}))
        held = await self._all(unattended.held({item.lease_name for item in items}, now))
        by_id = {row["id"]: rows.action_from(row) for row in acts}
        by_run = {row["id"]: row for row in begun}
        names = {row["name"] for row in held}
        return [
            QueueEntry(
                item=item,
                action=by_id.get(item.action),
                request=by_run[item.run]["request"] if item.run in by_run else None,
                trace=by_run[item.run]["trace"] if item.run in by_run else None,
                held=item.lease_name in names,
            )
            for item in items
        ]


def _items(tenant: str, *, open_only: bool) -> Select[Any]:
    statement = select(recovery_items).where(recovery_items.c.tenant == tenant)
    return statement.where(text(f"recovery_items.{OPEN}")) if open_only else statement


def _page(query: QueueQuery, most: int) -> Select[Any]:
    if len(query.text or "") > LONGEST_TEXT:
        raise LedgerFailure(f"a text of more than {LONGEST_TEXT} characters is not searched for")
    statement = _items(query.tenant, open_only=query.open_only).where(*_filters(query))
    if query.cursor is not None:
        statement = statement.where(after(_place(query.cursor)))
    return statement.order_by(*AGE).limit(most)


def _filters(query: QueueQuery) -> list[ColumnElement[bool]]:
    item = recovery_items.c
    exact = ((item.run, query.run), (item.action, query.action), (item.risk, query.risk and query.risk.value))
    filters: list[ColumnElement[bool]] = [column == wanted for column, wanted in exact if wanted is not None]
    if query.assignee is not None:
        filters.append(item.assignee == query.assignee if query.assignee else item.assignee.is_(None))
    if query.before is not None:
        filters.append(item.opened_at < query.before)
    if query.after is not None:
        filters.append(item.opened_at >= query.after)
    if query.text:
        filters.append(_says(query.text))
    return filters


def _says(words: str) -> ColumnElement[bool]:
    """Whether an entry says so itself, or its action's tool and targets, or a comment on it."""
    wanted, item, said = rows.folded(words), recovery_items.c, recovery_comments.c
    of_action = and_(actions.c.tenant == item.tenant, actions.c.id == item.action)
    of_item = and_(said.tenant == item.tenant, said.item == item.id)
    return or_(
        item.searchable.contains(wanted, autoescape=True),
        exists().where(of_action, actions.c.searchable.contains(wanted, autoescape=True)),
        exists().where(of_item, said.searchable.contains(wanted, autoescape=True)),
    )


def _actions(tenant: str, ids: set[str]) -> Select[Any]:
    return select(actions).where(actions.c.tenant == tenant, actions.c.id.in_(sorted(ids)))


def _begun(tenant: str, ids: set[str]) -> Select[Any]:
    return select(runs.c.id, runs.c.request, runs.c.trace).where(runs.c.tenant == tenant, runs.c.id.in_(sorted(ids)))


def _cursor(item: RecoveryItem) -> str:
    """Where the page after this entry begins."""
    return cursor_of(f"q{to_micros(item.opened_at)}:{item.id}")


def _place(cursor: str) -> tuple[datetime, str]:
    """The time and the id that a cursor stands for. Raises LedgerFailure: it is not one of ours."""
    try:
        plain = place_of(cursor[:_LONGEST_CURSOR])
        kind, micros, id_ = plain[:1], *plain[1:].split(":", 1)
        at = from_micros(int(micros))
    except (ValueError, OverflowError):
        kind, at, id_ = "", from_micros(0), ""
    if kind != "q" or not id_:
        raise LedgerFailure("this cursor is none of the queue's: begin again without one")
    return at, id_
