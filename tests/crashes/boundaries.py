"""Where a guard dies: wrappers of its ports that count what they pass, and kill their own process at one of them.

A boundary is named `STEP/PASSAGE#N/WHEN`: the agent's step during which it comes (`start` before the first), what is
passed (`commit claim`, `request set`), for which time in that step, and whether `before` or `after` it. A request has
two more: `late` (it arrived and is carried out after the death) and `done` (it was carried out, and not answered).
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from takeback.core.pins.judge import Pin
from takeback.core.run import Run
from takeback.ledger.store import SqlLedger
from takeback.ports import Approach, Change, Lease, ProgressSink, Standing, ToolClient

T = TypeVar("T")

READS: Final = frozenset({"get", "notes"})
"""Tools that change nothing: whether they are carried out late does not matter."""


@dataclass(slots=True)
class Killer:
    """Counts boundaries. At the one called `target`, or the `nth`, the signal `number` is sent to the process."""

    target: str | None = None
    nth: int | None = None
    number: int = signal.SIGKILL
    step: str = "start"
    seen: list[str] = field(default_factory=list)
    _times: Counter[str] = field(default_factory=Counter)

    def passage(self, what: str) -> str:
        """The name of one passage: this one's place in its step."""
        name = f"{self.step}/{what}"
        self._times[name] += 1
        return f"{name}#{self._times[name]}"

    def dies_at(self, boundary: str) -> bool:
        """Note a boundary; whether it is the one."""
        self.seen.append(boundary)
        return boundary == self.target or len(self.seen) == self.nth

    def at(self, boundary: str) -> None:
        """Pass a boundary, or do not."""
        if self.dies_at(boundary):
            os.kill(os.getpid(), self.number)

    async def around(self, what: str, passing: Awaitable[T]) -> T:
        """Await something between its two boundaries."""
        name = self.passage(what)
        self.at(f"{name}/before")
        passed = await passing
        self.at(f"{name}/after")
        return passed


class CrashingLedger:
    """A real ledger, with boundaries at everything that writes."""

    def __init__(self, ledger: SqlLedger, killer: Killer) -> None:
        self._ledger, self._killer = ledger, killer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def approach(self, approach: Approach) -> Standing:
        return await self._killer.around("approach", self._ledger.approach(approach))

    async def commit(self, change: Change) -> None:
        await self._killer.around(f"commit {_kind(change)}", self._ledger.commit(change))

    async def release(self, leases: Sequence[Lease]) -> None:
        if leases:
            await self._killer.around("release", self._ledger.release(leases))

    async def renew(self, leases: Sequence[Lease], until: datetime) -> Sequence[Lease]:
        return await self._killer.around("renew", self._ledger.renew(leases, until))

    async def open_run(self, run: Run) -> None:
        await self._killer.around("open run", self._ledger.open_run(run))

    async def keep(self, seen: Sequence[Pin]) -> None:
        if seen:
            await self._killer.around("keep pins", self._ledger.keep(seen))

    async def secret(self, name: str) -> bytes:
        return await self._killer.around("secret", self._ledger.secret(name))


def _kind(change: Change) -> str:
    """What a commit is about, by the first fact in it."""
    if change.actions:
        return change.actions[0][0].happening.value
    return "unwinding" if change.unwindings else "queue" if change.queue else "other"


class CrashingClient:
    """A real upstream's client, with boundaries at every call."""

    def __init__(self, client: ToolClient, killer: Killer) -> None:
        self._client, self._killer = client, killer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        tool = str((params or {}).get("name"))
        name = self._killer.passage(f"request {tool}")
        self._killer.at(f"{name}/before")
        travelling = {**(headers or {}), **self._crash(name, tool)}
        try:
            return await self._client.request(
                method, params, timeout=timeout, progress=progress, headers=travelling or None
            )
        finally:
            self._killer.at(f"{name}/after")

    def _crash(self, name: str, tool: str) -> dict[str, str]:
        """What the upstream is told to do to this process."""
        for how in ("done",) if tool in READS else ("late", "done"):
            if self._killer.dies_at(f"{name}/{how}"):
                return {"X-Crash": how, "X-Pid": str(os.getpid())}
        return {}
