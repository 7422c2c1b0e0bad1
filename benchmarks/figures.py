"""From samples to figures: medians over the rounds, their spread, and what was aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.load import MOST_IN_FLIGHT, Operation, Sample
from benchmarks.rounds import Cell, Round
from benchmarks.subjects import Subject, Transport

READ_ADDS: Final = {Transport.STDIO: 0.3, Transport.HTTP: 1.0}
READS_KEPT: Final = 0.95
WRITE_ADDS: Final = 1.0
WRITES: Final = 600.0
IMAGES: Final = 2
SYNCS: Final = 2


@dataclass(frozen=True, slots=True)
class Spread:
    """The median over the rounds, and the least and the most."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Aim:
    """Something that was aimed at, and what came of it."""

    name: str
    wanted: str
    found: Spread
    unit: str
    met: bool


def spread(values: Iterable[float]) -> Spread:
    """Over the rounds."""
    known = list(values)
    return Spread(statistics.median(known), min(known), max(known))


def over(rounds: Sequence[Round], cell: Cell, subject: Subject, of: Callable[[Sample], float]) -> Spread:
    """One figure of one subject."""
    return spread(of(each.samples[cell, subject]) for each in rounds)


def beside_direct(
    rounds: Sequence[Round], cell: Cell, subject: Subject, of: Callable[[Sample, Sample], float]
) -> Spread:
    """A figure of one subject beside the direct call of the same round, which had the same weather."""
    return spread(of(each.samples[cell, subject], each.samples[cell, Subject.DIRECT]) for each in rounds)


def added(sample: Sample, direct: Sample) -> float:
    """Milliseconds that a call takes longer, at the median."""
    return sample.p50 - direct.p50


def kept(sample: Sample, direct: Sample) -> float:
    """The share of direct calls' throughput."""
    return sample.per_second / direct.per_second


def aims(rounds: Sequence[Round], transports: Sequence[Transport]) -> list[Aim]:
    """All aims that these rounds can say something about."""
    return [aim for transport in transports for aim in _of_transport(rounds, transport)]


def _of_transport(rounds: Sequence[Round], transport: Transport) -> list[Aim]:
    one, many = (Cell(transport, Operation.READ, flight) for flight in (1, MOST_IN_FLIGHT))
    longer = beside_direct(rounds, one, Subject.TAKEBACK, added)
    share = beside_direct(rounds, many, Subject.TAKEBACK, kept)
    most = READ_ADDS[transport]
    beyond = spread(_beyond_images_and_syncs(each, transport) for each in rounds)
    writes = over(rounds, Cell(transport, Operation.WRITE, MOST_IN_FLIGHT), Subject.TAKEBACK, lambda s: s.per_second)
    name, flight = f"over {transport}", f"{MOST_IN_FLIGHT} in flight"
    beside = f"beyond {IMAGES} reads and {SYNCS} syncs"
    return [
        Aim(f"a read {name} adds, p50", f"at most {most} ms", longer, "ms", longer.median <= most),
        Aim(f"reads {name}, {flight}", f"{READS_KEPT:.0%} of direct", share, "%", share.median >= READS_KEPT),
        Aim(f"a write {name} adds, {beside}", f"at most {WRITE_ADDS} ms", beyond, "ms", beyond.median <= WRITE_ADDS),
        Aim(f"writes {name}, {flight}", f"at least {WRITES:.0f}/s", writes, "/s", writes.median >= WRITES),
    ]


def _beyond_images_and_syncs(each: Round, transport: Transport) -> float:
    """What a guarded write costs beside the call itself, less what cannot be had for nothing.

    A read of an image is taken to cost what a direct read costs a client over stdio where that was measured: it is
    stdio behind the guard, whatever the client speaks.
    """
    assert each.disk is not None
    behind = Cell(Transport.STDIO, Operation.READ, 1)
    if (behind, Subject.DIRECT) not in each.samples:
        behind = Cell(transport, Operation.READ, 1)
    write = Cell(transport, Operation.WRITE, 1)
    extra = added(each.samples[write, Subject.TAKEBACK], each.samples[write, Subject.DIRECT])
    return extra - IMAGES * each.samples[behind, Subject.DIRECT].p50 - SYNCS * each.disk.p50
