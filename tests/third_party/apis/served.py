"""HTTP servers by others, each a process on a free port of loopback, with a proxy before it that loses answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from takeback.faults import FaultyProxy
from tests.http.served import free_port

STARTING: Final = 180
"""Seconds within which a server must accept connections."""

_STOPPING: Final = 20


@dataclass(frozen=True, slots=True)
class Served:
    """A server: `url` leads past the proxy, and is what another client uses; the guard goes through `proxy`."""

    url: str
    proxy: FaultyProxy

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """What another client is answered."""
        with httpx2.Client(base_url=self.url, timeout=STARTING) as client:
            return client.request(method, path, **more)


@contextmanager
def serving(command: Sequence[str], place: Path, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Start a server and wait until it listens; `{port}` in the command stands for its port."""
    port = free_port()
    words = [word.replace("{port}", str(port)) for word in command]
    log = place / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, cwd=place, env={**os.environ, **(env or {})}, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait(process, port, log)
            with FaultyProxy(port).running() as proxy:
                yield Served(f"http://127.0.0.1:{port}", proxy)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + STARTING
    while time.monotonic() < until:
        assert process.poll() is None, f"the server has stopped: {log.read_text()[-2000:]}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # a process of others gives no other signal than that it listens
    raise AssertionError(f"the server does not listen: {log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The process and what it started, which has a session of its own."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOPPING)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOPPING)
