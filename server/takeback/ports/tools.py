"""The port to real tools: what a connector offers, and the three ways in which a request can go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from takeback.core.jsontext import JSON


class ToolFailure(Exception):
    """Base of what can go wrong with a request to an upstream. The message is fit for an agent to read."""


class NotSent(ToolFailure):
    """Provably nothing reached the upstream: it is not running, or the connection could not be made."""


class Busy(NotSent):
    """The upstream turned the request away before doing anything (HTTP 429 or 425, or 503 to a read).

    `retry_after` is in seconds, where the upstream said when to come again.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Changed(ToolFailure):
    """The condition that the request carried does not hold (HTTP 412): somebody changed the target since it was read.

    A definite answer: the request was not executed.
    """


class Answered(ToolFailure):
    """The upstream answered with a JSON-RPC error: a definite answer. `code`, `data` are passed on unchanged."""

    def __init__(self, code: int, message: str, data: JSON = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class OutcomeUnknown(ToolFailure):
    """The first byte was sent and no usable reply came: time-out, lost connection, malformed reply, HTTP 5xx.

    `kind` is `timeout`, `lost`, `malformed` or `error`. `over` says that the upstream itself has finished with the
    request (it answered 500, say): what it did not do by now it will not do later.
    """

    def __init__(self, kind: str, message: str, *, over: bool = False) -> None:
        super().__init__(message)
        self.kind, self.over = kind, over


ProgressSink = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Gets the params of each `notifications/progress` of one request, as sent, without the token."""

NotificationSink = Callable[[str, str, JSON], Awaitable[None]]
"""Gets (upstream, method, params) of each notification that belongs to no request."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as its upstream defines it: `raw` is the definition as sent, unknown fields included.

    One that is not `offered` is kept from clients, whatever its name; rules may call it. `blocked` says why it must not
    be called at all (empty: it may be). `raw` is then the last definition that was trusted; where there is none, it is
    not `listed`: nobody is shown a word of it.
    """

    upstream: str
    name: str
    raw: Mapping[str, Any]
    offered: bool = True
    blocked: str = ""
    listed: bool = True

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the arguments; an empty object schema where the upstream gave none."""
        schema = self.raw.get("inputSchema")
        return schema if isinstance(schema, Mapping) else {"type": "object"}


class ToolClient(Protocol):
    """One upstream: a real system with tools. Started, supervised and restarted behind this port."""

    @property
    def name(self) -> str:
        """The upstream's name in the policy."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the upstream declared when it was asked last; empty before it has started."""

    @property
    def instructions(self) -> str | None:
        """The upstream's own instructions for models, where it gives any."""

    async def start(self) -> None:
        """Connect and negotiate.

        Raises:
            NotSent: it does not start; the message says why (with the last lines it wrote to stderr).
        """

    async def close(self) -> None:
        """Stop what was started. Never raises; bounded in time."""

    async def tools(self) -> Sequence[ToolDefinition]:
        """All tools, every page, in the upstream's order. Cached until the upstream says that the list changed.

        Raises:
            ToolFailure: the list could not be had.
        """

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send one request and return its `result` as it came, unknown fields and big numbers included.

        `timeout` is in seconds, from the send. On a time-out the upstream is told (`notifications/cancelled`), and the
        outcome is unknown. `headers` travel with the request where the transport has headers.

        Raises:
            NotSent, Answered, Changed, OutcomeUnknown: as their names say.
        """

    def on_notification(self, sink: NotificationSink) -> None:
        """Where notifications of this upstream go from now on."""
