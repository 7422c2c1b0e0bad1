"""Which run a call belongs to: named by the client, opened for its connection, or for principal, client and trace."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.canonical import digest
from takeback.core.run import IDLE
from takeback.mcp.exchange import RUN_KEY
from takeback.ports import Clock, Ids, LedgerFailure

log = logging.getLogger(__name__)

FRESH: Final = 60.0
"""Seconds for which a run that guards share is used without asking the ledger for it again."""

_NAMED: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

Shared = Callable[[str, str], Awaitable[str]]
"""The run that all guards have for a scope; the second argument is the one to begin where there is none."""


class BadRun(ValueError):
    """The client named its run by something that is no name; says what is allowed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A run. `connected`: it was opened for the connection that the call came by."""

    run: str
    connected: bool = False


class RunBook:
    """Remembers the runs that were opened. Those of callers without a connection are shared by all guards."""

    def __init__(self, clock: Clock, ids: Ids, shared: Shared) -> None:
        self._clock, self._ids, self._shared = clock, ids, shared
        self._open: dict[tuple[str, ...], tuple[str, float]] = {}

    def of_connection(self, meta: Mapping[str, Any], header: str | None, connection: str) -> Found:
        """The run of a call that came by a connection.

        Raises:
            BadRun: the client's name for it is not one.
        """
        named = _named(meta, header)
        return Found(named) if named is not None else Found(self._opened((connection,)), connected=True)

    async def without_connection(self, meta: Mapping[str, Any], header: str | None, *scope: str) -> Found:
        """The run of a call of the stateless era; any guard may get the next one of the same `scope`.

        Raises:
            BadRun: the client's name for it is not one.
        """
        named = _named(meta, header)
        if named is not None:
            return Found(named)
        now = self._clock.monotonic()
        run, asked = self._open.get(scope, ("", 0.0))
        if not run or now - asked > FRESH:
            self._forget(now)
            run = await self._asked(scope, run)
            self._open[scope] = (run, now)
        return Found(run)

    async def _asked(self, scope: tuple[str, ...], known: str) -> str:
        fresh = known or self._ids.new("r")
        try:
            return await self._shared(digest(list(scope)), fresh)
        except LedgerFailure as failure:  # a write will say so; a read may go on
            log.warning("which run a call belongs to could not be looked up: %s", failure)
            return fresh

    def _opened(self, scope: tuple[str, ...]) -> str:
        now = self._clock.monotonic()
        run, used = self._open.get(scope, ("", 0.0))
        if not run or now - used > IDLE.total_seconds():
            self._forget(now)
            run = self._ids.new("r")
        self._open[scope] = (run, now)
        return run

    def _forget(self, now: float) -> None:
        for scope in [s for s, (_, used) in self._open.items() if now - used > IDLE.total_seconds()]:
            del self._open[scope]


def _named(meta: Mapping[str, Any], header: str | None) -> str | None:
    """`_meta`, then the `Takeback-Run` header."""
    named = meta.get(RUN_KEY) or header
    if named is not None and (not isinstance(named, str) or _NAMED.fullmatch(named) is None):
        raise BadRun(f"{RUN_KEY} must be 1 to 64 letters, digits or _ . : -")
    return named
