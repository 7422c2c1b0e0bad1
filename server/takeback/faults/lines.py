"""Faults on the way to an MCP server on stdio: a program between guard and server, and its orders."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from takeback.faults.kinds import Fault

_HTTP_ONLY: Final = frozenset({Fault.UNAVAILABLE_BEFORE, Fault.UNAVAILABLE_AFTER})
_PATIENCE: Final = 10.0
_POLL: Final = 0.005


class FaultyLines:
    """Orders for the relay before one server. `folder` is its own; `command` starts the server behind the relay."""

    def __init__(self, folder: Path, server: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.command = [sys.executable, str(Path(__file__).with_name("relay.py")), str(folder), *server]
        os.mkfifo(folder / "landing")

    @property
    def pending(self) -> bool:
        """Whether an order was not carried out yet."""
        return (self._folder / "order.json").exists()

    def order(self, fault: Fault, tool: str) -> None:
        """Let the next call of a tool meet a fault.

        Raises:
            ValueError: a fault that lines of text cannot have.
        """
        if fault in _HTTP_ONLY:
            raise ValueError(f"{fault.value}: there is no status on stdio")
        new = self._folder / "order.new"
        new.write_text(json.dumps({"fault": fault.value, "tool": tool}))
        new.rename(self._folder / "order.json")

    async def land(self) -> None:
        """Let the call that is late go on to the server.

        Raises:
            TimeoutError: no call is late.
        """
        async with asyncio.timeout(_PATIENCE):
            while not self._opened():
                await asyncio.sleep(_POLL)

    def _opened(self) -> bool:
        try:
            os.close(os.open(self._folder / "landing", os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody waits at the other end yet
                return False
            raise
        return True
