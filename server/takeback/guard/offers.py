"""What is on offer to whom: an upstream may have other tools for a client that can do other things."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from takeback.guard.catalog import Catalog, CatalogError, Entry
from takeback.ports import Ask, Bridge, Downstream, ToolClient

log = logging.getLogger(__name__)

MOST: Final = 32
"""Kinds of clients whose tools are remembered; beyond them those of the kind that was longest away are forgotten."""


class Offers:
    """The catalog, as each client meets it. `home` is what the guard itself sees, and a client that can do nothing."""

    def __init__(self, home: Catalog) -> None:
        self.home = home
        self._only: Downstream | None = None
        self._kinds: OrderedDict[str, Catalog] = OrderedDict()
        self._stale: set[Catalog] = set()
        self._reading = asyncio.Lock()

    def meet(self, downstream: Downstream) -> None:
        """There is but this one client from now on, and the guard meets the upstreams in its place."""
        self._only = downstream
        for bridge in self.bridges():
            bridge.meet(downstream)

    def bridges(self) -> list[Bridge]:
        """The upstreams that may behave differently for each client."""
        return [client for client in self.home.clients.values() if isinstance(client, Bridge)]

    async def behind(self, downstream: Downstream | None) -> Catalog:
        """The tools that a client is offered. What they ask in the course of a call is asked of this client."""
        if downstream is None or not self.bridges():
            return self.home
        return ForOne(await self._kind(downstream), self.home.clients, downstream)

    async def listed(self, downstream: Downstream) -> list[Entry]:
        """The tools that a client is shown, read again where an upstream said that they changed."""
        catalog = await self._kind(downstream)
        if catalog in self._stale:
            self._stale.discard(catalog)
            try:
                await catalog.refresh()
            except CatalogError:
                log.exception("the changed tool list cannot be used; the old one stays")
        return catalog.entries()

    def outdated(self) -> None:
        """An upstream said that its tools changed. Those who are shown them next get the new ones."""
        self._stale = {self.home, *self._kinds.values()}

    async def _kind(self, downstream: Downstream) -> Catalog:
        if self._is_home(downstream):
            return self.home
        key = f"{downstream.stateless} {json.dumps(downstream.capabilities, sort_keys=True)}"
        if key not in self._kinds:
            async with self._reading:
                if key not in self._kinds:
                    self._kinds[key] = await self._read(downstream)
                    while len(self._kinds) > MOST:
                        self._kinds.popitem(last=False)
        self._kinds.move_to_end(key)
        return self._kinds[key]

    def _is_home(self, downstream: Downstream) -> bool:
        if self._only is not None:
            same = downstream.capabilities == self._only.capabilities
            return same and downstream.stateless == self._only.stateless
        return not downstream.capabilities and not downstream.stateless

    async def _read(self, downstream: Downstream) -> Catalog:
        kind = Downstream(capabilities=downstream.capabilities, stateless=downstream.stateless)
        found = self.home.like([through(client, kind) for client in self.home.clients.values()])
        try:
            await found.refresh()
        except CatalogError:
            log.exception(
                "the tools for clients with %s cannot be offered; they get those of all", sorted(kind.capabilities)
            )
            return self.home
        return found

    def anywhere(self, name: str) -> Entry | None:
        """The tool that some client calls `name`: for what must be known before it is known which client calls."""
        for catalog in (self.home, *self._kinds.values()):
            if (entry := catalog.exposed(name)) is not None:
                return entry
        return None


class ForOne(Catalog):
    """A catalog in the hands of one client, for one call: what its tools ask is asked of that client."""

    def __init__(self, kind: Catalog, clients: Mapping[str, ToolClient], downstream: Downstream) -> None:
        super().__init__((), {})
        self._kind, self._upstreams, self._downstream = kind, clients, downstream
        self.clients = kind.clients

    def asking(self, ask: Ask) -> ForOne:
        """The same, with another way to ask the client."""
        return ForOne(self._kind, self._upstreams, replace(self._downstream, ask=ask))

    def hide(self, entries: Sequence[Entry]) -> None:
        """As `Catalog.hide`."""
        self._kind.hide(entries)

    async def refresh(self) -> None:
        """As `Catalog.refresh`."""
        await self._kind.refresh()

    def entries(self) -> list[Entry]:
        """As `Catalog.entries`."""
        return self._kind.entries()

    def blocked(self) -> list[Entry]:
        """As `Catalog.blocked`."""
        return self._kind.blocked()

    async def current(self, name: str) -> Entry | None:
        """As `Catalog.current`."""
        return self._held(await self._kind.current(name))

    def exposed(self, name: str) -> Entry | None:
        """As `Catalog.exposed`."""
        return self._held(self._kind.exposed(name))

    def named(self, policy_name: str) -> Entry | None:
        """As `Catalog.named`."""
        return self._held(self._kind.named(policy_name))

    def _held(self, entry: Entry | None) -> Entry | None:
        upstream = self._upstreams.get(entry.client.name) if entry is not None else None
        if entry is None or upstream is None:
            return entry
        return entry.through(through(upstream, self._downstream))


def through(client: ToolClient, downstream: Downstream) -> ToolClient:
    """An upstream as this client meets it, where that makes a difference."""
    return client.behind(downstream) if isinstance(client, Bridge) else client
