"""From when a guard serves until it has stopped: it is there for others, works beside its calls, and hands over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from takeback.guard.runs import presence
from takeback.guard.services import HAND_OVER, Services
from takeback.guard.worker import Worker
from takeback.ports import LedgerFailure

log = logging.getLogger(__name__)

DRAIN: Final = 20.0
"""Seconds that a guard which stops waits for what is in flight."""


@asynccontextmanager
async def attending(services: Services, tenant: str, *, works: bool) -> AsyncIterator[None]:
    """Serve within this. One that `works` is there for others, and takes up what they left.

    At the end it finishes what is in flight, or leaves it in a state in which another one can take it up at once.

    Raises:
        LedgerFailure: it cannot say that it is there.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(services.keeper.close)
        if works:
            await stack.enter_async_context(_present(services, tenant))
        stack.push_async_callback(services.tasks.drain, DRAIN)
        if works:
            await stack.enter_async_context(_working(services, tenant))
            stack.push_async_callback(_part, services, tenant)
        yield


@asynccontextmanager
async def _present(services: Services, tenant: str) -> AsyncIterator[None]:
    standing = await presence(services, tenant)
    with services.keeper.keeping(standing.leases):
        yield
    try:
        await services.ledger.release(standing.leases)
    except LedgerFailure as failure:
        log.info("it runs out by itself: %s", failure)


@asynccontextmanager
async def _working(services: Services, tenant: str) -> AsyncIterator[None]:
    task = asyncio.create_task(Worker(services, tenant).run(), name="takeback worker")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=HAND_OVER)


async def _part(services: Services, tenant: str) -> None:
    """Whatever comes from here on, no client of this guard hears of."""
    try:
        await services.ledger.end_runs(tenant, services.instance, services.clock.now())
    except LedgerFailure as failure:
        log.warning("that the guard stopped could not be recorded: %s", failure)
