"""How the tests wait: for signals, never for time, and never without a bound."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil

from takeback.core.jsontext import JSON
from takeback_tools.mcp.connector import McpConnector

BOUND = 15.0

T = TypeVar("T")

Start = Callable[..., McpConnector]
"""Makes a connector that is closed when the test is over."""


async def ended(work: Awaitable[T], within: float = BOUND) -> T:
    """What `work` returns, in bounded time."""
    return await asyncio.wait_for(work, within)


class Ear:
    """A listener of notifications and of progress."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._more = asyncio.Condition()

    async def notified(self, upstream: str, method: str, params: JSON) -> None:
        await self._hear((method, params))

    async def progress(self, params: Mapping[str, Any]) -> None:
        await self._hear(params)

    async def _hear(self, what: Any) -> None:
        async with self._more:
            self.heard.append(what)
            self._more.notify_all()

    async def until(self, count: int) -> list[Any]:
        """Everything heard, as soon as it is `count` or more."""
        async with self._more:
            await ended(self._more.wait_for(lambda: len(self.heard) >= count))
        return self.heard


class Ending:
    """Learns from the kernel when a process ends, whoever its parent is. Made while the process still runs."""

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def seen(self, within: float = 5.0) -> bool:
        """Whether the process has ended, or does so in time."""
        try:
            return bool(select.select([self._handle], [], [], within)[0])
        finally:
            os.close(self._handle)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def failure_of(work: Awaitable[Any]) -> BaseException:
    (found,) = await ended(asyncio.gather(work, return_exceptions=True))
    assert isinstance(found, BaseException), found
    return found


def starts(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
