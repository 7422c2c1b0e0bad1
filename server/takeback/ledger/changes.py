"""Durable changes, a batch at a time: checked one by one, written set by set.

A member that fails a check is left out and the others are written. A violated constraint does not say whose row it was,
so then the caller rolls back and comes again with `one_by_one`, which gives each member a savepoint of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from takeback.core.action import BEGUN, Action
from takeback.ledger import entries, images, leases, tombstones
from takeback.ledger.database import any_of, failing, first_line, insert_into, replace_rows, violated
from takeback.ledger.rows import (
    action_row,
    approval_row,
    checkpoint_row,
    event_row,
    run_row,
    target_rows,
    unwinding_row,
)
from takeback.ledger.schema import (
    action_targets,
    actions,
    approvals,
    checkpoints,
    counters,
    events,
    runs,
    unwindings,
)
from takeback.ports import Change, KeyTaken, LedgerFailure, Stale

Single = Callable[[Connection], Any]
"""A small durable piece of work that is no change: it gets a savepoint of its own, and its value is handed back."""

Durable = Change | Single
Outcome = Any
"""What became of a member: its value (None for a change), or the exception that it gets."""

_FIXED: Final = BEGUN | {"ord", "id", "created_at"}
"""Said once: left out of updates, which then touch fewer indexes."""

_WRITTEN: Final[dict[str, Any]] = {c.name: bindparam(c.name) for c in actions.c if c.name not in _FIXED}
_VERSIONS = (
    select(actions.c.id, actions.c.tenant, actions.c.version)
    .where(any_of(actions.c.id, "b_known"))
    .order_by(actions.c.id)
    .with_for_update()
)
_NEW_ACTIONS, _NEW_EVENTS, _NEW_TARGETS = insert(actions), insert(events), insert(action_targets)
_NO_TARGETS = delete(action_targets).where(any_of(action_targets.c.action, "b_retargeted"))
_UPDATE: Final = (
    update(actions).where(actions.c.id == bindparam("b_id"), actions.c.tenant == bindparam("b_tenant")).values(_WRITTEN)
)
_OCCUPY: Final = (
    update(action_targets)
    .where(action_targets.c.action == bindparam("b_action"), action_targets.c.occupied != bindparam("b_occupied"))
    .values(occupied=bindparam("b_occupied"))
)

_TAKEN: Final = (
    ("uq_actions_tenant_key", "actions.tenant, actions.key", "this idempotency key"),
    ("uq_actions_tenant_operation_generation", "actions.tenant, actions.operation, actions.generation",
     "this generation of the operation"),
    ("uq_actions_successor", "actions.tenant, actions.original", "the place of the successor"),
    ("uq_actions_client_key", "actions.tenant, actions.client_key, actions.principal", "the client's own key"),
)  # fmt: skip
_FORKED: Final = (("pk_events", "events.action, events.seq"), ("uq_actions_id", "actions.id"))


def together(connection: Connection, members: Sequence[Durable]) -> list[Outcome]:
    """Write the members as one set.

    Raises:
        Exception: some member cannot be written, and it does not show which; roll back and write them one by one.
    """
    outcomes: list[Outcome] = [None] * len(members)
    changes = [(position, member) for position, member in enumerate(members) if isinstance(member, Change)]
    ground = _Ground.of(connection, [change for _, change in changes])
    sound: list[Change] = []
    for position, change in changes:
        try:
            ground.accept(change)
        except LedgerFailure as failure:
            outcomes[position] = failure
        else:
            sound.append(change)
    try:
        _write(connection, sound)
    except Stale as stale:  # of one member, and no answer to the others
        raise _Mixed from stale
    for position, member in enumerate(members):
        if not isinstance(member, Change):
            outcomes[position] = alone(connection, member)
    return outcomes


class _Mixed(Exception):
    """One of several members cannot be written; alone it is told so."""


def one_by_one(connection: Connection, members: Sequence[Durable]) -> list[Outcome]:
    """Write each member in a savepoint of its own, so that only the culprit fails."""
    return [alone(connection, _writing(member) if isinstance(member, Change) else member) for member in members]


def _writing(change: Change) -> Single:
    def write(connection: Connection) -> None:
        _Ground.of(connection, [change]).accept(change)
        _write(connection, [change])

    return write


def alone(connection: Connection, work: Single) -> Outcome:
    """Do the work in a savepoint: its value, or what went wrong, which then left nothing behind.

    Raises:
        DBAPIError: the connection, the transaction or the database is in trouble, not only this work.
    """
    try:
        with connection.begin_nested():
            return work(connection)
    except LedgerFailure as failure:
        return failure
    except IntegrityError as error:
        return _verdict(error)
    except Exception as error:
        if isinstance(error, DBAPIError) and failing(error):
            raise
        return LedgerFailure(f"the ledger cannot write this: {type(error).__name__}")


def _verdict(error: IntegrityError) -> LedgerFailure:
    for constraint, columns, what in _TAKEN:
        if violated(error, constraint, columns):
            return KeyTaken(f"another guard has {what} already: join its action")
    if any(violated(error, constraint, columns) for constraint, columns in _FORKED):
        return Stale("somebody else moved the action on: read it again")
    return LedgerFailure(f"the ledger refuses this change: {first_line(error)}")


@dataclass(slots=True)
class _Ground:
    """What a batch rests on, kept up to date while its members are accepted: versions, owners, leases."""

    versions: dict[str, int] = field(default_factory=dict)
    tenants: dict[str, str] = field(default_factory=dict)
    held: dict[str, tuple[str | None, int]] = field(default_factory=dict)
    buried: tombstones.Buried = field(default_factory=tombstones.Buried)
    entries: dict[entries.Key, int] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection, changes: Sequence[Change]) -> _Ground:
        # Leases before actions, in every guard: two batches that lock in different orders would wait for each other.
        held = leases.current(connection, (lease for change in changes for lease in change.leases))
        known = sorted({event.action for change in changes for event, _ in change.actions if event.seq > 1})
        fresh = [action for change in changes for event, action in change.actions if event.seq == 1]
        ground = cls(held=held, buried=tombstones.buried(connection, fresh))
        if known:
            for row in connection.execute(_VERSIONS, {"b_known": known}):
                ground.versions[row.id], ground.tenants[row.id] = row.version, row.tenant
        ground.entries = entries.standing(connection, changes)
        return ground

    def accept(self, change: Change) -> None:
        """Check a change against what stands and what was accepted before it; remember it when it is sound."""
        _check_tenants(change)
        leases.check(change.leases, self.held)
        moved: dict[str, int] = {}
        for event, action in change.actions:
            if (event.action, event.seq) != (action.id, action.version):
                made = f"version {action.version} of {action.id}"
                raise LedgerFailure(f"event {event.seq} of {event.action} does not make {made}")
            if event.seq == 1 and self.buried.holds(action):
                raise KeyTaken("this was done before, and is older than its retention: look again")
            if self.tenants.get(action.id, action.tenant) != action.tenant:
                raise LedgerFailure(f"{action.id} belongs to another tenant")
            if event.seq != moved.get(action.id, self.versions.get(action.id, 0)) + 1:
                raise Stale(f"{action.id} is not at version {event.seq - 1} any more: read it again")
            moved[action.id] = event.seq
        self.entries |= entries.check(change, self.entries)
        self.versions |= moved
        self.tenants |= {action.id: action.tenant for _, action in change.actions}
        self.held |= {lease.name: (None, lease.fence) for lease in change.release if lease.name in self.held}


def _check_tenants(change: Change) -> None:
    named = {action.tenant for _, action in change.actions}
    for rows in (change.approvals, change.runs, change.checkpoints, change.unwindings):
        named |= {row.tenant for row in rows}
    for of_queue in (change.queue, change.settled, change.comments):
        named |= {row.tenant for row in of_queue}
    if "" in named or (change.counters and not change.tenant):
        raise LedgerFailure("a change names no tenant")
    if change.tenant and named - {change.tenant}:
        raise LedgerFailure("a change reaches into another tenant")


def _write(connection: Connection, changes: Sequence[Change]) -> None:
    _write_actions(connection, changes)
    images.keep(connection, changes)
    replace_rows(connection, approvals, _latest([approval_row(a) for change in changes for a in change.approvals]))
    replace_rows(connection, runs, _latest([run_row(run) for change in changes for run in change.runs]))
    entries.write(connection, changes)
    replace_rows(
        connection, checkpoints, _latest([checkpoint_row(one) for change in changes for one in change.checkpoints])
    )
    asked = [unwinding_row(one) for change in changes for one in change.unwindings]
    replace_rows(connection, unwindings, _latest(asked))
    _add_to_counters(connection, changes)
    leases.free(connection, [lease for change in changes for lease in change.release])


def _write_actions(connection: Connection, changes: Sequence[Change]) -> None:
    facts = [fact for change in changes for fact in change.actions]
    if not facts:
        return
    latest = {action.id: action for _, action in facts}
    fresh = {event.action for event, _ in facts if event.seq == 1}
    retargeted = {event.action for event, _ in facts if "targets" in event.changes} - fresh
    if fresh:
        connection.execute(_NEW_ACTIONS, [action_row(latest[id_]) for id_ in latest if id_ in fresh])
    # The events come before the updates: whoever comes second must fail before it overwrites a row.
    connection.execute(_NEW_EVENTS, [event_row(event) for event, _ in facts])
    if moved := [_update_row(action_row(action)) for id_, action in sorted(latest.items()) if id_ not in fresh]:
        connection.execute(_UPDATE, moved)
        connection.execute(_OCCUPY, [_occupation(latest[row["b_id"]]) for row in moved])
    if retargeted:
        connection.execute(_NO_TARGETS, {"b_retargeted": sorted(retargeted)})
    if targets := [row for id_ in latest if id_ in fresh | retargeted for row in target_rows(latest[id_])]:
        connection.execute(_NEW_TARGETS, targets)


def _occupation(action: Action) -> dict[str, Any]:
    return {"b_action": action.id, "b_occupied": action.occupies}


def _update_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _WRITTEN} | {"b_id": row["id"], "b_tenant": row["tenant"]}


def _latest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last row of each (tenant, id), sorted by it: one statement may not write a row twice."""
    found = {(row["tenant"], row["id"]): row for row in rows}
    return [found[key] for key in sorted(found)]


def _add_to_counters(connection: Connection, changes: Sequence[Change]) -> None:
    sums: dict[tuple[str, str], int] = {}
    for change in changes:
        for name, amount in change.counters.items():
            sums[change.tenant, name] = sums.get((change.tenant, name), 0) + amount
    if not sums:
        return
    connection.execute(
        _adding(connection.dialect.name),
        [{"tenant": tenant, "name": name, "value": sums[tenant, name]} for tenant, name in sorted(sums)],
    )


@cache
def _adding(dialect: str) -> Any:
    statement = insert_into(dialect, counters)
    total = counters.c.value + statement.excluded.value
    return statement.on_conflict_do_update(index_elements=["tenant", "name"], set_={"value": total})
