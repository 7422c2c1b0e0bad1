"""The load: reads and writes for a while, a fixed number of them in flight at any moment."""

from __future__ import annotations

import asyncio
import gc
import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import Any, Final

from benchmarks.process import BOUND, processor_seconds
from benchmarks.subjects import Running

MOST_IN_FLIGHT: Final = 32
_KEYS_EACH: Final = 4
_WARM_UP_SHARE: Final = 0.25
_MILLI: Final = 1000.0


class Operation(StrEnum):
    """What is called."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one cell of one round gave. Times are milliseconds."""

    calls: int
    p50: float
    p95: float
    per_second: float
    processor: float
    """Milliseconds of processor time that the measured process took for one call: it hardly minds other load."""


@dataclass(slots=True)
class Load:
    """Calls to one subject. Every write gives its record a value that it never had, so that none is a replay."""

    running: Running
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def seed(self) -> None:
        """Create every record; reads and before-images find something from now on."""
        async with asyncio.timeout(BOUND):
            for worker in range(MOST_IN_FLIGHT):
                await asyncio.gather(*(self._write(worker, turn) for turn in range(_KEYS_EACH)))

    async def measured(self, operation: Operation, in_flight: int, seconds: float) -> Sample:
        """Warm up, then measure."""
        self.running.client.let_go()
        await self._driven(operation, in_flight, seconds * _WARM_UP_SHARE)
        pid = self.running.process.pid
        gc.collect()
        gc.disable()  # a collection in the client would stand in somebody's 95th percentile
        try:
            used, begun = processor_seconds(pid), perf_counter()
            times = await self._driven(operation, in_flight, seconds)
            took, used = perf_counter() - begun, processor_seconds(pid) - used
        finally:
            gc.enable()
        cuts = statistics.quantiles(times, n=20, method="inclusive")
        return Sample(
            calls=len(times),
            p50=statistics.median(times) * _MILLI,
            p95=cuts[-1] * _MILLI,
            per_second=len(times) / took,
            processor=used / len(times) * _MILLI,
        )

    async def _driven(self, operation: Operation, in_flight: int, seconds: float) -> list[float]:
        call = self._read if operation is Operation.READ else self._write
        times: list[float] = []
        until = perf_counter() + seconds
        async with asyncio.timeout(seconds + BOUND):
            await asyncio.gather(*(_worker(call, worker, times, until) for worker in range(in_flight)))
        return times

    async def _read(self, worker: int, turn: int) -> None:
        result = await self.running.client.call("get", {"key": _key(worker, turn)})
        if result.get("isError"):
            raise RuntimeError(f"a read failed: {result}")

    async def _write(self, worker: int, turn: int) -> None:
        arguments = {"key": _key(worker, turn), "value": f"value {next(self._numbers)}"}
        result = await self.running.client.call("set", arguments)
        meta = result.get("_meta") or {}
        recorded = not self.running.subject.guards or (
            meta.get("io.takeback/verified") == "yes" and not meta.get("io.takeback/replayed")
        )
        if result.get("isError") or not recorded:
            raise RuntimeError(f"a write was not what is to be measured: {result}")


async def _worker(call: Callable[[int, int], Any], worker: int, times: list[float], until: float) -> None:
    for turn in itertools.count():
        begun = perf_counter()
        if begun >= until and turn:
            return
        await call(worker, turn)
        times.append(perf_counter() - begun)


def _key(worker: int, turn: int) -> str:
    # Each worker has records of its own: two writes to one record have to wait for each other, by design.
    return f"record-{worker}-{turn % _KEYS_EACH}"
