"""The upstreams of the matrix: real processes with faults before them, and the journal that says what they did."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from takeback.faults import Fault, FaultyLines, FaultyProxy
from tests.matrix.policies import Kind

_PROGRAM: Final = str(Path(__file__).parents[1] / "fixtures" / "store_server.py")
_METHODS: Final = {"get": "GET", "entries": "GET", "set": "PUT"}
_PATIENCE: Final = 10.0
_POLL: Final = 0.005


class World:
    """One upstream, the way to it, and its journal."""

    kind: Kind

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self._doomed = False

    def where(self, *, direct: bool = False) -> str:
        """The lines of the policy that say where it is; `direct`: past the faults."""
        raise NotImplementedError

    def order(self, fault: Fault, tool: str, record: str) -> None:
        """Let the next such call meet a fault."""
        raise NotImplementedError

    async def let_land(self) -> None:
        """Let go what is late."""
        raise NotImplementedError

    @property
    def pending(self) -> bool:
        """Whether an order was not met yet."""
        raise NotImplementedError

    async def back(self) -> None:
        """Start it again where it died."""

    def die_with_the_next_write(self) -> None:
        """Carried out, and never answered."""
        self._dying.touch()
        self._doomed = True

    @property
    def died(self) -> bool:
        """Whether it has done so."""
        return not self._dying.exists()

    @property
    def _dying(self) -> Path:
        return Path(f"{self.journal}.die")

    def _lines(self, record: str) -> list[dict[str, Any]]:
        with suppress(FileNotFoundError):
            lines = [json.loads(line) for line in self.journal.read_text().splitlines()]
            return [line for line in lines if line["id"] == record]
        return []

    def effects(self, record: str) -> int:
        """How often a record was changed: the upstream's own count."""
        return sum(bool(line["changed"]) for line in self._lines(record))

    async def land(self, record: str) -> None:
        """Let go what is late, and wait until it is done."""
        before = len(self._lines(record))
        await self.let_land()
        async with asyncio.timeout(_PATIENCE):
            while len(self._lines(record)) == before:
                await asyncio.sleep(_POLL)


class OverStdio(World):
    """A server that the connector starts, behind a relay."""

    kind: Kind = "stdio"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "journal")
        self._lines_to = FaultyLines(folder / "orders", [sys.executable, _PROGRAM, "stdio", str(self.journal)])

    def where(self, *, direct: bool = False) -> str:
        first, *rest = self._lines_to.command
        return f"command = {json.dumps(first)}\nargs = {json.dumps(rest)}\n"

    def order(self, fault: Fault, tool: str, record: str) -> None:
        self._lines_to.order(fault, tool)

    async def let_land(self) -> None:
        await self._lines_to.land()

    @property
    def pending(self) -> bool:
        return self._lines_to.pending


class OverHttp(World):
    """A process of its own, behind a proxy."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        super().__init__(folder / "journal")
        self.kind = kind
        self._process: subprocess.Popen[str] | None = None
        self._proxy = FaultyProxy(self._started(0))

    @contextmanager
    def running(self) -> Iterator[OverHttp]:
        """Until it is stopped."""
        try:
            with self._proxy.running():
                yield self
        finally:
            self._stop()

    def _started(self, port: int) -> int:
        command = [sys.executable, _PROGRAM, self.kind, str(self.journal), "--port", str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=_PATIENCE)

    async def back(self) -> None:
        if self._doomed and self.died and self._process is not None:
            self._doomed = False
            await asyncio.to_thread(self._process.communicate, timeout=_PATIENCE)
            self._started(self._proxy.server_port)

    def where(self, *, direct: bool = False) -> str:
        url = f"http://127.0.0.1:{self._proxy.server_port}" if direct else self._proxy.url
        return f'url = "{url}/mcp"\n' if self.kind == "mcp" else f'base_url = "{url}"\n'

    def order(self, fault: Fault, tool: str, record: str) -> None:
        if self.kind == "mcp":
            self._proxy.order(fault, "POST", "/mcp", f'"{tool}"'.encode())
        else:
            self._proxy.order(fault, _METHODS.get(tool, "POST"), f"/{tool}/{record}")

    async def let_land(self) -> None:
        self._proxy.land()

    @property
    def pending(self) -> bool:
        return self._proxy.pending
