"""The port of the agent's own tools: on whose behalf, and what may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from takeback.ports.downstream import Downstream
from takeback.ports.tools import ProgressSink


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf something is done. `tenant` and `principal` come from authentication or the operator's settings.

    `person` is true for a human at the command line or the console, never for anything that an agent can call.
    `downstream` is the client that it comes through, where there is one. `connected`: the run was opened for the
    client's connection, which may have had another one before.
    """

    tenant: str
    principal: str
    run: str
    client: str = ""
    trace: str | None = None
    person: bool = False
    connected: bool = False
    downstream: Downstream | None = field(default=None, compare=False, repr=False)


class AgentUseCases(Protocol):
    """What the agent's own tools can ask for. Nothing in here approves anything."""

    async def history(
        self, caller: Caller, *, text: str | None, action: str | None, needs_attention: bool, cursor: str | None
    ) -> str:
        """One line an entry, or the correction trail of one action."""

    async def undo(self, caller: Caller, *, what: str | None, reason: str, confirm: str | None) -> UndoAnswer:
        """Take back an action of the caller's own run, or preview it."""

    async def repeat(self, caller: Caller, *, action: str, reason: str) -> Mapping[str, Any]:
        """Create the successor of an action and return a tool result."""

    async def checkpoint(self, caller: Caller, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep a checkpoint, or say whether one can be gone on from, and return a tool result."""

    async def plan(
        self, caller: Caller, document: Mapping[str, Any], *, progress: ProgressSink | None
    ) -> Mapping[str, Any]:
        """Carry out, preview or cancel a plan, as the arguments of the agent's tool say, and return a tool result."""


@dataclass(frozen=True, slots=True)
class UndoAnswer:
    """What an undo came to, in words; `ok` is false when it was refused or failed."""

    text: str
    ok: bool
    action: str | None = None
    outcome: str | None = None
    confirm: str | None = None
