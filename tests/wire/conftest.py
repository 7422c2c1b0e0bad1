"""Upstreams for the tests of the wire: real processes, real sockets on loopback, all of them stopped at the end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from takeback_tools.mcp.connector import McpConnector
from takeback_tools.mcp.settings import McpSettings

from .ears import Start, ended
from .raw_http import Handler, RawHttp

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
async def connectors(raw: object) -> AsyncIterator[list[McpConnector]]:
    """Every connector of a test. They are closed before the servers are."""
    made: list[McpConnector] = []
    yield made
    for connector in made:
        await ended(connector.close())


@pytest.fixture
def lean(connectors: list[McpConnector]) -> Start:
    return _starter(connectors, "lean_server.py")


@pytest.fixture
def odd(connectors: list[McpConnector]) -> Start:
    return _starter(connectors, "odd_server.py")


@pytest.fixture
def reach(connectors: list[McpConnector]) -> Start:
    """A connector to a URL."""

    def make(url: str, **settings: Any) -> McpConnector:
        settings = {"transport": "http", "timeout": 10.0, "start_timeout": 10.0, **settings}
        connectors.append(McpConnector("far", McpSettings(url=url, **settings)))
        return connectors[-1]

    return make


def _starter(made: list[McpConnector], program: str) -> Start:
    def make(*flags: str, **settings: Any) -> McpConnector:
        settings = {"timeout": 10.0, "start_timeout": 10.0, **settings}
        args = (str(FIXTURES / program), *flags)
        made.append(McpConnector("odd", McpSettings(command=sys.executable, args=args, **settings)))
        return made[-1]

    return make


@pytest.fixture
async def raw() -> AsyncIterator[Callable[..., Awaitable[RawHttp]]]:
    """Starts raw HTTP servers; what a handler is for is written with two underscores for a slash."""
    made: list[RawHttp] = []

    async def start(**handlers: Handler) -> RawHttp:
        made.append(RawHttp({what.replace("__", "/"): handler for what, handler in handlers.items()}))
        await made[-1].start()
        return made[-1]

    yield start
    for server in made:
        await ended(server.stop())


@pytest.fixture(scope="module")
def sdk() -> Iterator[Callable[..., str]]:
    """Starts a server of the SDK, once in a module for the same options; returns where it listens."""
    running: dict[tuple[str, ...], tuple[subprocess.Popen[str], str]] = {}

    def start(*options: str) -> str:
        if options not in running:
            command = [sys.executable, str(FIXTURES / "sdk_server.py"), *options]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            running[options] = (process, f"http://127.0.0.1:{process.stdout.readline().strip()}")
        return running[options][1]

    yield start
    for process, _ in running.values():
        process.kill()
        process.communicate(timeout=10)
