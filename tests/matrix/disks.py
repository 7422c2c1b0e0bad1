"""A disk for a ledger that really is full: a small file system of its own, or a bound on how large a file may grow."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SIZE: Final = 4 << 20
_BLOCK: Final = bytes(1 << 12)


class Disk:
    """Room for a ledger in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Not a byte more goes onto it."""
        with (self.folder / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(_BLOCK)
            except OSError:
                return

    def free(self) -> None:
        """There is room again."""
        (self.folder / "filler").unlink()


class BoundedFiles(Disk):
    """Where nothing may be mounted: no file of this process grows beyond what the ledger's largest has now."""

    def fill(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        largest = max(file.stat().st_size for file in self.folder.glob("takeback.db-wal"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A disk on which a ledger just fits."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield Disk(folder) if mounted else BoundedFiles(folder)
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
