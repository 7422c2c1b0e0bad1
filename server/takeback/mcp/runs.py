"""Which run a call belongs to: named by the client, opened for its connection, or for principal, client and trace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from takeback.mcp.exchange import RUN_KEY
from takeback.ports import Clock, Ids

IDLE: Final = 30 * 60.0
"""Seconds after which a run that nobody named closes and the next call opens another."""

_NAMED: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class BadRun(ValueError):
    """The client named its run by something that is no name; says what is allowed."""


class RunBook:
    """Remembers the runs that were opened for connections and for stateless callers."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids
        self._open: dict[tuple[str, ...], tuple[str, float]] = {}

    def run_for(self, meta: Mapping[str, Any], header: str | None, *scope: str) -> str:
        """The run of a call: `_meta`, then the `Takeback-Run` header, then the scope that the transport knows.

        Raises:
            BadRun: the client's name for it is not one.
        """
        named = meta.get(RUN_KEY) or header
        if named is not None:
            if not isinstance(named, str) or _NAMED.fullmatch(named) is None:
                raise BadRun(f"{RUN_KEY} must be 1 to 64 letters, digits or _ . : -")
            return named
        return self._opened(scope)

    def _opened(self, scope: tuple[str, ...]) -> str:
        now = self._clock.monotonic()
        run, used = self._open.get(scope, ("", 0.0))
        if not run or now - used > IDLE:
            self._forget(now)
            run = self._ids.new("r")
        self._open[scope] = (run, now)
        return run

    def _forget(self, now: float) -> None:
        for scope in [s for s, (_, used) in self._open.items() if now - used > IDLE]:
            del self._open[scope]
