"""The writer: the one task of a store that writes, a batch at a time.

Two lanes. *Changes* are durable: a batch shares one sync of the disk. *Approaches* (leases, look-ups) need none. What
was queued is carried out; a caller that is cancelled only stops waiting for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection

from takeback.ledger import changes, leases, lookups, notices
from takeback.ledger.changes import Durable, Outcome
from takeback.ledger.database import first_line
from takeback.ledger.lane import AnyLane
from takeback.ports import Approach, Change, Lease, LedgerFailure

M = TypeVar("M")

_LARGEST_BATCH: Final = 128
_LONGEST_QUEUE: Final = 10_000
_CLOSE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Leases that somebody does not need any more."""

    leases: tuple[Lease, ...]


Loose = Approach | GiveBack | Callable[[Connection], Any]
"""What needs no sync."""


@dataclass(slots=True)
class _Queue(Generic[M]):
    """Members that wait for one lane, in the order in which they came."""

    waiting: deque[tuple[M, asyncio.Future[Any]]] = field(default_factory=deque)

    def add(self, member: M) -> asyncio.Future[Any]:
        if len(self.waiting) >= _LONGEST_QUEUE:
            raise LedgerFailure("the ledger has more to write than it can; try again later")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        # A caller that was cancelled asks no more; its failure must not be reported as forgotten.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.waiting.append((member, future))
        return future

    def take(self) -> list[tuple[M, asyncio.Future[Any]]]:
        return [self.waiting.popleft() for _ in range(min(len(self.waiting), _LARGEST_BATCH))]


class Writer:
    """Start it with `start`, stop it with `close`."""

    def __init__(self, durable: AnyLane, loose: AnyLane, *, committed: Callable[[Change], None]) -> None:
        self._durable_lane, self._loose_lane = durable, loose
        self._committed = committed
        self._durable: _Queue[Durable] = _Queue()
        self._loose: _Queue[Loose] = _Queue()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write. Needs a running event loop."""
        self._task = asyncio.create_task(self._serve(), name="takeback ledger writer")

    async def durable(self, member: Durable) -> Any:
        """Write durably. Raises LedgerFailure and what the member itself is to blame for."""
        return await self._queued(self._durable, member)

    async def loose(self, member: Loose) -> Any:
        """Write without a sync. Raises LedgerFailure."""
        return await self._queued(self._loose, member)

    async def _queued(self, queue: _Queue[M], member: M) -> Any:
        if self._closing or self._task is None or self._task.done():
            raise LedgerFailure("the ledger is closed")
        future = queue.add(member)
        self._wake.set()
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Write what is queued, then stop. Never raises; bounded."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1)
        await self._durable_lane.close()
        await self._loose_lane.close()

    async def _serve(self) -> None:
        try:
            while not (self._closing and not self._pending()):
                await self._wake.wait()
                if not self._closing:
                    self._wake.clear()
                while self._pending():
                    await self._round()
        finally:
            self._abandon()

    def _pending(self) -> bool:
        return bool(self._durable.waiting or self._loose.waiting)

    async def _round(self) -> None:
        # Whoever was just answered may have its next member ready after one turn of the loop: larger batches.
        await asyncio.sleep(0)
        await _answer(self._durable.take(), self._write_durable)
        await _answer(self._loose.take(), self._write_loose)

    async def _write_durable(self, members: Sequence[Durable]) -> Sequence[Outcome]:
        try:
            outcomes = await self._durable_lane.run(lambda connection: _told(changes.together, connection, members))
        except LedgerFailure:
            raise
        except Exception:
            # Whose fault it was does not show in a set: rolled back, and now each alone.
            outcomes = await self._durable_lane.run(lambda connection: _told(changes.one_by_one, connection, members))
        for change in _written(members, outcomes):
            self._committed(change)
        return outcomes

    async def _write_loose(self, members: Sequence[Loose]) -> Sequence[Outcome]:
        try:
            return await self._loose_lane.run(lambda connection: write_loose(connection, members))
        except LedgerFailure:
            raise
        except Exception:
            return await self._loose_lane.run(lambda connection: loose_one_by_one(connection, members))

    def _abandon(self) -> None:
        for _, future in [*self._durable.waiting, *self._loose.waiting]:
            if not future.done():
                future.set_exception(LedgerFailure("the ledger was closed before this was written"))
        self._durable.waiting.clear()
        self._loose.waiting.clear()


def _told(
    write: Callable[[Connection, Sequence[Durable]], list[Outcome]], connection: Connection, members: Sequence[Durable]
) -> list[Outcome]:
    """Write the members; the other stores hear of it when the transaction stands, and never when it does not."""
    outcomes = write(connection, members)
    notices.tell(connection, _written(members, outcomes))
    return outcomes


def _written(members: Sequence[Durable], outcomes: Sequence[Outcome]) -> list[Change]:
    return [
        member
        for member, outcome in zip(members, outcomes, strict=True)
        if isinstance(member, Change) and outcome is None
    ]


async def _answer(batch: list[tuple[M, asyncio.Future[Any]]], write: Callable[[Sequence[M]], Any]) -> None:
    """Write a batch and tell each member what became of it; a failure of the database is everybody's."""
    if not batch:
        return
    # What is said when the writing itself is cancelled.
    outcomes: Sequence[Outcome] = [LedgerFailure("the ledger was closed while this was being written")] * len(batch)
    try:
        outcomes = await write([member for member, _ in batch])
    except LedgerFailure as failure:
        outcomes = [failure] * len(batch)
    except Exception as error:
        outcomes = [LedgerFailure(f"the database failed: {first_line(error)}")] * len(batch)
    finally:
        _tell([future for _, future in batch], outcomes)


def _tell(futures: Sequence[asyncio.Future[Any]], outcomes: Sequence[Outcome]) -> None:
    for future, outcome in zip(futures, outcomes, strict=True):
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def write_loose(connection: Connection, members: Sequence[Loose]) -> list[Outcome]:
    """What needs no sync: first what is given back, then the approaches in their order, then the rest."""
    outcomes: list[Outcome] = [None] * len(members)
    leases.free(connection, [lease for member in members if isinstance(member, GiveBack) for lease in member.leases])
    asking = [(position, member) for position, member in enumerate(members) if isinstance(member, Approach)]
    if asking:
        approaches = [approach for _, approach in asking]
        granted = leases.grant(connection, approaches)
        for (position, _), standing in zip(asking, lookups.standings(connection, approaches, granted), strict=True):
            outcomes[position] = standing
    for position, member in enumerate(members):
        if not isinstance(member, Approach | GiveBack):
            outcomes[position] = changes.alone(connection, member)
    return outcomes


def loose_one_by_one(connection: Connection, members: Sequence[Loose]) -> list[Outcome]:
    """The same, each member in a savepoint of its own, so that only the culprit fails."""

    def single(member: Loose) -> Outcome:
        outcome = changes.alone(connection, lambda inner: write_loose(inner, [member]))
        return outcome[0] if isinstance(outcome, list) else outcome

    return [single(member) for member in members]
