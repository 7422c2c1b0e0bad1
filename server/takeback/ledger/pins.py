"""Pins in the database. Nothing but an acceptance, and the first sight of a tool, makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, select, update

from takeback.core.pins.judge import Pin, PinState
from takeback.ledger.database import insert_missing
from takeback.ledger.schema import pins
from takeback.ports import NotFound

MOST_UNPINNED: Final = 8
"""Definitions of one tool that are kept without being pinned: one that changes at each look must not fill the disk."""


def of_scope(scope: str) -> Select[Any]:
    """All pins of a policy."""
    order = (pins.c.upstream, pins.c.tool, pins.c.seen_at, pins.c.digest)
    return select(pins).where(pins.c.scope == scope).order_by(*order)


def pin_from(row: Mapping[Any, Any]) -> Pin:
    """A row as a pin."""
    return Pin(
        scope=row["scope"],
        upstream=row["upstream"],
        tool=row["tool"],
        digest=row["digest"],
        definition=row["definition"],
        state=PinState(row["state"]),
        seen_at=row["seen_at"],
        first_use=bool(row["first_use"]),
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
    )


def keep(connection: Connection, seen: Sequence[Pin]) -> None:
    """Insert what is new. Of what is there only offers and retired ones may change, and never into pins."""
    for pin in seen:
        insert_missing(connection, pins, [_row(pin)])
        if pin.state is not PinState.PINNED:
            changed = update(pins).where(_this(pin), pins.c.state != PinState.PINNED.value)
            connection.execute(changed.values(state=pin.state.value, seen_at=pin.seen_at))
            _forget(connection, pin)


def accept(connection: Connection, pin: Pin, *, beside: bool, by: str, at: datetime) -> None:
    """Pin a row that is there. Raises NotFound."""
    found = connection.execute(select(pins.c.digest).where(_this(pin)).with_for_update()).first()
    if found is None:
        raise NotFound(f"there is no definition {pin.digest[:12]} of {pin.name}")
    if not beside:
        others = update(pins).where(_tool(pin), pins.c.state == PinState.PINNED.value)
        connection.execute(others.values(state=PinState.RETIRED.value))
    pinned = update(pins).where(_this(pin))
    connection.execute(pinned.values(state=PinState.PINNED.value, decided_at=at, decided_by=by))


def _forget(connection: Connection, pin: Pin) -> None:
    """Delete the oldest that are not pinned. The first one ever stays: it says that the tool was seen before."""
    spare = _tool(pin) & (pins.c.state != PinState.PINNED.value) & ~pins.c.first_use
    oldest = select(pins.c.digest).where(spare).order_by(pins.c.seen_at.desc(), pins.c.digest).offset(MOST_UNPINNED)
    connection.execute(delete(pins).where(spare, pins.c.digest.in_(oldest.scalar_subquery())))


def _tool(pin: Pin) -> Any:
    return (pins.c.scope == pin.scope) & (pins.c.upstream == pin.upstream) & (pins.c.tool == pin.tool)


def _this(pin: Pin) -> Any:
    return _tool(pin) & (pins.c.digest == pin.digest)


def _row(pin: Pin) -> dict[str, Any]:
    return {
        "scope": pin.scope,
        "upstream": pin.upstream,
        "tool": pin.tool,
        "digest": pin.digest,
        "definition": pin.definition,
        "state": pin.state.value,
        "first_use": pin.first_use,
        "seen_at": pin.seen_at,
        "decided_at": pin.decided_at,
        "decided_by": pin.decided_by,
    }
