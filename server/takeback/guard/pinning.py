"""An upstream whose tools must be the ones that are pinned: looked at before every call, whoever makes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from takeback.core.pins.judge import Pin, PinState, judge, news
from takeback.guard.around import Around, AroundBridge
from takeback.ports import (
    Bridge,
    Clock,
    LedgerFailure,
    NotificationSink,
    NotSent,
    Pins,
    ProgressSink,
    ToolClient,
    ToolDefinition,
    ToolFailure,
)

log = logging.getLogger(__name__)

LOOK_AGAIN: Final = 1.0
"""Seconds after which a list is looked up again where a tool is blocked, or where there are several lists."""

TRUSTED_FOR: Final = 30.0
"""Seconds after which the only list is: a person may have accepted what another guard saw, instead of it."""

MOST_VIEWS: Final = 16
"""Lists that are remembered at a time. An upstream may offer other tools to each kind of client."""


@dataclass(frozen=True, slots=True)
class View:
    """A list of tools as it was judged. `blocked` says why, by tool; `at` is on the monotonic clock."""

    definitions: Sequence[ToolDefinition]
    told: tuple[ToolDefinition, ...]
    blocked: Mapping[str, str]
    at: float


class PinBook:
    """What one upstream shows, held against what is pinned of it; whatever is new is remembered first.

    With `first_use` the first definition that is ever seen of a tool is pinned; without, a person accepts each.
    """

    def __init__(self, upstream: str, pins: Pins, clock: Clock, *, scope: str, first_use: bool) -> None:
        self._upstream, self._pins, self._clock = upstream, pins, clock
        self._scope, self._first_use = scope, first_use
        self._views: list[View] = []
        self._trusted: set[tuple[str, str]] = set()
        self._looking = asyncio.Lock()
        self._sinks: list[NotificationSink] = []
        self._telling: set[asyncio.Task[None]] = set()

    def tell(self, sink: NotificationSink) -> None:
        """Who is told, as if by the upstream, that its tools changed when a person has accepted one of them."""
        self._sinks.append(sink)

    async def close(self) -> None:
        """Tell nobody any more."""
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    async def view(self, definitions: Sequence[ToolDefinition]) -> View:
        """The list as it counts. Without I/O while the same list was judged a moment ago.

        Raises:
            NotSent: the ledger does not say what is pinned.
        """
        known = self._known(definitions)
        if known is not None and not self._is_stale(known):
            return known
        async with self._looking:
            known = self._known(definitions)
            if known is not None and not self._is_stale(known):
                return known
            try:
                return self._judged(definitions, await self._remembered(definitions), known)
            except LedgerFailure as failure:
                if known is not None:
                    return known
                why = f"nothing was called, because the ledger does not say what is pinned ({failure})"
                raise NotSent(why) from None

    def _known(self, definitions: Sequence[ToolDefinition]) -> View | None:
        same = (view for view in self._views if view.definitions is definitions)
        equal = (view for view in self._views if list(view.definitions) == list(definitions))
        return next(same, None) or next(equal, None)

    def _is_stale(self, view: View) -> bool:
        contested = bool(view.blocked) or len(self._views) > 1
        return self._clock.monotonic() - view.at >= (LOOK_AGAIN if contested else TRUSTED_FOR)

    def _judged(self, definitions: Sequence[ToolDefinition], pins: Sequence[Pin], known: View | None) -> View:
        trusted = {(pin.tool, pin.digest) for pin in pins if pin.state is PinState.PINNED}
        if not self._trusted <= trusted:  # what was trusted is no more: no list that was judged by it counts
            self._views = []
        self._trusted = trusted
        told = tuple(_judged(definition, pins) for definition in definitions)
        if known is not None and known.told == told:
            told = known.told  # whoever holds the list sees that it is still the same
        blocked = {definition.name: definition.blocked for definition in told if definition.blocked}
        if known is not None and known.blocked != blocked:
            self._tell()
        view = View(definitions, told, blocked, self._clock.monotonic())
        self._views = [view, *(other for other in self._views if other is not known)][:MOST_VIEWS]
        return view

    def _tell(self) -> None:
        # In tasks of their own: a listener may ask for the tools at once, and this look is not over yet.
        for sink in self._sinks:
            task = asyncio.ensure_future(sink(self._upstream, "notifications/tools/list_changed", None))
            self._telling.add(task)
            task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a listener failed to hear that the tools of %s changed", self._upstream, exc_info=error)

    async def _remembered(self, definitions: Sequence[ToolDefinition]) -> Sequence[Pin]:
        """What is pinned, once what is new has been kept. Another guard may be the first to see a tool."""
        for _ in range(2):
            pins = await self._all()
            seen = news(
                pins,
                [definition.raw for definition in definitions],
                scope=self._scope,
                upstream=self._upstream,
                first_use=self._first_use,
                now=self._clock.now(),
            )
            if not seen:
                return pins
            await self._pins.keep(seen)
        return await self._all()

    async def _all(self) -> Sequence[Pin]:
        return [pin for pin in await self._pins.pins(self._scope) if pin.upstream == self._upstream]


class PinnedTools(Around):
    """A tool client behind which a tool with another definition than the pinned one is not called.

    It stands around the connector itself, so that the guard's own reads, probes and undos cannot get past it either.
    """

    def __init__(self, client: ToolClient, book: PinBook) -> None:
        super().__init__(client)
        self._book = book

    async def close(self) -> None:
        """As `ToolClient.close`."""
        await self._book.close()
        await super().close()

    def on_notification(self, sink: NotificationSink) -> None:
        """As `ToolClient.on_notification`."""
        super().on_notification(sink)
        self._book.tell(sink)

    async def tools(self) -> Sequence[ToolDefinition]:
        """As `ToolClient.tools`; of a blocked tool, the definition that is trusted, and why it is blocked."""
        return (await self._book.view(await self._client.tools())).told

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`. A blocked tool is `NotSent`."""
        if method == "tools/call":
            await self._check(str((params or {}).get("name")))
        return await super().request(method, params, timeout=timeout, progress=progress, headers=headers)

    async def _check(self, tool: str) -> None:
        try:
            view = await self._book.view(await self._client.tools())
        except NotSent:
            raise
        except ToolFailure as failure:
            raise NotSent(f"nothing was called, because the tools could not be listed: {failure}") from None
        if tool in view.blocked:
            raise NotSent(view.blocked[tool])


class PinnedBridge(AroundBridge, PinnedTools):
    """The same around an upstream that meets each client by itself: each view of its tools is held to the pins."""

    def __init__(self, client: ToolClient, bridge: Bridge, book: PinBook) -> None:
        super().__init__(client, book)
        self._bridge = bridge

    def _around(self, client: ToolClient) -> ToolClient:
        return PinnedTools(client, self._book)


def _judged(definition: ToolDefinition, pins: Sequence[Pin]) -> ToolDefinition:
    judgement = judge(pins, definition.upstream, definition.raw)
    if not judgement.why:
        return definition
    trusted = judgement.trusted
    raw = trusted if trusted is not None else {"name": definition.name, "inputSchema": {"type": "object"}}
    return replace(definition, raw=raw, blocked=judgement.why, listed=trusted is not None)


def pinned(client: ToolClient, mode: str, pins: Pins, clock: Clock, scope: str) -> ToolClient:
    """The client as the policy's `pin` wants it: `first-use`, `strict` or `off`."""
    if mode == "off":
        return client
    book = PinBook(client.name, pins, clock, scope=scope, first_use=mode == "first-use")
    return PinnedBridge(client, client, book) if isinstance(client, Bridge) else PinnedTools(client, book)
