"""`SqlLedger`: the ledger on a database. Writes go through one writer, reads through connections of their own."""

from __future__ import annotations

import asyncio
import secrets as randomness
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from takeback.core.action import Action, Event
from takeback.core.pins.judge import Pin
from takeback.core.policy.schema import Retention
from takeback.core.run import Approval, Checkpoint, RecoveryItem, Run, Unwinding
from takeback.core.wording import pruned
from takeback.ledger import images, leases, pins, queries, rows, schema, tombstones, unattended
from takeback.ledger import runs as in_runs
from takeback.ledger.access import AccessLog
from takeback.ledger.database import insert_missing
from takeback.ledger.ear import Ear
from takeback.ledger.engine import file_engine, parse, prepare_file, reading_engine, writing_engine
from takeback.ledger.file_lane import File, FileLane
from takeback.ledger.health import Health, Minded
from takeback.ledger.lane import AnyLane, Lane
from takeback.ledger.migrate import migrate
from takeback.ledger.prune import Position, prune
from takeback.ledger.watch import Watch
from takeback.ledger.writer import GiveBack, Writer
from takeback.ports import (
    AccessEntry,
    Approach,
    Change,
    HistoryQuery,
    Lease,
    LedgerFailure,
    NotFound,
    Page,
    Pruned,
    Removed,
    Standing,
)

T = TypeVar("T")

_POLL_SECONDS: Final = 0.2
_POLL_LISTENING: Final = 2.0
"""Between two looks where notices arrive: they are a promise of the database, and a look is a proof."""

_FORGETS_SECONDS: Final = 2.0
"""How long a failure keeps others from trying, where no ear hears whether the database is back."""

_SECRET_BYTES: Final = 32
_AT_A_TIME: Final = 500
"""Parameters of one statement; both databases take more."""


async def open_ledger(url: str) -> SqlLedger:
    """Open a ledger, creating it or bringing its tables up to date where need be. Close it with `close`.

    Raises:
        LedgerFailure: it cannot be reached, or a newer version of this program has written it.
    """
    address = parse(url)
    prepare_file(address)
    durable = writing_engine(address, durable=True)
    try:
        await migrate(durable)
    except BaseException:
        await durable.dispose()
        raise
    if address.get_backend_name() == "sqlite":
        await durable.dispose()
        file = File(file_engine(address))
        lanes: tuple[AnyLane, AnyLane] = (FileLane(file, durable=True), FileLane(file, durable=False))
    else:
        loose = writing_engine(address, durable=False)
        lanes = (Lane(durable, durable=True), Lane(loose, durable=False))
    listens = address.get_backend_name() == "postgresql"
    ear = writing_engine(address, durable=False) if listens else None
    ledger = SqlLedger(reading_engine(address), *lanes, ear=ear)
    ledger.start()
    return ledger


class SqlLedger:
    """The durable memory of every change, as `takeback.ports.Ledger` describes it. `open_ledger` makes one."""

    def __init__(
        self, readers: AsyncEngine, durable: AnyLane, loose: AnyLane, *, ear: AsyncEngine | None = None
    ) -> None:
        self._readers = readers
        self._watch = Watch()
        self._health = Health(forgets=None if ear is not None else _FORGETS_SECONDS)
        self._ear = None if ear is None else Ear(ear, self._watch.heard, self._health)
        lanes = Minded(durable, self._health), Minded(loose, self._health)
        self._writer = Writer(*lanes, committed=self._watch.committed)
        self._access = AccessLog(self._write_access)
        self._pruning = Position()

    def start(self) -> None:
        """Begin to write. Needs a running event loop."""
        self._writer.start()
        if self._ear is not None:
            self._ear.start()

    @property
    def available(self) -> bool:
        """Whether the database answered when it was last asked. A server that is silent is noticed within seconds."""
        return self._health.well

    async def close(self) -> None:
        """Write what is queued and let go of the database. Never raises; bounded."""
        await self._access.close()
        if self._ear is not None:
            await self._ear.close()
        await self._writer.close()
        await self._readers.dispose()

    # --- writing ---

    async def approach(self, approach: Approach) -> Standing:
        """Take the leases and look up what the ledger says, in one transaction (not synced to disk).

        Raises:
            LedgerFailure: it cannot be done; at once, while the database is known to be away.
        """
        if self._ear is not None and not self.available:
            raise LedgerFailure("the database does not answer")
        standing: Standing = await self._writer.loose(approach)
        return standing

    async def commit(self, change: Change) -> None:
        """Write durably. Raises Stale, KeyTaken, LeaseLost, LedgerFailure: then nothing of it stands."""
        for digest, content in change.images.items():
            images.check(digest, content)
        await self._writer.durable(change)

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back; those that are no longer ours are left alone."""
        if leases:
            await self._writer.loose(GiveBack(tuple(leases)))

    async def renew(self, leases: Sequence[Lease], until: datetime) -> Sequence[Lease]:
        """Prolong those of the leases that are still ours, and return them (not synced to disk, as they were taken)."""
        kept: Sequence[Lease] = await self._writer.loose(partial(_renew, ours=tuple(leases), until=until))
        return kept

    async def open_run(self, run: Run) -> None:
        """Insert a run, or do nothing when it is there."""
        await self._writer.durable(partial(insert_missing, table=schema.runs, rows=[rows.run_row(run)]))

    async def prune(
        self, retention: Retention, now: datetime, *, dry_run: bool = False, batches: int | None = None
    ) -> Removed:
        """Take what is older than its retention, in short transactions, at most `batches` of them; or only count it."""
        # Only what is done bit by bit goes on where the last bit ended.
        at = Position() if dry_run or batches is None else self._pruning
        do = self._read if dry_run else self._writer.loose
        return await prune(do, retention, now, dry_run=dry_run, batches=batches, at=at)

    async def shared_run(self, tenant: str, scope: str, fresh: str, now: datetime, idle: timedelta) -> str:
        """The run of callers without a connection: that of before, unless it was idle for so long, else `fresh`."""
        found: str = await self._writer.loose(
            partial(in_runs.shared, tenant=tenant, scope=scope, fresh=fresh, now=now, idle=idle)
        )
        return found

    async def broken_off(
        self, tenant: str, principal: str, client: str, *, owner: str, since: datetime
    ) -> Sequence[Run]:
        """Runs of other guards' connections to the same client, from which no run goes on yet, newest first."""
        found = await self._all(in_runs.broken_off(tenant, principal, client, owner=owner, since=since))
        return [rows.run_from(row) for row in found]

    async def end_runs(self, tenant: str, owner: str, at: datetime) -> None:
        """The connections of this guard ended in good order."""
        await self._writer.durable(partial(in_runs.end, tenant=tenant, owner=owner, at=at))

    async def went_on(self, tenant: str, run_id: str, after: datetime) -> bool:
        """Whether the client asked for anything in the run after a moment: then it had the answers of before."""
        [row] = await self._all(in_runs.went_on(tenant, run_id, after))
        return bool(row["went_on"])

    async def log_access(self, entry: AccessEntry) -> None:
        """Remember a read. Returns at once; written within 100 ms."""
        self._access.add(entry)

    async def secret(self, name: str) -> bytes:
        """32 random bytes, made at the first call for `name` and kept with the ledger."""
        found = await self._one_or_none(select(schema.secrets).where(schema.secrets.c.name == name))
        if found is not None:
            return bytes(found["value"])
        made: bytes = await self._writer.durable(partial(_secret, name=name))
        return made

    async def _write_access(self, entries: Sequence[AccessEntry]) -> None:
        await self._writer.loose(partial(_log, entries=entries))

    # --- actions ---

    async def holders(self, now: datetime) -> Sequence[str]:
        """Those who hold leases that have not run out."""
        return [row["holder"] for row in await self._all(unattended.holders(now))]

    async def is_held(self, name: str, now: datetime) -> bool:
        """Whether somebody holds a lease of that name that has not run out."""
        return bool(await self._all(unattended.held([name], now)))

    async def let_go(self, holder: str) -> None:
        """Free all leases of a holder that is known to be gone."""
        await self._writer.loose(partial(leases.let_go, holder=holder))
        self._watch.stir()

    async def unattended(self, tenant: str, now: datetime, limit: int = 200) -> Sequence[Action]:
        """Actions under way that nobody holds a lease on: what a guard began and left."""
        found = [rows.action_from(row) for row in await self._all(unattended.occupying(tenant, limit))]
        names = {name for action in found for name in action.lease_names}
        alive = {row["name"] for row in await self._all(unattended.held(names, now))} if names else set()
        return [action for action in found if alive.isdisjoint(action.lease_names)]

    async def action(self, tenant: str, action_id: str) -> Action:
        """One action. Raises NotFound; Pruned when retention took it."""
        row = await self._one_or_none(queries.action_by_id(tenant, action_id))
        if row is None:
            raise await self._missing(tenant, action_id)
        return rows.action_from(row)

    async def history(self, query: HistoryQuery) -> Page:
        """A page of actions, newest first. Raises LedgerFailure for a cursor that is none."""
        found = await self._all(queries.history(query))
        size = queries.page_size(query)
        cursor = queries.cursor_after(found[size - 1]) if len(found) > size else None
        return Page(tuple(map(rows.action_from, found[:size])), cursor)

    async def events(self, tenant: str, action_id: str) -> Sequence[Event]:
        """The events of one action, in order. Raises NotFound; Pruned when retention took them."""
        found = await self._all(queries.events_of(tenant, action_id))
        if not found:
            raise await self._missing(tenant, action_id)
        return [rows.event_from(row) for row in found]

    async def later_writes(self, action: Action) -> Sequence[Action]:
        """Actions begun after this one on one of its targets that are in force, oldest first."""
        return await self._actions(queries.later_writes(action))

    async def newest_write(self, action: Action) -> Action | None:
        """The newest action after this one on one of its targets that was read back, in force or not, if any."""
        row = await self._one_or_none(queries.newest_write(action))
        return None if row is None else rows.action_from(row)

    async def deletions_taken_back(self, action: Action) -> Sequence[Action]:
        """Later deletions of one of its targets that were taken back, oldest first."""
        return await self._actions(queries.deletions_taken_back(action))

    async def standing_after(self, action: Action) -> Sequence[Action]:
        """What its run did after it and still stands, undos and redos aside, newest first, within a bound."""
        return await self._actions(queries.standing_after(action))

    async def earlier_writes(self, action: Action, limit: int = 200) -> Sequence[Action]:
        """Actions that ran before this one on one of its targets, newest first, at most `limit`."""
        return await self._actions(queries.earlier_writes(action, limit))

    async def creations(self, tenant: str, type_: str, ids: Sequence[str]) -> Mapping[str, Action]:
        """By id: the action in force that created this target."""
        found: dict[str, Action] = {}
        for start in range(0, len(ids), _AT_A_TIME):
            rows_ = await self._all(queries.creations(tenant, type_, ids[start : start + _AT_A_TIME]))
            found |= {row["created"]: rows.action_from(row) for row in rows_}
        return found

    async def successor(self, tenant: str, action_id: str) -> Action | None:
        """The one action that repeats this one on purpose, where there is one that is not void."""
        row = await self._one_or_none(queries.successor(tenant, action_id))
        return None if row is None else rows.action_from(row)

    async def compensations(self, tenant: str, action_id: str) -> Sequence[Action]:
        """Actions that undo or redo this one, oldest first."""
        return await self._actions(queries.compensations(tenant, action_id))

    async def image(self, digest: str) -> bytes:
        """Canonical JSON by digest. Raises NotFound; Pruned when retention took it."""
        row = await self._one(queries.image_by_digest(digest), f"image {digest}")
        if row["pruned_at"] is not None:
            raise Pruned(f"image {digest} was pruned on {row['pruned_at']:%Y-%m-%d} by retention", row["pruned_at"])
        return images.unpacked(row["content"], row["size"])

    async def _missing(self, tenant: str, action_id: str) -> NotFound:
        """What is to be said of an action that is not there."""
        row = await self._one_or_none(tombstones.of_action(tenant, action_id))
        if row is None:
            return NotFound(f"there is no action {action_id}")
        stone = tombstones.tombstone_from(row)
        return Pruned(pruned(stone), stone.pruned_at)

    async def wait_for_change(self, tenant: str, action_id: str, version: int, timeout: float) -> None:
        """Return when the action has a higher version than `version`, or after `timeout` seconds at the latest."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        # The signal is for this store's commits, and others' where it listens; all of them show up in the database.
        with self._watch.on(action_id) as signal:
            while not await self._is_beyond(tenant, action_id, version) and (left := until - loop.time()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, self._pause())):
                        await signal.wait()
                signal.clear()

    def _pause(self) -> float:
        return _POLL_LISTENING if self._ear is not None and self._ear.listening else _POLL_SECONDS

    async def wait_for_any(self, timeout: float) -> bool:
        """Whether there was something for a worker since the last answer; waits for it, at most `timeout` seconds."""
        return await self._watch.stirred(timeout)

    async def _is_beyond(self, tenant: str, action_id: str, version: int) -> bool:
        row = await self._one_or_none(queries.version_of(tenant, action_id))
        return row is not None and bool(row["version"] > version)

    # --- runs, approvals, the recovery queue ---

    async def run(self, tenant: str, run_id: str) -> Run:
        """One run. Raises NotFound."""
        return rows.run_from(await self._one(queries.run_by_id(tenant, run_id), f"run {run_id}"))

    async def runs(self, tenant: str, limit: int = 50) -> Sequence[Run]:
        """The most recently active runs first."""
        return [rows.run_from(row) for row in await self._all(queries.recent_runs(tenant, limit))]

    async def approval(self, tenant: str, approval_id: str) -> Approval:
        """One approval. Raises NotFound."""
        row = await self._one(queries.approval_by_id(tenant, approval_id), f"approval {approval_id}")
        return rows.approval_from(row)

    async def approvals(self, tenant: str, *, pending_only: bool = True) -> Sequence[Approval]:
        """Approvals, oldest first."""
        found = await self._all(queries.approvals_of(tenant, pending_only=pending_only))
        return [rows.approval_from(row) for row in found]

    async def queue(self, tenant: str, *, open_only: bool = True) -> Sequence[RecoveryItem]:
        """Recovery items, oldest first."""
        return [rows.item_from(row) for row in await self._all(queries.recovery_queue(tenant, open_only=open_only))]

    async def checkpoints(self, tenant: str, run_id: str) -> Sequence[Checkpoint]:
        """The checkpoints of a run, newest first."""
        return [rows.checkpoint_from(row) for row in await self._all(queries.checkpoints_of(tenant, run_id))]

    # --- definitions of tools ---

    async def pins(self, scope: str) -> Sequence[Pin]:
        """All that is known of tools' definitions under a policy."""
        return [pins.pin_from(row) for row in await self._all(pins.of_scope(scope))]

    async def keep(self, seen: Sequence[Pin]) -> None:
        """Remember definitions that were seen. Only the first sight of a tool makes a pin."""
        if seen:
            await self._writer.durable(partial(pins.keep, seen=tuple(seen)))

    async def accept(self, pin: Pin, *, beside: bool, by: str, at: datetime) -> None:
        """Pin a definition on a person's word. Raises NotFound."""
        await self._writer.durable(partial(pins.accept, pin=pin, beside=beside, by=by, at=at))

    # --- undos of several actions ---

    async def unwindings(
        self, tenant: str, run_id: str, *, what: str | None = None, limit: int = 20
    ) -> Sequence[Unwinding]:
        """The undos of several actions that were asked for in a run, newest first."""
        found = await self._all(queries.unwindings_of(tenant, run_id, what=what, limit=limit))
        return [rows.unwinding_from(row) for row in found]

    # --- how reads are made ---

    async def _actions(self, statement: Select[Any]) -> list[Action]:
        return [rows.action_from(row) for row in await self._all(statement)]

    async def _one(self, statement: Select[Any], what: str) -> Mapping[Any, Any]:
        row = await self._one_or_none(statement)
        if row is None:
            raise NotFound(f"there is no {what}")
        return row

    async def _one_or_none(self, statement: Select[Any]) -> Mapping[Any, Any] | None:
        found = await self._all(statement)
        return found[0] if found else None

    async def _all(self, statement: Select[Any]) -> Sequence[Mapping[Any, Any]]:
        return await self._read(lambda connection: connection.execute(statement).mappings().all())

    async def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            async with self._readers.connect() as connection:
                found = await connection.run_sync(work)
        except (SQLAlchemyError, OSError, ValueError) as error:  # the last for a document that was damaged
            self._health.failed(error)
            raise LedgerFailure(f"the ledger cannot be read: {type(error).__name__}") from error
        self._health.answered()
        return found


def _renew(connection: Connection, ours: Sequence[Lease], until: datetime) -> list[Lease]:
    return leases.renew(connection, ours, until)


def _log(connection: Connection, entries: Sequence[AccessEntry]) -> None:
    connection.execute(insert(schema.access_log), [rows.access_row(entry) for entry in entries])


def _secret(connection: Connection, name: str) -> bytes:
    fresh = {"name": name, "value": randomness.token_bytes(_SECRET_BYTES)}
    insert_missing(connection, schema.secrets, [fresh])
    wanted = select(schema.secrets.c.value).where(schema.secrets.c.name == name)
    return bytes(connection.execute(wanted).scalar_one())
