"""What upstreams tell on their own, brought to the clients: as it came, or to those who listen for it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

import anyio
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourcesListChanged, event_from_wire
from pydantic import BaseModel, RootModel

from takeback.guard.offers import Offers
from takeback.ports import Downstream

log = logging.getLogger(__name__)

UPDATED: Final = "notifications/resources/updated"
RESOURCES_CHANGED: Final = "notifications/resources/list_changed"

MOST_SESSIONS: Final = 1000
"""HTTP sessions that are told; beyond them those that were silent for longest are not."""

PATIENCE: Final = 5.0
"""Seconds that a session gets to take a notification."""

Tell = Callable[[dict[str, Any]], Awaitable[None]]


class RawMessage(BaseModel):
    """A notification or request that the SDK sends without a model of its own, which would drop unknown fields."""

    method: str
    params: dict[str, Any] | None = None


class RawResult(RootModel[dict[str, Any]]):
    """A client's result as it came."""


class TellingServer(Server[Any]):
    """The SDK's server, which says on every transport that clients are told of lists that change."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """As the SDK's."""
        told = NotificationOptions(tools_changed=True, resources_changed=True, prompts_changed=True)
        return super().create_initialization_options(
            notification_options or told, experimental_capabilities, extensions
        )


class Session(Protocol):
    """What is needed of the SDK's session."""

    async def send_notification(self, notification: Any) -> None:
        """Send it on the session's own stream, where one is open."""


class Watchers:
    """Who wants to hear of which resource. An upstream hears of the end when the last one has gone."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[object]] = {}

    def begin(self, uri: str, who: object) -> None:
        """Somebody wants to hear of it."""
        self._watchers.setdefault(uri, set()).add(who)

    def end(self, uri: str, who: object) -> bool:
        """Somebody does no more. Whether nobody is left."""
        left = self._watchers.get(uri, set())
        left.discard(who)
        if not left:
            self._watchers.pop(uri, None)
        return not left

    def concerns(self, message: Mapping[str, Any], who: object) -> bool:
        """Whether a notification is for this one: of a resource that somebody wants to hear of, only for those."""
        params = message.get("params")
        uri = params.get("uri") if isinstance(params, Mapping) else None
        if message.get("method") != UPDATED or uri not in self._watchers:
            return True
        return who in self._watchers[uri]


class Sessions:
    """The HTTP sessions of the handshake era that were heard from."""

    def __init__(self, watchers: Watchers) -> None:
        self._watchers = watchers
        self._known: OrderedDict[str, Session] = OrderedDict()
        self._levels: dict[str, str] = {}

    def heard(self, session_id: str, session: Session) -> None:
        """Remember a session; the newest object for an id counts."""
        self._known[session_id] = session
        self._known.move_to_end(session_id)
        while len(self._known) > MOST_SESSIONS:
            self._forget(next(iter(self._known)))

    def _forget(self, session_id: str) -> None:
        self._known.pop(session_id, None)
        self._levels.pop(session_id, None)

    def wants(self, session_id: str, level: object) -> None:
        """A session said which log messages it wants (`logging/setLevel`)."""
        if isinstance(level, str):
            self._levels[session_id] = level

    def level(self, session_id: str) -> str | None:
        """What a session wants, where it said so."""
        return self._levels.get(session_id)

    async def tell(self, message: dict[str, Any]) -> None:
        """Send a notification to each; one that has ended is forgotten."""
        notification = RawMessage(method=message["method"], params=message.get("params"))
        for session_id, session in list(self._known.items()):
            if not self._watchers.concerns(message, session_id):
                continue
            try:
                async with asyncio.timeout(PATIENCE):
                    await session.send_notification(notification)
            except (TimeoutError, anyio.ClosedResourceError, anyio.BrokenResourceError, MCPError):
                self._forget(session_id)


async def another_resource(client: Downstream, bus: InMemorySubscriptionBus) -> None:
    """Tell a client that the list of its resources is another one now.

    In the handshake era it hears so in the answer to its own request. In the stateless one whoever listens is told:
    nobody knows which stream is whose, and a list that is asked for again does no harm.
    """
    if client.stateless:
        await bus.publish(ResourcesListChanged())
    elif client.tell is not None:
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, MCPError):  # it has gone; what was made is
            await client.tell(RESOURCES_CHANGED, None)


def relay(offers: Offers, bus: InMemorySubscriptionBus, tell: Tell, owns: Callable[[object], bool]) -> None:
    """From now on, pass on what the upstreams tell, but nothing of resources that are the guard's own (`owns`).

    `tell` reaches clients of the handshake era; those of the stateless era listen on the bus.
    """

    async def passed_on(_upstream: str, method: str, params: Any) -> None:
        if method == UPDATED and isinstance(params, Mapping) and owns(params.get("uri")):
            return
        if method == "notifications/tools/list_changed":
            offers.outdated()
        event = event_from_wire(method, params if isinstance(params, Mapping) else None)
        if event is not None:
            await bus.publish(event)
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        await tell(message if params is None else {**message, "params": params})

    for client in offers.home.clients.values():
        client.on_notification(passed_on)
