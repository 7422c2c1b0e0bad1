"""Faults on the way to an HTTP server: a proxy on loopback that loses answers on order, and notes what it carried."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

_HOST: Final = "127.0.0.1"
_PATIENCE: Final = 30
_HEAD: Final = re.compile(rb"(?P<method>[A-Z]{3,12}) (?P<path>\S+) HTTP/1\.[01]\r\n(?P<headers>.*?\r\n)\r\n", re.DOTALL)
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Carried:
    """The head of a request that went through; names of headers are small."""

    method: str
    path: str
    headers: dict[str, str]


def _carried(data: bytes) -> Carried | None:
    found = _HEAD.match(data)
    if found is None:
        return None
    lines = found["headers"].decode("latin-1").splitlines()
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Carried(found["method"].decode(), found["path"].decode(), headers)


def _fits(request: Carried, method: str, path: str) -> bool:
    return request.method == method and path in request.path


class LossyProxy:
    """Carries bytes between clients and one server, on a thread of its own.

    `carried` are the requests so far, in order of their arrival.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._orders: list[tuple[str, str]] = []
        self._ahead: list[tuple[str, str, Callable[[], None]]] = []
        self._loop = asyncio.new_event_loop()
        self.carried: list[Carried] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    @property
    def pending(self) -> bool:
        """Whether an order was not carried out yet."""
        return bool(self._orders or self._ahead)

    def lose_answer(self, method: str, path: str) -> None:
        """Let the answer to the next such request be lost: the server has carried it out, and the line breaks.

        `path` is a part of the path.
        """
        self._orders.append((method, path))

    def before_next(self, method: str, path: str, do: Callable[[], None]) -> None:
        """Let something happen when the next such request is on its way and has not arrived."""
        self._ahead.append((method, path, do))

    def sent(self, method: str, path: str = "") -> list[Carried]:
        """The requests of one method whose path holds `path`."""
        return [request for request in self.carried if _fits(request, method, path)]

    @contextmanager
    def running(self) -> Iterator[LossyProxy]:
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
        there_reader, there_writer = await asyncio.open_connection(_HOST, self._server_port, limit=_LIMIT)
        losing = asyncio.Event()
        forth = asyncio.ensure_future(self._forth(reader, there_writer, losing))
        back = asyncio.ensure_future(_back(there_reader, writer, losing))
        try:
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (forth, back):
                task.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)
            for end in (writer, there_writer):
                end.close()
                with suppress(ConnectionError):
                    await end.wait_closed()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        while data := await reader.read(_LIMIT):
            request = _carried(data)
            if request is not None:
                self.carried.append(request)
                await self._get_ahead_of(request)
                if self._ordered(request):
                    losing.set()
            writer.write(data)
            await writer.drain()

    async def _get_ahead_of(self, request: Carried) -> None:
        for order in self._ahead:
            if _fits(request, *order[:2]):
                self._ahead.remove(order)
                await asyncio.to_thread(order[2])
                return

    def _ordered(self, request: Carried) -> bool:
        for order in self._orders:
            if _fits(request, *order):
                self._orders.remove(order)
                return True
        return False


async def _back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
    while data := await reader.read(_LIMIT):
        if losing.is_set():  # it has answered, so it has carried the request out
            return
        writer.write(data)
        await writer.drain()
