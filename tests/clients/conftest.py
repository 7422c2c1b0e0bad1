"""The help desk behind a guard, and clients written by others in front of it, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.commands import command, takeback
from tests.third_party.environments import programs
from tests.third_party.servers import NODE, install

ROOT: Final = Path(__file__).parents[2]
DRIVERS: Final = Path(__file__).parent / "drivers"
POLICY: Final = ROOT / "policy.toml"
BOUND: Final = 60.0
CLIENTS: Final = ("typescript", "fastmcp", "langchain")


def driver(client: str) -> list[str]:
    """The program that drives a client, installed from its lock file where it is not yet."""
    if client == "typescript":
        install(DRIVERS)
        return [str(NODE), str(DRIVERS / "typescript_client.mjs")]
    return [str(programs(client) / "python"), str(DRIVERS / f"{client}_client.py")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client shows its model of one call."""

    texts: tuple[str, ...]
    error: bool

    @property
    def line(self) -> str:
        """The guard's own line, which is the last one."""
        return self.texts[-1]


class Driven:
    """A client that shook hands with the guard."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def list(self) -> list[str]:
        return list(await self._ask({"list": True}))

    async def call(self, tool: str, **arguments: Any) -> Answer:
        answer = await self._ask({"tool": tool, "arguments": arguments})
        return Answer(tuple(answer["texts"]), answer["error"])

    async def _ask(self, asked: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), BOUND)
        assert line, "the client ended; what it said stands above"
        return json.loads(line)


@dataclass(frozen=True, slots=True)
class Desk:
    """The desk of one test: its database, and what a guard in front of it needs."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            "TAKEBACK_STATE": str(self.folder),
            "HELPDESK_PYTHON": sys.executable,
            "HELPDESK": str(ROOT / "examples" / "helpdesk"),
            "HELPDESK_DB": str(self.folder / "desk.db"),
        }

    def facts(self, statement: str) -> list[Any]:
        """What the desk's database says, past guard and desk."""
        with closing(sqlite3.connect(self.folder / "desk.db")) as database:
            return database.execute(statement).fetchall()

    async def approve(self, approval: str) -> None:
        """What a person does on the command line, while the client waits."""
        done = await asyncio.to_thread(takeback, "approve", approval, "--yes", "--policy", POLICY, env=self.env)
        assert done.code == 0, done

    @asynccontextmanager
    async def driven(self, client: str, transport: str, *, forms: bool = False) -> AsyncIterator[Driven]:
        """A client in front of a guard that it starts itself, or that serves over HTTP."""
        if transport == "http":
            async with self._serving() as url, _started(client, {"url": url, "forms": forms}) as found:
                yield found
        else:
            words = command("serve", "--policy", POLICY)
            where = {"command": words, "env": {**os.environ, **self.env}, "forms": forms}
            async with _started(client, where) as found:
                yield found

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[str]:
        pipe = asyncio.subprocess.PIPE
        words = command("serve", "--http", "0", "--policy", POLICY)
        guard = await asyncio.create_subprocess_exec(*words, env={**os.environ, **self.env}, stderr=pipe)
        try:
            assert guard.stderr is not None
            told = ""
            while not (found := re.search(r"serving (http://\S+)", told)):
                line = await asyncio.wait_for(guard.stderr.readline(), BOUND)
                assert line, told
                told += line.decode()
            reading = asyncio.create_task(guard.stderr.read())
            yield found[1]
            guard.terminate()
            await asyncio.wait_for(asyncio.gather(guard.wait(), reading), BOUND)
        finally:
            await _gone(guard)


@asynccontextmanager
async def _started(client: str, where: dict[str, Any]) -> AsyncIterator[Driven]:
    pipe = asyncio.subprocess.PIPE
    words = await asyncio.to_thread(driver, client)
    process = await asyncio.create_subprocess_exec(*words, json.dumps(where), stdin=pipe, stdout=pipe)
    try:
        yield Driven(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), BOUND) == 0
    finally:
        await _gone(process)


async def _gone(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
