"""`SqlLedger`: the ledger on a database. Writes go through one writer, reads through connections of their own."""

from __future__ import annotations

import asyncio
import secrets as randomness
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from takeback.core.freezing import Freeze
from takeback.core.pins.judge import Pin
from takeback.core.policy.schema import Retention
from takeback.core.run import Run
from takeback.ledger import freezes, images, leases, notices, pins, queries, rows, schema, sightings
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
from takeback.ledger.read_actions import ActionReads
from takeback.ledger.read_queue import QueueReads
from takeback.ledger.read_records import RecordReads
from takeback.ledger.watch import Watch
from takeback.ledger.writer import GiveBack, Writer
from takeback.ports import (
    AccessEntry,
    Approach,
    Change,
    Lease,
    LedgerFailure,
    Removed,
    Sighting,
    Standing,
)

T = TypeVar("T")

_POLL_SECONDS: Final = 0.2
_POLL_LISTENING: Final = 2.0
"""Between two looks where notices arrive: they are a promise of the database, and a look is a proof."""

_FORGETS_SECONDS: Final = 2.0
"""How long a failure keeps others from trying, where no ear hears whether the database is back."""

_SECRET_BYTES: Final = 32


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


class SqlLedger(ActionReads, RecordReads, QueueReads):
    """The durable memory of every change, as `takeback.ports.Ledger` describes it. `open_ledger` makes one."""

    def __init__(
        self, readers: AsyncEngine, durable: AnyLane, loose: AnyLane, *, ear: AsyncEngine | None = None
    ) -> None:
        super().__init__(readers, Health(forgets=None if ear is not None else _FORGETS_SECONDS))
        self._watch = Watch()
        self._switch = freezes.Switch(self._frozen_now)
        self._ear = None if ear is None else Ear(ear, self._heard, self._health)
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

    async def end_runs(self, tenant: str, owner: str, at: datetime) -> None:
        """The connections of this guard ended in good order."""
        await self._writer.durable(partial(in_runs.end, tenant=tenant, owner=owner, at=at))

    async def log_access(self, entry: AccessEntry) -> None:
        """Remember a read. Returns at once; written within 100 ms."""
        self._access.add(entry)

    async def sighting(self, tenant: str, run_id: str, place: str) -> Sighting | None:
        """What a run saw last at a place; None where it never read there, or retention took it."""
        await self._access.flush()
        row = await self._one_or_none(sightings.newest(tenant, run_id, place))
        return None if row is None else Sighting(place, row["at"], images.unpacked(row["content"], row["size"]))

    async def secret(self, name: str) -> bytes:
        """32 random bytes, made at the first call for `name` and kept with the ledger."""
        found = await self._one_or_none(select(schema.secrets).where(schema.secrets.c.name == name))
        if found is not None:
            return bytes(found["value"])
        made: bytes = await self._writer.durable(partial(_secret, name=name))
        return made

    async def _write_access(self, entries: Sequence[AccessEntry]) -> None:
        await self._writer.loose(partial(_log, entries=entries))

    async def let_go(self, holder: str) -> None:
        """Free all leases of a holder that is known to be gone."""
        await self._writer.loose(partial(leases.let_go, holder=holder))
        self._watch.stir()

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

    # --- the stop switch ---

    async def freeze(self, freeze: Freeze) -> Freeze:
        """Use it. Returns the freeze that is in force then: this one, or one that stood. Raises Stale."""
        found: Freeze = await self._writer.durable(partial(_switched, partial(freezes.freeze, fresh=freeze)))
        self._heard(notices.SWITCHED)
        return found

    async def lift(self, tenant: str, freeze_id: str, *, at: datetime, by: str, reason: str) -> Freeze:
        """Thaw; returns the freeze as it stands then, by whomever it was lifted. Raises NotFound."""
        work = partial(freezes.lift, tenant=tenant, freeze_id=freeze_id, at=at, by=by, reason=reason)
        found: Freeze = await self._writer.durable(partial(_switched, work))
        self._heard(notices.SWITCHED)
        return found

    async def frozen(self, tenant: str) -> Sequence[Freeze]:
        """What is frozen, as it was known at most a second ago; sooner where other stores' notices arrive."""
        return await self._switch.stands(tenant)

    async def _frozen_now(self, tenant: str) -> tuple[Freeze, ...]:
        return tuple(await self.freezes(tenant))

    def _heard(self, news: notices.News) -> None:
        if news.switched:
            self._switch.moved()
        self._watch.heard(news)

    # --- definitions of tools ---

    async def keep(self, seen: Sequence[Pin]) -> None:
        """Remember definitions that were seen. Only the first sight of a tool makes a pin."""
        if seen:
            await self._writer.durable(partial(pins.keep, seen=tuple(seen)))

    async def accept(self, pin: Pin, *, beside: bool, by: str, at: datetime) -> None:
        """Pin a definition on a person's word. Raises NotFound."""
        await self._writer.durable(partial(pins.accept, pin=pin, beside=beside, by=by, at=at))


def _renew(connection: Connection, ours: Sequence[Lease], until: datetime) -> list[Lease]:
    return leases.renew(connection, ours, until)


def _switched(work: Callable[[Connection], Freeze], connection: Connection) -> Freeze:
    """Use the stop switch; the other stores hear of it when the transaction stands."""
    found = work(connection)
    notices.tell_of(connection, notices.SWITCHED)
    return found


def _log(connection: Connection, entries: Sequence[AccessEntry]) -> None:
    connection.execute(insert(schema.access_log), [rows.access_row(entry) for entry in entries])
    sightings.keep(connection, entries)


def _secret(connection: Connection, name: str) -> bytes:
    fresh = {"name": name, "value": randomness.token_bytes(_SECRET_BYTES)}
    insert_missing(connection, schema.secrets, [fresh])
    wanted = select(schema.secrets.c.value).where(schema.secrets.c.name == name)
    return bytes(connection.execute(wanted).scalar_one())
