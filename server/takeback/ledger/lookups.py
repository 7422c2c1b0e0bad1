"""What the ledger says under the leases: one statement a question, for a whole batch of approaches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, case, func, select, text

from takeback.core.action import Action
from takeback.core.vocabulary import RunStatus
from takeback.ledger import concerns, freezes
from takeback.ledger.database import any_of
from takeback.ledger.leases import Grant
from takeback.ledger.rows import action_from
from takeback.ledger.schema import NOT_VOID, action_targets, actions, counters, runs
from takeback.ledger.tombstones import Graves, graves
from takeback.ports import Approach, Standing

_Key = tuple[str, str]


_FOR_TENANTS: Final = any_of(actions.c.tenant, "b_tenants")
_NEWEST: Final = (
    select(
        actions.c.tenant,
        actions.c.operation,
        func.max(case((text(NOT_VOID), actions.c.ord), else_=None)).label("newest"),
        func.max(actions.c.generation).label("highest"),
    )
    .where(_FOR_TENANTS, any_of(actions.c.operation, "b_operations"))
    .group_by(actions.c.tenant, actions.c.operation)
    .subquery("newest")
)
_EARLIER: Final = select(
    _NEWEST.c.tenant.label("for_tenant"), _NEWEST.c.operation.label("for_operation"), _NEWEST.c.highest, actions
).select_from(_NEWEST.outerjoin(actions, actions.c.ord == _NEWEST.c.newest))
_KEYED: Final = select(actions).where(_FOR_TENANTS, any_of(actions.c.client_key, "b_keys"), text(NOT_VOID))
_OCCUPYING: Final = (
    select(action_targets.c.lease_name, actions)
    .join(action_targets, action_targets.c.action == actions.c.id)
    .where(
        any_of(action_targets.c.tenant, "b_tenants"), text("occupied"), any_of(action_targets.c.lease_name, "b_names")
    )
    .order_by(actions.c.ord)
)
_COUNTERS: Final = select(counters).where(any_of(counters.c.tenant, "b_tenants"), any_of(counters.c.name, "b_names"))
_RUNS: Final = select(runs.c.tenant, runs.c.id, runs.c.status).where(
    any_of(runs.c.tenant, "b_tenants"), any_of(runs.c.id, "b_runs")
)


def standings(connection: Connection, approaches: Sequence[Approach], grants: Sequence[Grant]) -> list[Standing]:
    """What each approach may know; the order is that of the approaches."""
    earlier = _earlier(connection, approaches)
    keyed = _keyed(connection, approaches)
    occupants = _occupants(connection, approaches)
    counts = _counters(connection, approaches)
    statuses = _run_statuses(connection, approaches)
    frozen = freezes.in_force(connection, _tenants(approaches))
    worries = concerns.of_runs(connection, _tenants(approaches), _all(approaches, _run))
    pruned = graves(connection, _tenants(approaches), _all(approaches, _operation))
    return [
        Standing(
            leases=granted.leases,
            refused_by=granted.refused_by,
            **_operation_stands(approach, earlier, pruned),
            by_client_key=_by_client_key(approach, keyed) if approach.client_key else None,
            occupants=_others(approach, occupants),
            counters={name: counts.get((approach.tenant, name), 0) for name in approach.counters},
            run_status=statuses.get((approach.tenant, approach.run)),
            concerns=worries.get((approach.tenant, approach.run), ()),
            inherited=earlier.get((approach.tenant, approach.inherits), (None, -1))[0] if approach.inherits else None,
            freezes=frozen.get(approach.tenant, ()),
        )
        for approach, granted in zip(approaches, grants, strict=True)
    ]


def _operation_stands(
    approach: Approach, earlier: Mapping[_Key, tuple[Action | None, int]], pruned: Graves
) -> dict[str, Any]:
    """What is known of the approach's logical operation, in the ledger and on tombstones."""
    key = (approach.tenant, approach.operation)
    newest, highest = earlier.get(key, (None, -1))
    tombstone, buried = pruned.get(key, (None, -1))
    return {"earlier": newest, "newest_generation": max(highest, buried), "tombstone": tombstone}


def _earlier(connection: Connection, approaches: Sequence[Approach]) -> dict[_Key, tuple[Action | None, int]]:
    """By (tenant, operation): the newest action that is not void, and the highest generation."""
    inherited = {approach.inherits for approach in approaches if approach.inherits}
    wanted = {
        "b_tenants": _tenants(approaches),
        "b_operations": sorted({*_all(approaches, _operation), *inherited}),
    }
    return {
        (row["for_tenant"], row["for_operation"]): (_action_or_none(row), row["highest"])
        for row in connection.execute(_EARLIER, wanted).mappings()
    }


def _action_or_none(row: RowMapping) -> Action | None:
    return None if row["id"] is None else action_from(row)


def _keyed(connection: Connection, approaches: Sequence[Approach]) -> list[Action]:
    """The actions under any of the clients' own keys."""
    keyed = [approach for approach in approaches if approach.client_key]
    if not keyed:
        return []
    keys = _all(keyed, lambda approach: approach.client_key or "")
    wanted = {"b_tenants": _tenants(keyed), "b_keys": keys}
    return [action_from(row) for row in connection.execute(_KEYED, wanted).mappings()]


def _by_client_key(approach: Approach, keyed: Iterable[Action]) -> Action | None:
    """The action under this client's own key. Another principal's under the same word is none of its business."""
    for action in keyed:
        if (action.tenant, action.client_key) != (approach.tenant, approach.client_key):
            continue
        same_principal = approach.principal is not None and action.principal == approach.principal
        if same_principal or (approach.principal is None and action.operation == approach.operation):
            return action
    return None


def _occupants(connection: Connection, approaches: Sequence[Approach]) -> list[tuple[str, Action]]:
    """Actions that occupy a target, each with the lease name of that target, oldest first."""
    named = [approach for approach in approaches if approach.lease_names]
    if not named:
        return []
    names = sorted({name for approach in named for name in target_names(approach)})
    found = connection.execute(_OCCUPYING, {"b_tenants": _tenants(named), "b_names": names}).mappings()
    return [(row["lease_name"], action_from(row)) for row in found]


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
    found = connection.execute(_COUNTERS, {"b_tenants": _tenants(approaches), "b_names": names})
    return {(row.tenant, row.name): row.value for row in found}


def _run_statuses(connection: Connection, approaches: Sequence[Approach]) -> dict[_Key, RunStatus]:
    wanted = {"b_tenants": _tenants(approaches), "b_runs": _all(approaches, _run)}
    return {(row.tenant, row.id): RunStatus(row.status) for row in connection.execute(_RUNS, wanted)}


def _operation(approach: Approach) -> str:
    return approach.operation


def _run(approach: Approach) -> str:
    return approach.run


def _tenants(approaches: Sequence[Approach]) -> list[str]:
    return _all(approaches, lambda approach: approach.tenant)


def _all(approaches: Sequence[Approach], of: Callable[[Approach], str]) -> list[str]:
    return sorted({of(approach) for approach in approaches})
