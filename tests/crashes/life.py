"""One life of a guard, in a forked process: the product's own composition on ports that kill, and the agent's line."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from takeback import bootstrap
from takeback.cli import serving
from takeback.cli.stopping import until_told
from takeback.core.policy.load import Policy, load
from takeback.core.policy.schema import Upstream
from takeback.guard.approving import NotDecidable
from takeback.guard.calling import CallRequest
from takeback.ledger import store
from takeback.ledger.store import SqlLedger
from takeback.mcp import stdio
from takeback.ports import Caller, LedgerFailure, ToolClient
from takeback_tools.agent import AgentTools
from tests.crashes.boundaries import CrashingClient, CrashingLedger, Killer
from tests.crashes.policies import PRINCIPAL, TENANT
from tests.crashes.switches import put, take_out

_LONGEST_LINE: Final = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How a guard lives, and where it dies. `face`: it speaks MCP over stdio. `without`: a safeguard."""

    policy: str
    target: str | None = None
    nth: int | None = None
    number: int = 9
    face: bool = False
    works: bool = True
    without: str | None = None
    seen_in: str | None = None

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def live(life: Life, line: socket.socket, back: socket.socket) -> None:
    """Live, in a process of its own, until killed or told to end. Only a face answers on a line of its own (`back`)."""
    killer = Killer(life.target, life.nth, life.number)
    _instrument(killer)
    if life.without is not None:
        take_out(life.without)
    policy = replace(load(life.policy, env={}, source="policy.toml"), place="crashes")
    if life.face:
        _serve_face(policy, line, back, killer)
    else:
        asyncio.run(_serve(policy, life, line, killer))
    if life.seen_in is not None:
        Path(life.seen_in).write_text("\n".join(killer.seen))


def _instrument(killer: Killer) -> None:
    """Put the wrappers where the composition takes its ports from. This process does nothing else."""
    open_ledger, client_of = store.open_ledger, bootstrap.client_of

    async def opened(url: str) -> Any:
        ledger: SqlLedger = await open_ledger(url)
        return CrashingLedger(ledger, killer)

    def client(name: str, upstream: Upstream, tenant: str) -> ToolClient:
        wrapped: Any = CrashingClient(client_of(name, upstream, tenant), killer)
        return wrapped  # type: ignore[no-any-return]

    put(bootstrap, "open_ledger", opened)
    put(bootstrap, "client_of", client)


def _serve_face(policy: Policy, line: socket.socket, back: socket.socket, killer: Killer) -> None:
    """`takeback serve`, as the command line has it."""
    os.dup2(line.fileno(), 0)
    os.dup2(back.fileno(), 1)
    line.close()
    back.close()
    write: Callable[[stdio.Writer, Mapping[str, Any]], None] = stdio.Writer.write

    def answered(self: stdio.Writer, message: Mapping[str, Any]) -> None:
        if not isinstance(message.get("id"), str) or not message["id"].startswith("step "):
            write(self, message)
            return
        name = killer.passage("answer")
        killer.at(f"{name}/before")
        write(self, message)
        killer.at(f"{name}/after")

    put(stdio.Writer, "write", answered)
    killer.step = "face"
    asyncio.run(until_told(lambda stop: serving._serve(stop, policy, None, tenant=None, user=None)))


async def _serve(policy: Policy, life: Life, line: socket.socket, killer: Killer) -> None:
    reader, writer = await asyncio.open_connection(sock=line, limit=_LONGEST_LINE)
    async with bootstrap.running(policy, works=life.works) as guard:
        agent = _Agent(guard, killer)
        tasks: dict[int, asyncio.Task[None]] = {}

        async def answer(order: dict[str, Any]) -> None:
            reply = await agent.obey(order)
            name = killer.passage("answer")
            killer.at(f"{name}/before")
            writer.write(json.dumps({"id": order["id"], **reply}).encode() + b"\n")
            await writer.drain()
            killer.at(f"{name}/after")

        while (text := await reader.readline()) and (order := json.loads(text))["do"] != "end":
            if order["do"] == "cancel":
                tasks[order["of"]].cancel()
                continue
            killer.step = str(order["step"])
            tasks[order["id"]] = asyncio.create_task(answer(order))
    writer.write(json.dumps({"id": 0, "seen": killer.seen}).encode() + b"\n")
    await writer.drain()


class _Agent:
    """What agent and person ask of the use cases, as JSON."""

    def __init__(self, guard: bootstrap.Guard, killer: Killer) -> None:
        self._guard, self._tools = guard, AgentTools(guard.use_cases, ("plan",))

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._obey(order)
        except LedgerFailure as failure:
            return {"failed": str(failure)}

    async def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        caller = Caller(tenant=TENANT, principal=PRINCIPAL, run=order["run"], client="crashes")
        if order["do"] == "approve":
            return await self._approve(order["approval"])
        if self._tools.offers(order["name"]):
            return {"result": await self._tools.call(caller, order["name"], order["arguments"])}
        reply = await self._guard.use_cases.call(
            CallRequest(caller=caller, name=order["name"], arguments=order["arguments"])
        )
        return {"result": reply.result} if reply.result is not None else {"answered": str(reply.answered)}

    async def _approve(self, approval: str) -> dict[str, Any]:
        try:
            _, decided = await self._guard.use_cases.decide_approval(
                TENANT, approval, agree=True, by="anna", how="crashes"
            )
        except NotDecidable:
            decided = await self._guard.ledger.approval(TENANT, approval)
        return {"approval": decided.status.value}
