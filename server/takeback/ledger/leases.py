"""Leases: the right to work on a target for a while, with a fencing number that grows with every new holder.

A lease that ran out is still its holder's until somebody else takes it. A released one keeps its row, so that the
fence never starts again. All functions run inside the writer's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, case, or_, select, update

from takeback.ledger.database import any_of, insert_into
from takeback.ledger.schema import leases
from takeback.ports import Approach, Lease, LeaseLost

_OURS = (
    (leases.c.name == bindparam("b_name"))
    & (leases.c.holder == bindparam("b_holder"))
    & (leases.c.fence == bindparam("b_fence"))
)
_FREE = update(leases).where(_OURS).values(holder=None)
_PROLONG = update(leases).where(_OURS).values(expires_at=bindparam("b_until"))
_RESTORE = (
    update(leases)
    .where(leases.c.name == bindparam("b_name"))
    .values({column: bindparam(f"b_{column}") for column in ("holder", "fence", "taken_at", "expires_at")})
)

_LOCKED = select(leases).where(any_of(leases.c.name, "b_names")).order_by(leases.c.name).with_for_update()
_HELD = (
    select(leases.c.name, leases.c.holder, leases.c.fence)
    .where(any_of(leases.c.name, "b_names"))
    .order_by(leases.c.name)
    .with_for_update()
)

_Lease = dict[str, Any]
"""The row of a lease."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What an approach got: all its leases, or none and the name of a holder that is in the way."""

    leases: tuple[Lease, ...] = ()
    refused_by: str | None = None


def grant(connection: Connection, approaches: Sequence[Approach]) -> list[Grant]:
    """Give each approach all of its leases or none, in the order given: of two that want the same, the first.

    Each round asks for names that do not overlap, so that one statement can take them all; whoever overlaps waits for
    the next round, and is refused without asking when the one in front got what both want.
    """
    grants: list[Grant | None] = [None] * len(approaches)
    taken: dict[str, str] = {}
    before = _locked(connection, {name for approach in approaches for name in approach.lease_names})
    waiting = list(range(len(approaches)))
    while waiting:
        asking, waiting = _disjoint(approaches, waiting, taken, grants)
        for position, outcome in zip(asking, _take(connection, [approaches[i] for i in asking], before), strict=True):
            grants[position] = outcome
            for lease in outcome.leases:
                taken[lease.name] = lease.holder
                before[lease.name] = _row(lease, approaches[position].now)
    return [outcome or Grant() for outcome in grants]


def _locked(connection: Connection, names: set[str]) -> dict[str, _Lease]:
    """The rows of leases as they stand, locked in sorted order, so that no two guards wait for each other."""
    if not names:
        return {}
    return {row["name"]: dict(row) for row in connection.execute(_LOCKED, {"b_names": sorted(names)}).mappings()}


def _disjoint(
    approaches: Sequence[Approach], waiting: Iterable[int], taken: Mapping[str, str], grants: list[Grant | None]
) -> tuple[list[int], list[int]]:
    """Who asks in this round and who waits; refuses those that want what another of this batch has got."""
    asked: set[str] = set()
    asking: list[int] = []
    later: list[int] = []
    for position in waiting:
        approach = approaches[position]
        names = set(approach.lease_names)
        others = {taken[name] for name in names & taken.keys()} - {approach.holder}
        if others:
            grants[position] = Grant(refused_by=min(others))
        elif names & asked:
            later.append(position)
        else:
            asked |= names
            asking.append(position)
    return asking, later


def _take(connection: Connection, approaches: Sequence[Approach], before: Mapping[str, _Lease]) -> list[Grant]:
    """Ask for the leases of approaches that do not overlap; what those got that did not get all is put back."""
    rows = sorted((row for approach in approaches for row in _wanted(approach)), key=lambda row: str(row["name"]))
    if not rows:
        return [Grant() for _ in approaches]
    statement = _upsert(connection.dialect.name)
    fences: dict[str, int] = {row.name: row.fence for row in connection.execute(statement, rows)}
    missed = {str(row["name"]) for row in rows} - fences.keys()
    # A name that nobody had held before may have been taken by another guard at this very moment.
    holders = {**before, **_locked(connection, missed - before.keys())}
    outcomes = [_outcome(approach, fences, holders) for approach in approaches]
    refused = [approach for approach, outcome in zip(approaches, outcomes, strict=True) if outcome.refused_by]
    _put_back(connection, [lease for approach in refused for lease in _got(approach, fences)], before)
    return outcomes


def _wanted(approach: Approach) -> list[_Lease]:
    until = approach.now + approach.lease_for
    return [
        {"name": name, "holder": approach.holder, "fence": 1, "taken_at": approach.now, "expires_at": until}
        for name in dict.fromkeys(approach.lease_names)
    ]


@cache
def _upsert(dialect: str) -> Any:
    statement = insert_into(dialect, leases)
    new = statement.excluded
    grown = case((leases.c.holder == new.holder, leases.c.fence), else_=leases.c.fence + 1)
    return statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": new.holder, "fence": grown, "taken_at": new.taken_at, "expires_at": new.expires_at},
        where=or_(leases.c.holder.is_(None), leases.c.expires_at < new.taken_at, leases.c.holder == new.holder),
    ).returning(leases.c.name, leases.c.fence)


def _outcome(approach: Approach, fences: Mapping[str, int], holders: Mapping[str, _Lease]) -> Grant:
    missed = [name for name in sorted(approach.lease_names) if name not in fences]
    if not missed:
        return Grant(tuple(_got(approach, fences)))
    # A holder that let go in between is in nobody's way any more, and is still an answer.
    return Grant(refused_by=holders[missed[0]]["holder"] or "another")


def _got(approach: Approach, fences: Mapping[str, int]) -> list[Lease]:
    until = approach.now + approach.lease_for
    names = sorted(set(approach.lease_names) & fences.keys())
    return [Lease(name, approach.holder, fences[name], until) for name in names]


def _put_back(connection: Connection, got: Sequence[Lease], before: Mapping[str, _Lease]) -> None:
    """As it was, and not free: the holder may have had the lease already, or another's had run out unnoticed."""
    free(connection, [lease for lease in got if lease.name not in before])
    known = [before[lease.name] for lease in got if lease.name in before]
    rows = [{f"b_{column}": value for column, value in row.items()} for row in known]
    if rows:
        connection.execute(_RESTORE, rows)


def _row(lease: Lease, taken_at: datetime) -> _Lease:
    return {
        "name": lease.name,
        "holder": lease.holder,
        "fence": lease.fence,
        "taken_at": taken_at,
        "expires_at": lease.expires_at,
    }


def free(connection: Connection, given: Iterable[Lease]) -> None:
    """Give leases back; those that are not their holder's any more are left alone."""
    rows = [_params(lease) for lease in sorted(given, key=lambda lease: lease.name)]
    if rows:
        connection.execute(_FREE, rows)


def let_go(connection: Connection, holder: str) -> None:
    """Free what a holder has that will not come back. The rows stay, so that the next holder's fence is higher."""
    connection.execute(update(leases).where(leases.c.holder == holder).values(holder=None))


def renew(connection: Connection, ours: Sequence[Lease], until: datetime) -> list[Lease]:
    """Let those of the leases that are still held as they say last until then; returns them."""
    held = current(connection, ours)
    kept = [lease for lease in ours if held.get(lease.name) == (lease.holder, lease.fence)]
    rows = [{**_params(lease), "b_until": until} for lease in sorted(kept, key=lambda lease: lease.name)]
    if rows:
        connection.execute(_PROLONG, rows)
    return kept


def current(connection: Connection, named: Iterable[Lease]) -> dict[str, tuple[str | None, int]]:
    """Holder and fence of leases by name, locked against others until the transaction ends."""
    names = sorted({lease.name for lease in named})
    if not names:
        return {}
    return {row.name: (row.holder, row.fence) for row in connection.execute(_HELD, {"b_names": names})}


def check(ours: Iterable[Lease], held: Mapping[str, tuple[str | None, int]]) -> None:
    """Raises LeaseLost when one of the leases is not held as it says."""
    for lease in ours:
        if held.get(lease.name) != (lease.holder, lease.fence):
            raise LeaseLost(f"the lease on {lease.name} is not ours any more; nothing was written")


def _params(lease: Lease) -> dict[str, Any]:
    return {"b_name": lease.name, "b_holder": lease.holder, "b_fence": lease.fence}
