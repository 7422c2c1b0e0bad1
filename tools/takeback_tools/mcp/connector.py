"""The connector to one MCP server: as the guard meets it, and as each kind of client does."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Upstream
from takeback.ports import Downstream, NotificationSink, NotSent, ProgressSink, ToolClient, ToolDefinition
from takeback_tools.mcp.channel import refuse
from takeback_tools.mcp.connection import Connection
from takeback_tools.mcp.declared import CLIENT, Declared, declared_for
from takeback_tools.mcp.messages import unsubscribed
from takeback_tools.mcp.pump import Pump
from takeback_tools.mcp.rounds import one_answer, until_complete
from takeback_tools.mcp.settings import McpSettings

log = logging.getLogger(__name__)

MOST: Final = 8
"""Connections beside the guard's own: one for each era and set of capabilities that clients come with."""

IDLE: Final = 15 * 60.0
"""Seconds without a request after which such a connection is closed; the next request of its kind opens it again."""

RequestHandler = Callable[[str, JSON], Awaitable[dict[str, Any]]]


class McpConnector:
    """One upstream of the policy.

    A server of the handshake era is told once what its client can do, and may offer other tools for it. So there is a
    connection for each set of capabilities, beside the guard's own (`_home`), which no client needs.
    """

    def __init__(self, name: str, settings: McpSettings) -> None:
        self.name, self._settings = name, settings
        self._home = self._connection(Declared(settings.capabilities, CLIENT))
        self._others: OrderedDict[str, Connection] = OrderedDict()
        self._sinks: list[Pump[tuple[str, JSON]]] = []
        self._handler: RequestHandler | None = None
        self._only: Downstream | None = None
        self._stateless: bool | None = None
        self._caring: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def _connection(self, declared: Declared) -> Connection:
        async def asked(method: str, params: JSON, downstream: Downstream | None) -> dict[str, Any]:
            return await self._asked(method, params, downstream)

        def told(method: str, params: JSON) -> None:
            self._told(connection, method, params)

        connection = Connection(self.name, self._settings, declared, told=told, asked=asked)
        return connection

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """As `ToolClient.capabilities`."""
        return self._home.capabilities

    @property
    def instructions(self) -> str | None:
        """As `ToolClient.instructions`."""
        return self._home.instructions

    @property
    def pid(self) -> int | None:
        """The id of the server's process, where it is one of ours and lives."""
        return self._home.pid

    def on_notification(self, sink: NotificationSink) -> None:
        """As `ToolClient.on_notification`."""

        async def deliver(told: tuple[str, JSON]) -> None:
            await sink(self.name, *told)

        # One queue for each, so that a listener that fails or hangs takes nothing from the others.
        self._sinks.append(Pump(deliver, f"notifications of {self.name}"))

    def on_request(self, handler: RequestHandler) -> None:
        """Who answers what the server asks (elicitation, sampling, roots) from now on. Raises Answered to refuse."""
        self._handler = handler

    async def start(self) -> None:
        """As `ToolClient.start`."""
        await self._home.connected()

    async def close(self) -> None:
        """As `ToolClient.close`."""
        self._closed = True
        if self._caring is not None:
            self._caring.cancel()
        closing = [connection.close() for connection in (self._home, *self._others.values())]
        await asyncio.gather(*closing, *self._closing)
        for sink in self._sinks:
            sink.stop()

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`."""
        return await self.request_for(self._only, method, params, timeout=timeout, progress=progress, headers=headers)

    async def tools(self) -> Sequence[ToolDefinition]:
        """As `ToolClient.tools`."""
        return (await self._home.listed(self._only)).tools

    # --- For one client ------------------------------------------------------------------------------------------

    def behind(self, downstream: Downstream) -> ToolClient:
        """As `Bridge.behind`."""
        return Behind(self, downstream)

    def meet(self, downstream: Downstream) -> None:
        """As `Bridge.meet`."""
        self._only = downstream
        declared = declared_for(downstream, named=True)
        if self._home.declared == declared:
            return
        before, self._home = self._home, self._connection(declared)
        if before.called:
            self._others[before.declared.key] = before
        else:
            self._close(before)

    async def heard(self, downstream: Downstream, method: str, params: JSON) -> None:
        """As `Bridge.heard`."""
        connection = self._known(replace(declared_for(downstream, named=False), stateless_first=False))
        if connection is not None:
            await connection.notify(method, params)

    async def request_for(
        self,
        downstream: Downstream | None,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None,
        progress: ProgressSink | None,
        headers: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`, on the connection for this client; what the server asks is asked of it."""
        connection = await self._for(downstream)
        session = await connection.connected()

        async def send(sent: Mapping[str, Any] | None) -> dict[str, Any]:
            return await connection.request(
                method, sent, timeout=timeout, progress=progress, headers=headers, downstream=downstream
            )

        return await (until_complete(send, params, downstream) if session.stateless else send(params))

    async def tools_for(self, downstream: Downstream) -> Sequence[ToolDefinition]:
        """As `ToolClient.tools`, as this client gets them."""
        return (await (await self._for(downstream)).listed(downstream)).tools

    def capabilities_for(self, downstream: Downstream) -> Mapping[str, Any]:
        """As `ToolClient.capabilities`, on the connection for this client, if it has begun."""
        connection = self._known(replace(declared_for(downstream, named=False), stateless_first=False))
        return (connection.capabilities if connection is not None else {}) or self.capabilities

    def _known(self, declared: Declared) -> Connection | None:
        home = replace(self._home.declared, stateless_first=declared.stateless_first)
        if self._home.stateless or home.key == declared.key:
            return self._home
        return self._others.get(declared.key)

    async def _for(self, downstream: Downstream | None) -> Connection:
        """The connection for this client.

        Raises:
            NotSent: it cannot be had; or there are too many already, and all are in use.
        """
        if downstream is None or self._home.stateless:
            return self._home
        if downstream.stateless and self._settings.transport == "http" and self._stateless is not False:
            known = self._opened(Declared({}, CLIENT, stateless_first=True))
            if (await known.connected()).stateless:
                return known  # each request says for which client it is made
            self._stateless = False
            self._close(known)
        # Behind a pipe is a process: one more is not started merely to speak of the same thing in another era.
        declared = replace(declared_for(downstream, named=False), stateless_first=False)
        return self._known(declared) or self._opened(declared)

    def _opened(self, declared: Declared) -> Connection:
        known = self._others.get(declared.key)
        if known is None:
            self._make_room()
            known = self._others[declared.key] = self._connection(declared)
            self._care()
        self._others.move_to_end(declared.key)
        return known

    def _make_room(self) -> None:
        if self._closed:
            raise NotSent(f"upstream {self.name} was stopped")
        if len(self._others) < MOST:
            return
        idle = next((c for c in self._others.values() if not c.in_flight), None)
        if idle is None:
            raise NotSent(f"too many clients with different capabilities use {self.name} at a time")
        self._close(idle)

    def _close(self, connection: Connection) -> None:
        """Let go of it, in the background."""
        self._others.pop(connection.declared.key, None)
        task = asyncio.get_running_loop().create_task(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _care(self) -> None:
        if self._caring is None or self._caring.done():
            self._caring = asyncio.get_running_loop().create_task(self._close_idle())

    async def _close_idle(self) -> None:
        while self._others:
            await asyncio.sleep(IDLE / 4)
            now = asyncio.get_running_loop().time()
            for connection in list(self._others.values()):
                if not connection.in_flight and now - connection.used_at > IDLE:
                    self._close(connection)

    # --- What the server says on its own -------------------------------------------------------------------------

    async def _asked(self, method: str, params: JSON, downstream: Downstream | None) -> dict[str, Any]:
        asked = downstream or self._only
        if asked is not None and asked.ask is not None:
            return await one_answer(method, params, asked.ask)
        if self._handler is not None:
            return await self._handler(method, params)
        return await refuse(method, params, None)

    def _told(self, connection: Connection, method: str, params: JSON) -> None:
        if method == "notifications/subscriptions/acknowledged":
            return  # ours: who listens to us subscribes with us
        if method == "notifications/tools/list_changed":
            connection.outdated()
        for sink in self._sinks:
            sink.offer((method, unsubscribed(params)))


class Behind:
    """An upstream as one client meets it."""

    def __init__(self, connector: McpConnector, downstream: Downstream) -> None:
        self.name = connector.name
        self._connector, self._downstream = connector, downstream

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """As `ToolClient.capabilities`."""
        return self._connector.capabilities_for(self._downstream)

    @property
    def instructions(self) -> str | None:
        """As `ToolClient.instructions`."""
        return self._connector.instructions

    async def start(self) -> None:
        """Nothing is started before the first request."""

    async def close(self) -> None:
        """The connection is the connector's."""

    def on_notification(self, sink: NotificationSink) -> None:
        """As `ToolClient.on_notification`: those of every connection."""
        self._connector.on_notification(sink)

    async def tools(self) -> Sequence[ToolDefinition]:
        """As `ToolClient.tools`."""
        return await self._connector.tools_for(self._downstream)

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`."""
        return await self._connector.request_for(
            self._downstream, method, params, timeout=timeout, progress=progress, headers=headers
        )


def from_policy(name: str, upstream: Upstream, _tenant: str) -> McpConnector:
    """The connector of an upstream's table in the policy (entry point `takeback.tools`). Not started yet."""
    return McpConnector(name, McpSettings.of(upstream))


def connect(name: str, settings: McpSettings) -> McpConnector:
    """A connector that is not started yet."""
    return McpConnector(name, settings)
