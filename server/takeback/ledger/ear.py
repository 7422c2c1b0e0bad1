"""The ear of a store on PostgreSQL: one connection that listens for what other stores commit.

When it breaks, another is made; until then the store finds changes by polling, and knows that the database is away. It
is asked for a sign of life from time to time, since a connection to a server that was halted does not break by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from takeback.ledger.health import Health
from takeback.ledger.notices import CHANNEL, EVERYTHING, News

log = logging.getLogger(__name__)

BEAT: Final = 1.0
"""Seconds between two signs of life."""

ANSWERS_WITHIN: Final = 3.0
"""Seconds that a sign of life may take, and a new connection until it listens."""

_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 2.0
_DROP_SECONDS: Final = 5.0


class Ear:
    """`listening` is whether notices arrive at the moment. Start it with `start`, stop it with `close`."""

    def __init__(self, engine: AsyncEngine, heard: Callable[[News], None], health: Health) -> None:
        self._engine, self._heard, self._health = engine, heard, health
        self._task: asyncio.Task[None] | None = None
        self.listening = False

    def start(self) -> None:
        """Begin to listen. Needs a running event loop."""
        self._task = asyncio.create_task(self._always(), name="takeback ledger ear")

    async def close(self) -> None:
        """Stop listening. Never raises; bounded."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=2 * _DROP_SECONDS)
        with suppress(Exception):
            async with asyncio.timeout(_DROP_SECONDS):
                await self._engine.dispose()

    async def _always(self) -> None:
        pause = _PAUSE
        while True:
            try:
                await self._listen()
            except Exception as error:  # the driver's own kinds, and whatever else: it must go on listening
                pause = self._deaf(error, pause)
            finally:
                self.listening = False
            await asyncio.sleep(pause)

    def _deaf(self, error: Exception, pause: float) -> float:
        """How long to wait before the next try. One connection that breaks does not say that the database is away."""
        if self.listening and not isinstance(error, TimeoutError):
            return 0.0
        if self._health.well:
            log.warning("the ledger's database is away (%s)", type(error).__name__)
        self._health.failed(OSError(type(error).__name__))
        return min(max(2 * pause, _PAUSE), _LONGEST_PAUSE)

    async def _listen(self) -> None:
        """Listen until the connection breaks, which it ends with by raising."""
        connection: AsyncConnection | None = None
        broken = asyncio.Event()
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                connection = await self._engine.connect()
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                driver.add_termination_listener(lambda _connection: broken.set())
                await driver.add_listener(await driver.fetchval(CHANNEL), self._notice)
            self._health.answered()
            self.listening = True
            self._heard(EVERYTHING)  # what was said while nobody listened is found by looking
            await self._keep(driver, broken)
        finally:
            if connection is not None:
                await _drop(connection)

    async def _keep(self, driver: Any, broken: asyncio.Event) -> None:
        while not broken.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await broken.wait()
            async with asyncio.timeout(ANSWERS_WITHIN):
                await driver.execute("SELECT 1")
            self._health.answered()
        raise ConnectionError("the connection that listens broke")

    def _notice(self, _connection: object, _process: int, _channel: str, payload: object) -> None:
        self._heard(News.heard(str(payload)))


async def _drop(connection: AsyncConnection) -> None:
    with suppress(Exception):
        async with asyncio.timeout(_DROP_SECONDS):
            await connection.invalidate()
            await connection.close()
