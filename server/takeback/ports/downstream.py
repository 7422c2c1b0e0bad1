"""The port to the client that a request is made for: what it can do, and how it is asked and told meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from takeback.core.jsontext import JSON
from takeback.ports.tools import ToolClient

ANSWERED_WITHIN: Final = 15 * 60.0
"""Seconds that a client, and the person behind it, have for an answer."""

Questions = Mapping[str, Mapping[str, Any]]
"""What an upstream asks a client, by name: each is an object with `method` and `params`, as the upstream sent it."""

Ask = Callable[[Questions], Awaitable[Mapping[str, Any]]]
"""Asks a client all of these and returns its answers (results) by the same names.

A client of the stateless era may leave answers out. Raises Answered where the client refuses, cannot be asked, or does
not answer in time.
"""

Tell = Callable[[str, JSON], Awaitable[None]]
"""Tells a client (method, params) as part of the request that it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downstream:
    """A client, as far as one request of it goes.

    `capabilities` and `info` are as it declared them, and `stateless` is its era. `who` is equal for requests of one
    client. `log_level` is the least severe log message that it wants of this request; `answers` are what it answered
    with the request itself, unasked. Without `ask` it can be asked nothing; without `tell` what an upstream tells goes
    to everybody who listens.
    """

    capabilities: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] | None = None
    stateless: bool = False
    who: str = ""
    log_level: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    ask: Ask | None = None
    tell: Tell | None = None


@runtime_checkable
class Bridge(Protocol):
    """A tool client whose upstream may behave differently for each client, and may ask it things."""

    def behind(self, downstream: Downstream) -> ToolClient:
        """The same upstream as this client meets it: it is told what the client can do, and asks the client.

        Nothing is connected before the first request. An upstream that cannot be had for this client is NotSent then.
        """

    def meet(self, downstream: Downstream) -> None:
        """There is but this one client from now on: the guard's own requests are made for it, too.

        Called before `start`, or as long as no tool was called.
        """

    async def heard(self, downstream: Downstream, method: str, params: JSON) -> None:
        """The client notified (`notifications/roots/list_changed`): pass it on where the upstream knows the client."""
