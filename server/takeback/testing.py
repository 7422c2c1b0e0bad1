"""For tests of policies, connectors and compensations: a clock that is set by hand, and tools that live in memory.

>>> tools = MemoryTools("desk", {"get": get, "set": set_})          # functions from arguments to data
>>> async with guarded(POLICY, [tools], folder) as guard:           # a real guard on a real ledger
...     reply = await guard.call("set", {"id": "1", "n": 2})
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from takeback.core.jsontext import JSON, dumps
from takeback.core.pins.judge import pin_scope
from takeback.core.policy.load import Policy, load
from takeback.extensions import compensations as installed_compensations
from takeback.guard.breaking import breaking
from takeback.guard.calling import CallRequest
from takeback.guard.catalog import Catalog
from takeback.guard.code_tools import CodeTools, coded
from takeback.guard.keeping import Keeper
from takeback.guard.pinning import pinned
from takeback.guard.replies import Reply
from takeback.guard.services import Services
from takeback.guard.use_cases import UseCases
from takeback.ledger.store import SqlLedger, open_ledger
from takeback.ports import (
    Answered,
    Caller,
    NotificationSink,
    ProgressSink,
    ToolClient,
    ToolDefinition,
    ToolFailure,
    UndoAnswer,
)

Tool = Callable[[dict[str, Any]], JSON]


class ToolError(Exception):
    """Raised by a function of `MemoryTools`: the tool answers with an error result that has this text."""


class ManualClock:
    """Time that moves only when it is told to, or when somebody sleeps."""

    def __init__(self, start: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self._start, self._passed = start, 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """The time; a microsecond later at each look, so that no two events fall together."""
        self._passed += 1e-6
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept.append(seconds)
        self._passed += seconds
        await asyncio.sleep(0)

    def move(self, span: timedelta) -> None:
        """Let time pass."""
        self._passed += span.total_seconds()


class CountingIds:
    """Identifiers in a row: `a1`, `a2`, `p3`."""

    def __init__(self) -> None:
        self._count = 0

    def new(self, prefix: str) -> str:
        """The next one."""
        self._count += 1
        return f"{prefix}{self._count}"

    def jitter(self) -> float:
        """Always the middle."""
        return 0.5


@dataclass(slots=True)
class NamedProcesses:
    """Processes by name: this one is `name`, and those in `gone` have ended."""

    name: str = ""
    gone: set[str] = field(default_factory=set)

    def me(self) -> str:
        """The name of this one."""
        return self.name

    def is_gone(self, name: str) -> bool:
        """Whether it has ended."""
        return name in self.gone


@dataclass(slots=True)
class MemoryTools:
    """An upstream of plain functions. `faults` maps a tool to what its next calls do instead of answering.

    A fault is an exception, raised before the function runs, or `("after", exception)`, raised when it has run: the
    lost reply. `calls` holds (tool, arguments) as they came, `headers` what travelled along; `gate`, where set, is
    awaited before each function runs.
    """

    name: str
    functions: Mapping[str, Tool]
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    faults: dict[str, list[ToolFailure | tuple[str, ToolFailure]]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    params: list[Mapping[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    gate: Callable[[str], Any] | None = None
    capabilities: Mapping[str, Any] = field(default_factory=lambda: {"tools": {}})
    instructions: str | None = None

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to stop."""

    def on_notification(self, sink: NotificationSink) -> None:
        """Functions send none."""

    async def tools(self) -> Sequence[ToolDefinition]:
        """One tool for each function."""
        return [
            ToolDefinition(self.name, name, {"name": name, "inputSchema": self.schemas.get(name, {"type": "object"})})
            for name in self.functions
        ]

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run the function. Raises what `faults` says."""
        assert params is not None
        name, arguments = str(params["name"]), dict(params.get("arguments") or {})
        fault = self.faults[name].pop(0) if self.faults.get(name) else None
        if self.gate is not None:
            await self.gate(name)
        if isinstance(fault, ToolFailure):
            raise fault
        self.calls.append((name, arguments))
        self.params.append(params)
        self.headers.append(dict(headers or {}))
        result = self._run(name, arguments)
        if fault is not None:
            raise fault[1]
        return result

    def _run(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if name not in self.functions:
            raise Answered(-32602, f"Unknown tool: {name}")
        try:
            data = self.functions[name](arguments)
        except ToolError as error:
            return {"isError": True, "content": [{"type": "text", "text": str(error)}]}
        result: dict[str, Any] = {"content": [{"type": "text", "text": dumps(data).decode()}]}
        return result | {"structuredContent": data} if isinstance(data, dict) else result

    def count(self, name: str) -> int:
        """How often a tool ran."""
        return sum(called == name for called, _ in self.calls)


@dataclass(slots=True)
class GuardForTests:
    """A real guard on a real ledger, with shorthands for an agent in one run."""

    use_cases: UseCases
    ledger: SqlLedger
    clock: ManualClock
    caller: Caller

    async def call(self, name: str, arguments: dict[str, Any], **request: Any) -> Reply:
        """A call of the agent."""
        return await self.use_cases.call(CallRequest(caller=self.caller, name=name, arguments=arguments, **request))

    async def undo(
        self, what: str | None = None, *, reason: str = "wrong record", confirm: str | None = None
    ) -> UndoAnswer:
        """An undo of the agent."""
        return await self.use_cases.undo(self.caller, what=what, reason=reason, confirm=confirm)

    async def decide(self, approval: str, *, agree: bool) -> None:
        """A person's answer."""
        await self.use_cases.decide_approval(self.caller.tenant, approval, agree=agree, by="anna", how="test")


def _held(client: Any, policy: Policy, ledger: SqlLedger, clock: ManualClock) -> ToolClient:
    """A client with what a guard puts around it, as its upstream's part of the policy says."""
    upstream = policy.file.upstream.get(client.name)
    if upstream is None:
        return pinned(client, "off", ledger, clock, pin_scope(policy.place))
    return pinned(breaking(client, upstream.breaker, clock), upstream.pin, ledger, clock, pin_scope(policy.place))


@asynccontextmanager
async def guarded(
    policy: str,
    tools: Sequence[Any],
    folder: Path,
    *,
    url: str | None = None,
    tenant: str = "acme",
    clock: ManualClock | None = None,
    processes: NamedProcesses | None = None,
) -> AsyncIterator[GuardForTests]:
    """A guard over in-memory tools. `policy` is TOML (upstreams may have any `command`); `url` names another ledger."""
    loaded = load(policy, env={"STATE": str(folder)}, source="policy.toml")
    ledger = await open_ledger(url or f"sqlite+aiosqlite:///{folder}/takeback.db")
    try:
        used = clock or ManualClock()
        held = [_held(client, loaded, ledger, used) for client in tools]
        catalog = Catalog(held, {})
        found = installed_compensations()
        catalog.hide(CodeTools(coded(found)).entries())
        await catalog.refresh()
        services = Services(
            policy=loaded,
            ledger=ledger,
            catalog=catalog,
            compensations=found,
            clock=used,
            ids=CountingIds(),
            redaction_key=await ledger.secret("redaction"),
            keeper=Keeper(ledger, used, loaded.file.ledger.lease),
            processes=processes or NamedProcesses(),
            instance=processes.name if processes is not None else "",
        )
        caller = Caller(tenant=tenant, principal="agent", run="r1", client="test")
        yield GuardForTests(UseCases(services), ledger, used, caller)
        await services.tasks.drain(5)
        await services.keeper.close()
    finally:
        await ledger.close()
