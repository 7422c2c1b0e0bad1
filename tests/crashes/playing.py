"""Parts of an enumeration, in processes that each keep a stage."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

from tests.crashes.cases import Case, Recording, Result, Stage, stage

_MEMORY: Final = Path("/dev/shm")
"""Where syncing a file costs nothing. A process that is killed loses nothing of what the kernel has."""

_AT_THE_END: Final = 10


def fresh_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for ledgers that are made by the thousand."""
    return tempfile.TemporaryDirectory(prefix="takeback-crashes-", dir=_MEMORY if _MEMORY.is_dir() else None)


@cache
def _own_stage() -> Stage:
    """The stage of this process, which is left when it ends."""
    stack = ExitStack()
    Finalize(None, stack.close, exitpriority=_AT_THE_END)
    folder = stack.enter_context(fresh_folder())
    return stack.enter_context(stage(Path(folder)))


def record(case: Case) -> tuple[Case, Recording]:
    """What a workload does undisturbed."""
    return case, _own_stage().recording(case)


def play(part: list[tuple[Case, Recording]]) -> list[Result]:
    """What becomes of each case, held against the undisturbed workload."""
    on = _own_stage()
    return [on.play(case, recording) for case, recording in part]
