"""What SIGTERM and Ctrl-C do to a command that goes on until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from takeback.cli.output import err, plain

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Stop:
    """What SIGTERM and Ctrl-C do: they end the serving, once.

    Clients signal a guard that they have left while it is still finishing what is in flight, which that must not cut
    short. A second Ctrl-C is a person who will not wait.
    """

    serving: asyncio.Task[Any] | None
    ending: bool = False
    interrupts: int = 0

    def told(self, number: int) -> None:
        """A signal came."""
        self.interrupts += number == signal.SIGINT
        if not self.ending:
            tell("takeback: stopping; what is in flight is finished first")
        if self.serving is not None and (not self.ending or self.interrupts > 1):
            self.serving.cancel()
        self.ending = True


async def until_told(serve: Callable[[Stop], Awaitable[None]]) -> None:
    """Serve until that ends or a signal comes, also while the upstreams are being started."""
    stop = Stop(asyncio.current_task())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.told, number)
    try:
        await serve(stop)
    except asyncio.CancelledError:
        log.debug("stopped while it was starting, or by a second Ctrl-C")


def tell(text: str) -> None:
    """On stdio, standard output is the protocol; people read standard error."""
    err.print(plain(text))
