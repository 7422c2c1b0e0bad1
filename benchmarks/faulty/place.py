"""What is compared: who stands in front of the faulty upstream, over which transport, by which plan."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


class Transport(StrEnum):
    """Towards the upstream."""

    STDIO = "stdio"
    HTTP = "HTTP"


class Subject(StrEnum):
    """Who stands in front of the upstream."""

    DIRECT = "direct"
    FASTMCP = "FastMCP proxy"
    MCP_PROXY = "mcp-proxy"
    TAKEBACK = "Takeback"
    BY_RESULT = "Takeback, id known only from the reply"
    KEYS = "Takeback, upstream honours keys"

    @property
    def guards(self) -> bool:
        """Whether it has a ledger."""
        return self in {Subject.TAKEBACK, Subject.BY_RESULT, Subject.KEYS}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject runs, in front of what."""

    subject: Subject
    transport: Transport
    plan: str
    """As the upstream takes it: `lost`, or `drawn:SEED:RATE`."""
    folder: Path

    @property
    def world(self) -> Path:
        """The upstream's file."""
        return self.folder / "world.db"

    @property
    def ledger(self) -> Path:
        """The guard's file."""
        return self.folder / "takeback.db"

    def upstream(self) -> list[str]:
        """The command that starts the upstream on stdio."""
        keys = ["--keys"] if self.subject is Subject.KEYS else []
        module = ["-m", "benchmarks.faulty.upstream"]
        return [sys.executable, *module, "--world", str(self.world), "--plan", self.plan, *keys]
