"""What stands around a tool client, as one itself, whether or not its upstream meets each client by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from takeback.core.jsontext import JSON
from takeback.ports import Bridge, Downstream, NotificationSink, ProgressSink, ToolClient, ToolDefinition


class Around:
    """Passes everything on."""

    def __init__(self, client: ToolClient) -> None:
        self.name = client.name
        self._client = client

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """As `ToolClient.capabilities`."""
        return self._client.capabilities

    @property
    def instructions(self) -> str | None:
        """As `ToolClient.instructions`."""
        return self._client.instructions

    async def start(self) -> None:
        """As `ToolClient.start`."""
        await self._client.start()

    async def close(self) -> None:
        """As `ToolClient.close`."""
        await self._client.close()

    def on_notification(self, sink: NotificationSink) -> None:
        """As `ToolClient.on_notification`."""
        self._client.on_notification(sink)

    async def tools(self) -> Sequence[ToolDefinition]:
        """As `ToolClient.tools`."""
        return await self._client.tools()

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
        return await self._client.request(method, params, timeout=timeout, progress=progress, headers=headers)


class AroundBridge:
    """What an `Around` adds where its client is a bridge: `_around` puts the same around each client's view."""

    _bridge: Bridge

    def _around(self, client: ToolClient) -> ToolClient:
        raise NotImplementedError

    def behind(self, downstream: Downstream) -> ToolClient:
        """As `Bridge.behind`."""
        return self._around(self._bridge.behind(downstream))

    def meet(self, downstream: Downstream) -> None:
        """As `Bridge.meet`."""
        self._bridge.meet(downstream)

    async def heard(self, downstream: Downstream, method: str, params: JSON) -> None:
        """As `Bridge.heard`."""
        await self._bridge.heard(downstream, method, params)
