"""The stop switch: what a person froze goes no further, on every guard, until a person thaws it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class FreezeKind(StrEnum):
    """What can be frozen. `tool` is one tool of one upstream; `tenant` is all that a tenant does."""

    UPSTREAM = "upstream"
    TOOL = "tool"
    RUN = "run"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """One use of the stop switch, in force until it is lifted, and kept for good.

    `name` is the upstream's, the tool's (`upstream.tool`), the run's or the tenant's. Writes stop; with `reads`, so do
    reads.
    """

    id: str
    tenant: str
    kind: FreezeKind
    name: str
    reads: bool
    since: datetime
    frozen_by: str
    reason: str
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lifted_reason: str | None = None

    @property
    def in_force(self) -> bool:
        """Whether it still stops anything."""
        return self.lifted_at is None

    def concerns(self, run: str) -> bool:
        """Whether somebody at work in that run can meet it."""
        return self.kind is not FreezeKind.RUN or self.name == run

    @property
    def option(self) -> str:
        """What names it on the command line."""
        return "--all" if self.kind is FreezeKind.TENANT else f"--{self.kind} {self.name}"

    @property
    def what(self) -> str:
        """What is frozen, in words for people."""
        return f"the whole tenant {self.name}" if self.kind is FreezeKind.TENANT else f"the {self.kind} {self.name}"


_WIDEST_FIRST: Final = (FreezeKind.TENANT, FreezeKind.UPSTREAM, FreezeKind.TOOL, FreezeKind.RUN)


def stops(freeze: Freeze, *, tenant: str, run: str, tool: str, reading: bool = False) -> bool:
    """Whether a freeze stops a call of `tool` (`upstream.tool`) in a run; one that only reads goes on by default."""
    if freeze.tenant != tenant or not freeze.in_force or (reading and not freeze.reads):
        return False
    match freeze.kind:
        case FreezeKind.TENANT:
            return True
        case FreezeKind.UPSTREAM:
            return tool.partition(".")[0] == freeze.name
        case FreezeKind.TOOL:
            return tool == freeze.name
        case FreezeKind.RUN:
            return run == freeze.name


def stopping(freezes: Iterable[Freeze], *, tenant: str, run: str, tool: str, reading: bool = False) -> Freeze | None:
    """The freeze that stops a call, the widest where there are several: thawing a narrower one would not help."""
    found = [one for one in freezes if stops(one, tenant=tenant, run=run, tool=tool, reading=reading)]
    return min(found, key=lambda one: (_WIDEST_FIRST.index(one.kind), one.since), default=None)
