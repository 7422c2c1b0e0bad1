"""Requests that a server makes of us: answered one by one, bounded in number, cancelled when it takes one back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.ports import Answered
from takeback_tools.mcp.channel import Hooks
from takeback_tools.mcp.messages import INTERNAL_ERROR, error_message
from takeback_tools.mcp.underway import Underway

log = logging.getLogger(__name__)

MAX_ASKED: Final = 64
"""Requests of the server that may be in progress at a time; more are refused."""

MAX_REFUSED: Final = 1000
"""Requests that may wait for their answer to be sent; more are dropped, as from a server that asks and never reads."""

_TOO_MANY: Final = -32000


class Asked:
    """Runs each request through the hooks in a task of its own and sends what comes of it."""

    def __init__(self, hooks: Hooks, underway: Underway, send: Callable[[Mapping[str, Any]], Awaitable[None]]) -> None:
        self._hooks, self._underway, self._send = hooks, underway, send
        self._tasks: set[asyncio.Task[None]] = set()
        self._by_id: dict[str | int, asyncio.Task[None]] = {}

    def take(self, number: JSON, method: str, params: JSON, *, during: int | None = None) -> None:
        """Begin to answer. Returns at once. `during` is the request of ours on whose response stream it came."""
        if not isinstance(number, int | str) or isinstance(number, bool):
            log.debug("a request of the server with the id %r is dropped", number)
            return
        if len(self._tasks) >= MAX_REFUSED:
            log.debug("too many requests of the server wait; one is dropped")
            return
        refused = len(self._tasks) >= MAX_ASKED and method != "ping"
        task = asyncio.get_running_loop().create_task(self._answer(number, method, params, during, refused=refused))
        self._tasks.add(task)
        self._by_id[number] = task
        task.add_done_callback(lambda _: self._forget(number, task))

    def _forget(self, number: str | int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._by_id.get(number) is task:  # a server may use a number again too early
            del self._by_id[number]

    async def _answer(self, number: str | int, method: str, params: JSON, during: int | None, *, refused: bool) -> None:
        try:
            if refused:
                raise Answered(_TOO_MANY, "too many requests at a time")  # noqa: TRY301 - as the handler's own refusal
            answer = {"jsonrpc": "2.0", "id": number, "result": await self._result(method, params, during)}
        except Answered as refusal:
            answer = error_message(number, refusal)
        except Exception:
            log.exception("the server's request %s could not be answered", method)
            answer = error_message(number, Answered(INTERNAL_ERROR, "Internal error"))
        await self._send(answer)

    async def _result(self, method: str, params: JSON, during: int | None) -> dict[str, Any]:
        if method == "ping":
            return {}
        with self._underway.asking(during) as downstream:
            return await self._hooks.request(method, params, downstream)

    def cancel(self, params: JSON) -> None:
        """The server took a request back (`notifications/cancelled`)."""
        wanted = params.get("requestId") if isinstance(params, dict) else None
        task = self._by_id.get(wanted) if isinstance(wanted, str | int) else None
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """Nobody is there any more to be answered."""
        for task in self._tasks:
            task.cancel()
