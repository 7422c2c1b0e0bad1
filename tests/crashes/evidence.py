"""What is left when a case is over: the whole ledger, read past the product, and the effects that the world counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, and_, create_engine, make_url, or_, select
from sqlalchemy.pool import NullPool

from takeback.core.action import Action, Event
from takeback.core.states import OCCUPYING
from takeback.core.vocabulary import ActionClass, Status
from takeback.ledger import rows, schema
from takeback.ledger.entries import item_from
from tests.ledger.raw import on

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Actions by id, their events, what is open in the queue (by action), and the leases that somebody holds."""

    actions: Mapping[str, Action]
    events: Mapping[str, Sequence[Event]]
    queue: Mapping[str, str]
    held: Mapping[str, datetime]

    def excerpt(self) -> str:
        """For people: each action with its story."""
        lines = []
        for action in self.actions.values():
            queued = f" QUEUED: {self.queue[action.id]}" if action.id in self.queue else ""
            lines.append(f"  {action.id} {action.name} {action.arguments} {action.status.value}{queued}")
            lines += [
                f"    {event.seq} {event.happening.value} {event.at:%S.%f} {event.detail}"
                for event in self.events.get(action.id, ())
            ]
        return "\n".join([*lines, *(f"  held: {name} until {until:%S.%f}" for name, until in self.held.items())])


def read(url: str, work: Callable[[Connection], T]) -> T:
    """Read in the database itself."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return asyncio.run(on(url, work))
    engine = create_engine(address.set(drivername="sqlite"), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return work(connection)
    finally:
        engine.dispose()


def gathered(url: str) -> Evidence:
    """Everything that the ledger says."""
    return read(url, _gathered)


def _gathered(connection: Connection) -> Evidence:
    def all_of(statement: Any) -> Sequence[Mapping[Any, Any]]:
        return connection.execute(statement).mappings().all()

    actions = [rows.action_from(row) for row in all_of(select(schema.actions).order_by(schema.actions.c.ord))]
    events: dict[str, list[Event]] = {}
    for row in all_of(select(schema.events).order_by(schema.events.c.action, schema.events.c.seq)):
        event = rows.event_from(row)
        events.setdefault(event.action, []).append(event)
    items = [item_from(row) for row in all_of(select(schema.recovery_items))]
    held = all_of(select(schema.leases).where(schema.leases.c.holder.is_not(None)))
    return Evidence(
        {action.id: action for action in actions},
        events,
        {item.action: item.why for item in items if item.closed_at is None},
        {row["name"]: row["expires_at"] for row in held},
    )


_UNDER_WAY: Final = tuple(status.value for status in OCCUPYING)
_PLAN: Final = ActionClass.WORKFLOW.value


def under_way(url: str) -> list[str]:
    """The ids of actions that occupy their targets, and of plans that a person agreed to and that nobody has begun."""

    def look(connection: Connection) -> list[str]:
        table = schema.actions
        agreed = and_(table.c.action_class == _PLAN, table.c.status == Status.APPROVED.value)
        found = select(table.c.id).where(or_(table.c.status.in_(_UNDER_WAY), agreed))
        return [row.id for row in connection.execute(found)]

    return read(url, look)
