"""The requests that are under way on one connection: whom each is made for, and what belongs to it.

A server that asks something in the middle of a call does not say which call it asks for. Over HTTP the response stream
tells; on a pipe it can only be the one call that is under way, or one of several of the same client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.ports import Answered, Downstream, ProgressSink
from takeback_tools.mcp.messages import number_of
from takeback_tools.mcp.pump import Pump

SINK_GRACE: Final = 1.0
"""Seconds that a listener may lag behind the answer."""

WHOSE: Final = -32000


class Limit:
    """The time that a request has, from its send and anew after each answer to a question asked in its course.

    It stands still while its client is asked: a person may take longer than any tool should.
    """

    def __init__(self, seconds: float | None, passed: Callable[[], None]) -> None:
        self._seconds, self._passed = seconds, passed
        self._asked, self._over = 0, False
        self._timer: asyncio.TimerHandle | None = None
        self._start()

    def _start(self) -> None:
        if self._seconds is not None and not self._over:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._passed)

    def _halt(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """The request is over."""
        self._over = True
        self._halt()

    @contextmanager
    def stands_still(self) -> Iterator[None]:
        """While the client is asked."""
        self._asked += 1
        self._halt()
        try:
            yield
        finally:
            self._asked -= 1
            if not self._asked:
                self._start()


class Request:
    """One request under way."""

    def __init__(self, method: str, limit: Limit, progress: ProgressSink | None, downstream: Downstream | None) -> None:
        self.method, self.limit, self.downstream = method, limit, downstream
        self._progress = progress
        self._pump: Pump[tuple[str, Any]] | None = None

    def offer(self, method: str, params: JSON) -> bool:
        """Hand over what came for this request, in order. False where its client takes no such thing."""
        tell = self.downstream.tell if self.downstream is not None else None
        if (self._progress if method == "notifications/progress" else tell) is None:
            return False
        if self._pump is None:
            self._pump = Pump(self._deliver, f"what belongs to {self.method}")
        self._pump.offer((method, params))
        return True

    async def _deliver(self, item: tuple[str, Any]) -> None:
        method, params = item
        if method == "notifications/progress" and self._progress is not None:
            await self._progress(params)
        elif self.downstream is not None and self.downstream.tell is not None:
            await self.downstream.tell(method, params)

    async def finish(self) -> None:
        """Deliver what is left, within bounds: the answer must not overtake it."""
        if self._pump is not None:
            await self._pump.finish(SINK_GRACE)

    def stop(self) -> None:
        """It is over, whatever was left."""
        self.limit.stop()
        if self._pump is not None:
            self._pump.stop()


class Underway:
    """The requests under way on one connection, by number."""

    def __init__(self) -> None:
        self._requests: dict[int, Request] = {}

    def begin(self, number: int, request: Request) -> None:
        """It is about to be sent."""
        self._requests[number] = request

    async def finish(self, number: int) -> None:
        """It was answered: deliver what belongs to it first."""
        request = self._requests.get(number)
        if request is not None:
            await request.finish()

    def end(self, number: int) -> None:
        """It is over."""
        request = self._requests.pop(number, None)
        if request is not None:
            request.stop()

    def progressed(self, params: Mapping[str, Any]) -> None:
        """Progress came: it names its request by the token."""
        request = self._requests.get(number_of(params.get("progressToken")) or 0)
        if request is not None:
            rest = {key: value for key, value in params.items() if key != "progressToken"}
            request.offer("notifications/progress", rest)

    def told(self, method: str, params: JSON, number: int | None) -> bool:
        """Whether a log message belongs to a request (`number`: the one on whose stream it came), which then has it."""
        if method != "notifications/message":
            return False
        try:
            concerned = self._concerned(number)
        except Answered:
            return False
        return bool(concerned) and concerned[0].offer(method, params)

    @contextmanager
    def asking(self, number: int | None) -> Iterator[Downstream | None]:
        """Whom to ask what came on the stream of request `number`, or on none. None: no request is under way.

        Meanwhile the time limit of the requests that may wait for the answer stands still.

        Raises:
            Answered: requests of several clients are under way, and nothing says which of them is meant.
        """
        concerned = self._concerned(number)
        with ExitStack() as still:
            for request in concerned:
                still.enter_context(request.limit.stands_still())
            yield concerned[0].downstream if concerned else None

    def _concerned(self, number: int | None) -> list[Request]:
        if number is not None and (request := self._requests.get(number)) is not None and request.downstream:
            return [request]
        found = [request for request in self._requests.values() if request.downstream is not None]
        if len({request.downstream.who for request in found if request.downstream is not None}) > 1:
            raise Answered(WHOSE, "several clients have calls under way, and nothing says which of them is asked")
        return found
