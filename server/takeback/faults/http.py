"""Faults on the way to an HTTP server: a proxy on loopback that obeys orders, and notes what it carried."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from takeback.faults.kinds import Fault
from takeback.faults.messages import Carried, Request, alone, read_request
from takeback.faults.spoiling import spoil

_HOST: Final = "127.0.0.1"
_PATIENCE: Final = 30
_CHUNK: Final = 1 << 16
_LIMIT: Final = 1 << 24

__all__ = ["Carried", "FaultyProxy"]


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """What the next request that fits meets: a fault, or something that happens ahead of it."""

    method: str
    path: str
    body: bytes
    fault: Fault | None = None
    ahead: Callable[[], None] | None = None
    landing: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, request: Request) -> bool:
        return request.head.fits(self.method, self.path) and self.body in request.body


class FaultyProxy:
    """Carries requests between clients and one server on loopback, on a thread of its own. HTTP/1.1, not encrypted.

    `carried` are the heads of the requests so far, in order of their arrival.
    """

    def __init__(self, port: int) -> None:
        self.server_port = port
        self._orders: list[_Order] = []
        self._held: list[_Order] = []
        self._loop = asyncio.new_event_loop()
        self.carried: list[Carried] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pending(self) -> bool:
        """Whether an order was not carried out yet."""
        return bool(self._orders)

    def order(self, fault: Fault, method: str, path: str = "", body: bytes = b"") -> None:
        """Let the next request of a method, whose path holds `path` and whose body holds `body`, meet a fault."""
        self._orders.append(_Order(method, path, body, fault))

    def lose_answer(self, method: str, path: str) -> None:
        """Let the answer to the next such request be lost: the server has carried it out, and the line breaks."""
        self.order(Fault.CUT_AFTER, method, path)

    def before_next(self, method: str, path: str, do: Callable[[], None]) -> None:
        """Let something happen when the next such request is on its way and has not arrived."""
        self._orders.append(_Order(method, path, b"", ahead=do))

    def land(self) -> None:
        """Let the requests that are late go on to the server."""
        for order in self._held:
            self._loop.call_soon_threadsafe(order.landing.set)
        self._held.clear()

    def sent(self, method: str, path: str = "") -> list[Carried]:
        """The requests of one method whose path holds `path`."""
        return [request for request in self.carried if request.fits(method, path)]

    @contextmanager
    def running(self) -> Iterator[FaultyProxy]:
        """From when it listens until it has stopped."""
        ready, stop = threading.Event(), asyncio.Event()
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve(ready, stop)))
        thread.start()
        try:
            assert ready.wait(_PATIENCE)
            yield self
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            thread.join(_PATIENCE)
            self._loop.close()

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        under_way: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connection(reader, writer))
            under_way.add(task)
            task.add_done_callback(under_way.discard)

        server = await asyncio.start_server(accept, _HOST, 0, limit=_LIMIT)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        try:
            while (request := await read_request(reader)) is not None:
                self.carried.append(request.head)
                if (order := await self._met(request)) is not None and order.fault is not None:
                    if await self._suffer(order, order.fault, request, writer):
                        continue
                    return
                if there is None:
                    there_reader, there = await asyncio.open_connection(_HOST, self.server_port, limit=_LIMIT)
                    back = asyncio.ensure_future(_back(there_reader, writer))
                there.write(request.raw)
                await there.drain()
        except (OSError, asyncio.IncompleteReadError):
            return  # one of the two ends is gone, and the other one hears of it below
        finally:
            await _ended(back, writer, there)

    async def _met(self, request: Request) -> _Order | None:
        """What was ordered for this request; what is to happen ahead of it has happened then."""
        ahead = self._taken(request, lambda order: order.ahead is not None)
        if ahead is not None and ahead.ahead is not None:
            await asyncio.to_thread(ahead.ahead)
        return self._taken(request, lambda order: order.fault is not None)

    def _taken(self, request: Request, kind: Callable[[_Order], bool]) -> _Order | None:
        order = next((order for order in self._orders if kind(order) and order.fits(request)), None)
        if order is not None:
            self._orders.remove(order)
        return order

    async def _suffer(self, order: _Order, fault: Fault, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Do it, over a connection of its own to the server. Returns whether that of the client goes on."""
        if fault is Fault.LATE:
            self._held.append(order)
            await order.landing.wait()

        async def carry() -> bytes:
            return await alone(request, _HOST, self.server_port)

        return await spoil(fault, request, writer, carry)


async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What the server says, as it comes; when it hangs up, so does the proxy."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _ended(back: asyncio.Task[None] | None, *ends: asyncio.StreamWriter | None) -> None:
    if back is not None:
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
    for end in ends:
        if end is not None:
            end.close()
            with suppress(OSError):
                await end.wait_closed()
