"""Tombstones: what stays of pruned actions, so that none of their calls is taken for a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, select, text

from takeback.core.action import Action
from takeback.core.operation import Tombstone
from takeback.core.states import VOID
from takeback.core.vocabulary import Status
from takeback.ledger.database import any_of
from takeback.ledger.schema import NOT_VOID, tombstones

Graves = dict[tuple[str, str], tuple[Tombstone | None, int]]
"""By (tenant, operation): the newest tombstone that is not of a void action, and the highest generation of all."""

_FOR_TENANTS: Final = any_of(tombstones.c.tenant, "b_tenants")
_OF_OPERATIONS: Final = (
    select(tombstones)
    .where(_FOR_TENANTS, any_of(tombstones.c.operation, "b_operations"))
    .order_by(tombstones.c.generation)
)
_OF_KEYS: Final = select(tombstones.c.tenant, tombstones.c.key).where(_FOR_TENANTS, any_of(tombstones.c.key, "b_keys"))
_OF_CLIENT_KEYS: Final = select(tombstones.c.tenant, tombstones.c.client_key, tombstones.c.principal).where(
    _FOR_TENANTS, any_of(tombstones.c.client_key, "b_keys"), text(NOT_VOID)
)


@dataclass(frozen=True, slots=True)
class Buried:
    """Keys, and clients' own keys, that pruned actions hold for ever."""

    keys: frozenset[tuple[str, str]] = frozenset()
    client_keys: frozenset[tuple[str, str, str]] = frozenset()

    def holds(self, action: Action) -> bool:
        """Whether a new action would take the place of a pruned one."""
        own = (action.tenant, action.client_key or "", action.principal)
        return (action.tenant, action.key) in self.keys or own in self.client_keys


def buried(connection: Connection, fresh: Sequence[Action]) -> Buried:
    """What of the keys of new actions is held by tombstones."""
    if not fresh:
        return Buried()
    tenants = sorted({action.tenant for action in fresh})
    wanted = {"b_tenants": tenants, "b_keys": sorted(action.key for action in fresh)}
    keys = frozenset((row.tenant, row.key) for row in connection.execute(_OF_KEYS, wanted))
    own = sorted({action.client_key for action in fresh if action.client_key is not None})
    if not own:
        return Buried(keys)
    rows = connection.execute(_OF_CLIENT_KEYS, {"b_tenants": tenants, "b_keys": own})
    return Buried(keys, frozenset((row.tenant, row.client_key, row.principal) for row in rows))


def graves(connection: Connection, tenants: Sequence[str], operations: Sequence[str]) -> Graves:
    """What pruned actions say of logical operations.

    To be asked after what is still there: an action that is pruned in between is then seen twice and not missed.
    """
    found: Graves = {}
    wanted = {"b_tenants": tenants, "b_operations": operations}
    for row in connection.execute(_OF_OPERATIONS, wanted).mappings():
        stone = tombstone_from(row)
        newest, _ = found.get((stone.tenant, stone.operation), (None, -1))
        found[stone.tenant, stone.operation] = (newest if stone.status in VOID else stone, stone.generation)
    return found


def of_action(tenant: str, action_id: str) -> Select[Any]:
    """The tombstone of one action."""
    return select(tombstones).where(tombstones.c.tenant == tenant, tombstones.c.action == action_id)


def tombstone_from(row: Mapping[Any, Any]) -> Tombstone:
    """The tombstone of a row."""
    values: dict[str, Any] = {**row, "status": Status(row["status"])}
    return Tombstone(**values)
