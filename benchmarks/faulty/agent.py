"""The scripted agent: it calls, and where no good answer comes it calls again with the same arguments, a few times."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextContent

from benchmarks.faulty.faults import LIGHTHOUSE

ATTEMPTS: Final = 5
"""Calls for one operation, at most."""

BOUND: Final = 2.0
"""Seconds that the agent waits for one answer."""

PAUSES: Final = (0.5, 1.0, 2.0, 2.0)
"""Seconds between its calls, as an agent's own retry has them."""

_CLOSED: Final = -32000
"""The SDK's code for a connection that is closed."""

_TOOK_EFFECT: Final = (
    "It took effect; the tool's own answer was lost",
    "reading back shows that it took effect",
    "Already done as",
)
"""How the guard says that it is done where the tool gave no good answer: in an error, for it is not the tool's word."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the agent is to do, once."""

    name: str
    tool: str

    @property
    def arguments(self) -> dict[str, Any]:
        """The same for every call of it."""
        if self.tool == "create":
            return {"reference": self.name, "title": f"Title of {self.name}"}
        return {"key": self.name, "value": f"value of {self.name}"}

    def answered_by(self, texts: Sequence[str]) -> bool:
        """Whether one of an answer's texts is the right one; the id of a record is for the oracle to know."""
        return any(self._is_right(text) for text in texts)

    def _is_right(self, text: str) -> bool:
        try:
            found = json.loads(text)
        except ValueError:
            return False
        return isinstance(found, dict) and all(found.get(name) == value for name, value in self.arguments.items())


def operations(count: int) -> list[Operation]:
    """Creates and sets by turns."""
    return [Operation(f"op-{n:04}", "create" if n % 2 else "set") for n in range(1, count + 1)]


@dataclass(slots=True)
class Ended:
    """What one operation came to, as the agent saw it."""

    operation: Operation
    told_done: bool = False
    """The last call ended without an error."""
    right: bool = False
    """... and with the right answer."""
    told_took_effect: bool = False
    """The last call was an error which says that the effect is there."""
    calls: int = 0
    hung: int = 0
    next_works: bool | None = None
    """Whether a read directly after the first call was answered, on the same connection; None: not tried."""
    said: list[tuple[str, ...]] = field(default_factory=list)
    """What each call was answered, or how it failed: for whoever looks into it."""


def says_done(texts: Sequence[str]) -> bool:
    """Whether an error says in words that the effect is there."""
    return any(words in text for words in _TOOK_EFFECT for text in texts)


class Caller(Protocol):
    """A connection of the SDK's client."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any] | None = None, read_timeout_seconds: float | None = None
    ) -> CallToolResult:
        """As the SDK's client."""


class Connection(Protocol):
    """What the agent calls through, and can have started anew."""

    @property
    def client(self) -> Caller:
        """The client as it is connected now."""

    async def restart(self) -> None:
        """Stop what stands before the upstream, and start it again."""


@dataclass(frozen=True, slots=True)
class Said:
    """How one call ended: `ok` with a tool's own texts, else an error, `hung`, or `closed`."""

    texts: tuple[str, ...]
    ok: bool = False
    hung: bool = False
    closed: bool = False


async def one_call(client: Caller, tool: str, arguments: dict[str, Any]) -> Said:
    """One call, bounded. Whatever the client raises is how the call ended."""
    try:
        async with asyncio.timeout(BOUND + 1):
            result = await client.call_tool(tool, arguments, read_timeout_seconds=BOUND)
    except TimeoutError:
        return Said(("no answer in time",), hung=True)
    except MCPError as error:
        timed_out = "timed out" in str(error).lower()
        return Said((f"protocol error {error.code}: {error}",), hung=timed_out, closed=error.code == _CLOSED)
    except Exception as error:  # noqa: BLE001 - a client may raise anything, and it is what is measured
        return Said((f"{type(error).__name__}: {error}",), closed=True)
    texts = tuple(block.text for block in result.content if isinstance(block, TextContent))
    return Said(texts, ok=not result.is_error)


class Agent:
    """Carries operations out, one after the other."""

    def __init__(
        self, connection: Connection, *, look: bool, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._connection = connection
        self._look = look
        self._pause = pause
        self.restarts = 0

    async def carry_out(self, todo: Sequence[Operation]) -> list[Ended]:
        """All of them."""
        return [await self._one(operation) for operation in todo]

    async def _one(self, operation: Operation) -> Ended:
        ended = Ended(operation)
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._pause(PAUSES[attempt - 1])
            said = await self._call(ended)
            if said.ok:
                ended.told_done, ended.right = True, operation.answered_by(said.texts)
                return ended
            if said.closed:
                await self._anew()
        ended.told_took_effect = says_done(said.texts)
        if not await self._answers():
            await self._anew()
        return ended

    async def _call(self, ended: Ended) -> Said:
        operation = ended.operation
        said = await one_call(self._connection.client, operation.tool, operation.arguments)
        ended.calls += 1
        ended.hung += said.hung
        ended.said.append(said.texts)
        if self._look and ended.calls == 1:
            ended.next_works = await self._answers()
        return said

    async def _answers(self) -> bool:
        """Whether what is called still answers, on the connection as it is."""
        return (await one_call(self._connection.client, "get", {"key": LIGHTHOUSE})).ok

    async def _anew(self) -> None:
        self.restarts += 1
        await self._connection.restart()
