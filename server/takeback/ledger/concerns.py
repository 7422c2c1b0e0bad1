"""What may pause a run, and what else is going on in runs: for each write, and for whoever looks at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, String, case, func, literal, null, or_, select, text, union_all

from takeback.core.pausing import WORRYING, Concern
from takeback.core.queue import Cause
from takeback.core.run import Run
from takeback.core.run_state import RunFacts
from takeback.core.states import UNSETTLED
from takeback.core.vocabulary import Risk, Status
from takeback.ledger.database import any_of
from takeback.ledger.schema import OF_ITEM, OPEN, UNDECIDED, access_log, actions, recovery_items
from takeback.ledger.tables import listed

_Key = tuple[str, str]
"""Tenant and run."""

_DOUBT: Final = select(
    actions.c.tenant,
    actions.c.run,
    actions.c.id.label("action"),
    literal(Cause.IN_DOUBT.value, String).label("cause"),
    actions.c.risk,
    actions.c.updated_at.label("since"),
    null().label("item"),
).where(
    any_of(actions.c.tenant, "b_tenants"),
    any_of(actions.c.run, "b_runs"),
    text(f"actions.{UNDECIDED}"),
    text(f"actions.status = '{Status.IN_DOUBT.value}'"),
)
_QUEUED: Final = (
    select(
        recovery_items.c.tenant,
        recovery_items.c.run,
        recovery_items.c.action,
        recovery_items.c.cause,
        recovery_items.c.risk,
        recovery_items.c.opened_at.label("since"),
        recovery_items.c.id.label("item"),
    )
    .join_from(
        recovery_items,
        actions,
        OF_ITEM,
    )
    .where(
        any_of(recovery_items.c.tenant, "b_tenants"),
        any_of(recovery_items.c.run, "b_runs"),
        text(f"recovery_items.{OPEN}"),
        text(f"recovery_items.cause IN ({listed(WORRYING)})"),
        # What was in doubt and proved to have no effect worries nobody; its entry asks whether to try it again.
        or_(actions.c.status != Status.FAILED.value, actions.c.in_force),
    )
)
_CONCERNS: Final = union_all(_DOUBT, _QUEUED)


def of_runs(connection: Connection, tenants: Sequence[str], runs: Sequence[str]) -> dict[_Key, tuple[Concern, ...]]:
    """By (tenant, run): what may pause it."""
    found: dict[_Key, tuple[Concern, ...]] = {}
    for row in connection.execute(_CONCERNS, {"b_tenants": tenants, "b_runs": runs}).mappings():
        key = (row["tenant"], row["run"])
        found[key] = (*found.get(key, ()), _concern(row))
    return found


def _concern(row: Mapping[Any, Any]) -> Concern:
    return Concern(
        action=row["action"],
        cause=Cause(row["cause"]),
        risk=Risk(row["risk"]),
        since=row["since"],
        item=row["item"],
    )


def facts(connection: Connection, runs: Sequence[Run]) -> list[RunFacts]:
    """What is going on in runs of one tenant."""
    if not runs:
        return []
    tenant, names = runs[0].tenant, sorted({run.id for run in runs})
    worries = of_runs(connection, [tenant], names)
    doings = {row["run"]: row for row in connection.execute(_doings(tenant, names)).mappings()}
    reads: dict[str, datetime] = {row["run"]: row["at"] for row in connection.execute(_reads(tenant, names)).mappings()}
    return [
        _facts_of(run, doings.get(run.id, {}), reads.get(run.id), worries.get((tenant, run.id), ())) for run in runs
    ]


def _facts_of(run: Run, doing: Mapping[Any, Any], read: datetime | None, concerns: tuple[Concern, ...]) -> RunFacts:
    known = (run.active_at, doing.get("at"), read)
    return RunFacts(
        active_at=max(at for at in known if at is not None),
        unsettled=doing.get("unsettled") or 0,
        going_back=doing.get("going_back") or 0,
        concerns=concerns,
    )


def _doings(tenant: str, runs: Sequence[str]) -> Select[Any]:
    unsettled = actions.c.status.in_([status.value for status in UNSETTLED])
    going_back = actions.c.status == Status.COMPENSATING.value
    return (
        select(
            actions.c.run,
            func.max(actions.c.updated_at).label("at"),
            func.sum(case((unsettled, 1), else_=0)).label("unsettled"),
            func.sum(case((going_back, 1), else_=0)).label("going_back"),
        )
        .where(actions.c.tenant == tenant, actions.c.run.in_(runs))
        .group_by(actions.c.run)
    )


def _reads(tenant: str, runs: Sequence[str]) -> Select[Any]:
    at = func.max(access_log.c.at).label("at")
    of_runs = (access_log.c.tenant == tenant, access_log.c.run.in_(runs))
    return select(access_log.c.run, at).where(*of_runs).group_by(access_log.c.run)
