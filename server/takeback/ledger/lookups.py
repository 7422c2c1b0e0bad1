"""What the ledger says under the leases: one statement a question, for a whole batch of approaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, case, func, select, text

from takeback.core.action import Action
from takeback.core.vocabulary import RunStatus
from takeback.ledger.leases import Grant
from takeback.ledger.rows import action_from
from takeback.ledger.schema import NOT_VOID, OCCUPIES, action_targets, actions, counters, runs
from takeback.ports import Approach, Standing

_Key = tuple[str, str]


def standings(connection: Connection, approaches: Sequence[Approach], grants: Sequence[Grant]) -> list[Standing]:
    """What each approach may know; the order is that of the approaches."""
    earlier = _earlier(connection, approaches)
    keyed = _by_client_key(connection, approaches)
    occupants = _occupants(connection, approaches)
    counts = _counters(connection, approaches)
    statuses = _run_statuses(connection, approaches)
    return [
        Standing(
            leases=granted.leases,
            refused_by=granted.refused_by,
            earlier=earlier.get((approach.tenant, approach.operation), (None, -1))[0],
            newest_generation=earlier.get((approach.tenant, approach.operation), (None, -1))[1],
            by_client_key=keyed.get((approach.tenant, approach.operation)) if approach.client_key else None,
            occupants=_others(approach, occupants),
            counters={name: counts.get((approach.tenant, name), 0) for name in approach.counters},
            run_status=statuses.get((approach.tenant, approach.run)),
        )
        for approach, granted in zip(approaches, grants, strict=True)
    ]


def _earlier(connection: Connection, approaches: Sequence[Approach]) -> dict[_Key, tuple[Action | None, int]]:
    """By (tenant, operation): the newest action that is not void, and the highest generation."""
    standing = case((text(NOT_VOID), actions.c.ord), else_=None)
    newest = (
        select(actions.c.tenant, actions.c.operation, func.max(standing).label("newest"),
               func.max(actions.c.generation).label("highest"))  # fmt: skip
        .where(actions.c.tenant.in_(_tenants(approaches)), actions.c.operation.in_(_all(approaches, _operation)))
        .group_by(actions.c.tenant, actions.c.operation)
        .subquery("newest")
    )
    statement = select(
        newest.c.tenant.label("for_tenant"), newest.c.operation.label("for_operation"), newest.c.highest, actions
    ).select_from(newest.outerjoin(actions, actions.c.ord == newest.c.newest))
    return {
        (row["for_tenant"], row["for_operation"]): (_action_or_none(row), row["highest"])
        for row in connection.execute(statement).mappings()
    }


def _action_or_none(row: RowMapping) -> Action | None:
    return None if row["id"] is None else action_from(row)


def _by_client_key(connection: Connection, approaches: Sequence[Approach]) -> dict[_Key, Action]:
    """By (tenant, operation): the action under the client's own key.

    The operation is part of the question because the key alone is a client's word, and another principal's action
    under the same word is none of this client's business.
    """
    keyed = [approach for approach in approaches if approach.client_key]
    if not keyed:
        return {}
    statement = (
        select(actions)
        .where(
            actions.c.tenant.in_(_tenants(keyed)),
            actions.c.client_key.in_(_all(keyed, lambda approach: approach.client_key or "")),
            actions.c.operation.in_(_all(keyed, _operation)),
            text(NOT_VOID),
        )
        .order_by(actions.c.ord)
    )
    found = map(action_from, connection.execute(statement).mappings())
    return {(action.tenant, action.operation): action for action in found}


def _occupants(connection: Connection, approaches: Sequence[Approach]) -> list[tuple[str, Action]]:
    """Actions that occupy a target, each with the lease name of that target, oldest first."""
    named = [approach for approach in approaches if approach.lease_names]
    if not named:
        return []
    statement: Select[Any] = (
        select(action_targets.c.lease_name, actions)
        .join(action_targets, and_(action_targets.c.action == actions.c.id, action_targets.c.tenant == actions.c.tenant))
        .where(
            actions.c.tenant.in_(_tenants(named)),
            text(OCCUPIES),
            action_targets.c.lease_name.in_(sorted({name for approach in named for name in target_names(approach)})),
        )
        .order_by(actions.c.ord)
    )
    return [(row["lease_name"], action_from(row)) for row in connection.execute(statement).mappings()]


def target_names(approach: Approach) -> set[str]:
    """What targets are called on whose leases the approach rests: a lease's name may have `tenant/` before it."""
    names = set(approach.lease_names)
    return names | {name.removeprefix(f"{approach.tenant}/") for name in names}


def _others(approach: Approach, occupants: Iterable[tuple[str, Action]]) -> tuple[Action, ...]:
    names = target_names(approach)
    found = {
        action.id: action
        for name, action in occupants
        if name in names and action.tenant == approach.tenant and action.operation != approach.operation
    }
    return tuple(found.values())


def _counters(connection: Connection, approaches: Sequence[Approach]) -> dict[_Key, int]:
    names = sorted({name for approach in approaches for name in approach.counters})
    if not names:
        return {}
    statement = select(counters).where(counters.c.tenant.in_(_tenants(approaches)), counters.c.name.in_(names))
    return {(row.tenant, row.name): row.value for row in connection.execute(statement)}


def _run_statuses(connection: Connection, approaches: Sequence[Approach]) -> dict[_Key, RunStatus]:
    statement = select(runs.c.tenant, runs.c.id, runs.c.status).where(
        runs.c.tenant.in_(_tenants(approaches)), runs.c.id.in_(_all(approaches, lambda approach: approach.run))
    )
    return {(row.tenant, row.id): RunStatus(row.status) for row in connection.execute(statement)}


def _operation(approach: Approach) -> str:
    return approach.operation


def _tenants(approaches: Sequence[Approach]) -> list[str]:
    return _all(approaches, lambda approach: approach.tenant)


def _all(approaches: Sequence[Approach], of: Callable[[Approach], str]) -> list[str]:
    return sorted({of(approach) for approach in approaches})
