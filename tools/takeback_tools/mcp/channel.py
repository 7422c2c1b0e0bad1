"""One connection to an MCP server, whatever carries it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from takeback.core.jsontext import JSON
from takeback.ports import Answered, Downstream, ProgressSink

METHOD_NOT_FOUND: Final = -32601
MAX_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes that one message from an upstream may have."""


async def refuse(method: str, params: JSON, downstream: Downstream | None) -> dict[str, Any]:  # noqa: ARG001 - a hook
    """Answer a server's request when nobody bridges it: `ping` is answered, anything else is not known.

    Raises:
        Answered: the method is not `ping`.
    """
    if method == "ping":
        return {}
    raise Answered(METHOD_NOT_FOUND, "Method not found", {"method": method})


def ignore(method: str, params: JSON) -> None:
    """Do nothing with a notification."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Where what the server says on its own goes.

    `notification` is called in the order of arrival and before the answers that came after it. `request` returns the
    result for the server, or raises Answered; it gets the client whose call is under way, or None where there is none.
    """

    notification: Callable[[str, JSON], None] = ignore
    request: Callable[[str, JSON, Downstream | None], Awaitable[dict[str, Any]]] = refuse


class Channel(Protocol):
    """A connection. `lost` is settled with the reason when it has ended and cannot come back."""

    lost: asyncio.Future[str]
    version: str
    """The protocol version that was agreed on; empty before. HTTP repeats it in a header."""

    @property
    def diagnosis(self) -> str:
        """What is known of trouble on this connection (the last lines of stderr, for instance), or an empty text."""

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
        downstream: Downstream | None = None,
    ) -> dict[str, Any]:
        """As `takeback.ports.ToolClient.request`; without `timeout` it waits for as long as the connection lasts.

        `downstream` is the client that it is made for: whom to ask what the server asks meanwhile.
        """

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification; one that cannot be sent is dropped."""

    async def close(self) -> None:
        """End the connection. Never raises; bounded in time."""
