"""One family of schedules, in a process of its own."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.undo_world.driving import drive
from tests.undo_world.profiles import SHARES
from tests.undo_world.tally import Tally

_MEMORY: Final = Path("/dev/shm")
"""Here a ledger's syncs cost nothing; what they are worth is tested elsewhere."""


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder for a ledger."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def play(share: int, number: int, seed: int) -> tuple[int, Tally, str]:
    """Play that many schedules of one family, and say what was wrong (empty: nothing)."""
    world, profile, _ = SHARES[share]
    tally = Tally()
    with in_memory() as folder:
        try:
            drive(world, profile, folder, tally, number=number, seed_=seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported, and the other families go on
            return share, tally, "".join(traceback.format_exception(error, limit=-2))
    return share, tally, ""
