"""How quickly the disk syncs, by itself: a durable write cannot be quicker."""

from __future__ import annotations

import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

_FRAME: Final = 4096 + 24
"""A page in SQLite's write-ahead log, with its header."""

_FRAMES: Final = 4
"""What a small commit adds to the log. More pages than it needs would make a ledger look better than it is."""

_LENGTH: Final = 1000 * _FRAME
"""Where SQLite begins the log anew, by default."""


@dataclass(frozen=True, slots=True)
class Disk:
    """One measurement. Milliseconds for one sync; syncs in a second."""

    p50: float
    p95: float
    per_second: float


def measured(folder: Path, seconds: float) -> Disk:
    """Write and sync like the write-ahead log of a ledger in this folder would, one after the other."""
    sync = os.fsync if sys.platform == "darwin" else os.fdatasync
    block, position = os.urandom(_FRAME * _FRAMES), 0
    times: list[float] = []
    path = folder / "sync"
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        # A log that has been begun anew is overwritten; growing a file is another, slower thing.
        os.pwrite(file, os.urandom(_LENGTH + len(block)), 0)
        os.fsync(file)
        begun = perf_counter()
        while (now := perf_counter()) - begun < seconds or len(times) < 2:  # noqa: PLR2004 (a percentile needs two)
            os.pwrite(file, block, position)
            sync(file)
            times.append((perf_counter() - now) * 1000)
            position = (position + len(block)) % _LENGTH
        took = perf_counter() - begun
    finally:
        os.close(file)
        path.unlink()
    return Disk(statistics.median(times), statistics.quantiles(times, n=20)[-1], len(times) / took)
