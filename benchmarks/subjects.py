"""What is measured: which program, in front of what, spoken to over which transport."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Final

from benchmarks.clients import Client, HttpClient, StdioClient
from benchmarks.process import ServerProcess, started

ROOT: Final = Path(__file__).parents[1]
LEAN: Final = ROOT / "tests" / "fixtures" / "lean_server.py"

POLICY: Final = Template("""
[ledger]
url = $ledger
[defaults]
tenant = "acme"
user = "agent"
timeout = "30s"
# One run of an agent does not make a hundred thousand writes; a benchmark does.
limits = { writes_per_run = 1000000000, same_call = 1000000000 }
[upstream.lean]
command = $python
args = $arguments
lands_within = "1s"
[[rule]]
tool = "lean.get"
class = "read_only"
[[rule]]
tool = "lean.set"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.key" }
read = { tool = "lean.get", args = { key = "args.key" } }
undo = { tool = "lean.set", args = { key = "target.id", value = "before.value" } }
""")


class Transport(StrEnum):
    """Towards the client; the upstream of a proxy is always on stdio."""

    STDIO = "stdio"
    HTTP = "http"


class Subject(StrEnum):
    """Who answers."""

    DIRECT = "direct"
    SDK_SERVER = "SDK server"
    PROXY = "SDK proxy"
    TAKEBACK = "takeback"
    POSTGRESQL = "takeback on PostgreSQL"

    @property
    def guards(self) -> bool:
        """Whether it is Takeback, whose writes are recorded."""
        return self in {Subject.TAKEBACK, Subject.POSTGRESQL}


class Upstream(StrEnum):
    """What stands at the end of the line."""

    LEAN = "lean"
    """No SDK: the hardest to compare with."""
    SDK = "sdk"
    """The same tools behind the SDK's server: what most servers are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject runs, and on what."""

    folder: Path
    upstream: Upstream
    ledger: str | None = None
    """The ledger's address; without one, a file in the folder."""

    def behind(self) -> list[str]:
        """The interpreter's arguments that start the upstream on stdio."""
        return [str(LEAN)] if self.upstream is Upstream.LEAN else ["-m", "benchmarks.sdk_server"]


@dataclass(frozen=True, slots=True)
class Running:
    """A subject that has been started and has shaken hands."""

    subject: Subject
    process: ServerProcess
    client: Client


@asynccontextmanager
async def running(subject: Subject, transport: Transport, place: Place) -> AsyncIterator[Running]:
    """Start a subject."""
    own = place.folder / f"{subject.name.lower()}-{transport}"
    own.mkdir()
    http = transport is Transport.HTTP
    env = {"TAKEBACK_STATE": str(own)}  # nothing of the account that measures may be read or changed
    async with started(_command(subject, place, own, http=http), env, ROOT, serves_http=http) as process:
        client: Client = HttpClient(process.port.result()) if http else StdioClient(process)
        try:
            await client.handshake()
            yield Running(subject, process, client)
        finally:
            client.let_go()


def _command(subject: Subject, place: Place, own: Path, *, http: bool) -> list[str]:
    over = ["--http"] if http else []
    if subject.guards:
        policy = _policy(place, own)
        return _python("-m", "takeback.cli", "serve", "--policy", str(policy), *([*over, "0"] if http else []))
    if subject is Subject.PROXY:
        return _python("-m", "benchmarks.sdk_server", *over, "--upstream", *place.behind())
    if subject is Subject.SDK_SERVER or (http and place.upstream is Upstream.SDK):
        return _python("-m", "benchmarks.sdk_server", *over)
    return _python(*(["-m", "benchmarks.direct_http"] if http else place.behind()))


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _policy(place: Place, own: Path) -> Path:
    ledger = place.ledger or f"sqlite+aiosqlite:///{own}/takeback.db"
    values = {"ledger": ledger, "python": sys.executable, "arguments": place.behind()}
    path = own / "policy.toml"
    path.write_text(POLICY.substitute({name: json.dumps(value) for name, value in values.items()}), encoding="utf-8")
    return path
