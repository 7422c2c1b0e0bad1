"""The rounds: in each, every subject is started anew, and every cell is measured for one subject after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks import disk
from benchmarks.disk import Disk
from benchmarks.load import MOST_IN_FLIGHT, Load, Operation, Sample
from benchmarks.process import peak_memory, quiet
from benchmarks.subjects import Place, Subject, Transport, Upstream, running

SUBJECTS: Final = {
    Transport.STDIO: (Subject.DIRECT, Subject.PROXY, Subject.TAKEBACK),
    Transport.HTTP: (Subject.DIRECT, Subject.SDK_SERVER, Subject.PROXY, Subject.TAKEBACK),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured in one go, for each subject."""

    transport: Transport
    operation: Operation
    in_flight: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run measures, and for how long."""

    rounds: int
    seconds: float
    transports: Sequence[Transport]
    folder: Path
    """Where the ledgers live: their disk is part of what is measured."""
    upstream: Upstream = Upstream.LEAN
    postgresql: Callable[[], str] | None = None
    """Makes the address of a fresh ledger on PostgreSQL."""

    def subjects(self, transport: Transport) -> tuple[Subject, ...]:
        """PostgreSQL is looked at over stdio only: what differs is behind the guard."""
        more = transport is Transport.STDIO and self.postgresql is not None
        # With the SDK's server upstream, that one is what "direct" means.
        left_out = Subject.SDK_SERVER if self.upstream is Upstream.SDK else None
        known = [subject for subject in SUBJECTS[transport] if subject is not left_out]
        return (*known, *([Subject.POSTGRESQL] if more else []))


@dataclass(slots=True)
class Round:
    """Everything that one round measured."""

    samples: dict[tuple[Cell, Subject], Sample] = field(default_factory=dict)
    memory: dict[tuple[Transport, Subject], int] = field(default_factory=dict)
    disk: Disk | None = None


def cells(transport: Transport) -> list[Cell]:
    """Reads before writes: after writes, a guard still has its ledger to look after."""
    return [Cell(transport, operation, flight) for operation in Operation for flight in (1, MOST_IN_FLIGHT)]


async def carried_out(plan: Plan, told: Callable[[str], None]) -> list[Round]:
    """Measure. `told` hears how far it is."""
    rounds = []
    for number in range(1, plan.rounds + 1):
        this = Round()
        with TemporaryDirectory(prefix="takeback-bench-", dir=plan.folder) as folder:
            for transport in plan.transports:
                told(f"round {number} of {plan.rounds}, {transport}")
                await _measure(plan, transport, Path(folder), this)
            this.disk = disk.measured(Path(folder), plan.seconds)
        rounds.append(this)
    return rounds


async def _measure(plan: Plan, transport: Transport, folder: Path, this: Round) -> None:
    async with _started(plan, transport, folder) as loads:
        for cell in cells(transport):
            for load in loads:
                subject, pid = load.running.subject, load.running.process.pid
                sample = await load.measured(cell.operation, cell.in_flight, plan.seconds)
                this.samples[cell, subject] = sample
                this.memory[transport, subject] = max(this.memory.get((transport, subject), 0), peak_memory(pid))
                await quiet(pid)


@asynccontextmanager
async def _started(plan: Plan, transport: Transport, folder: Path) -> AsyncIterator[list[Load]]:
    async with AsyncExitStack() as stack:
        loads = []
        for subject in plan.subjects(transport):
            ledger = plan.postgresql() if subject is Subject.POSTGRESQL and plan.postgresql else None
            place = Place(folder, plan.upstream, ledger)
            loads.append(Load(await stack.enter_async_context(running(subject, transport, place))))
            await loads[-1].seed()
            await quiet(loads[-1].running.process.pid)
        yield loads
