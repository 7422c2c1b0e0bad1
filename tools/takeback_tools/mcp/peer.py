"""A JSON-RPC 2.0 peer on lines of text, without any I/O of its own.

Bytes that arrive are given to `feed`, lines to be sent go to `write`. The SDK's transports move each line through
worker threads and validate it several times, which costs about a millisecond a call; this is the short way.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from takeback.core.jsontext import JSON, MalformedJSON, dumps, loads
from takeback.core.lines import Lines
from takeback.ports import Downstream, NotSent, OutcomeUnknown, ProgressSink, ToolFailure
from takeback_tools.mcp.asked import Asked
from takeback_tools.mcp.channel import Hooks
from takeback_tools.mcp.messages import notification, number_of, request_text, settled
from takeback_tools.mcp.underway import Limit, Request, Underway

log = logging.getLogger(__name__)

NOISE_KEPT: Final = 10
NOISE_WIDTH: Final = 300
_ANSWER_HEAD: Final = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,18})\s*,')

Outcome = asyncio.Future[dict[str, Any]]


class Peer:
    """Our end of one connection.

    `write` takes a whole line and returns False when provably nothing of it was taken. `paused` is kept by whoever owns
    the pipe (`pause`, `resume`): while it is set, new requests wait instead of filling the memory.
    """

    def __init__(self, write: Callable[[bytes], bool], hooks: Hooks, *, limit: int) -> None:
        self._write, self._hooks = write, hooks
        self._loop = asyncio.get_running_loop()
        self._lines = Lines(self._line, self._oversized, limit)
        self._limit = limit
        self._next_id = 0
        self._pending: dict[int, Outcome] = {}
        self._underway = Underway()
        self._asked = Asked(hooks, self._underway, self._reply)
        self._resumed: asyncio.Event | None = None
        self.ended: str | None = None
        self.noise: deque[str] = deque(maxlen=NOISE_KEPT)
        self.noise_count = 0

    # --- What we ask ---------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        downstream: Downstream | None = None,
    ) -> dict[str, Any]:
        """Send one request and return its `result` as it came. `timeout` is in seconds, from the send.

        Raises:
            NotSent, Answered, OutcomeUnknown: as their names say.
        """
        if self._resumed is not None:
            await self._wait_writable(timeout)
        if self.ended is not None:
            raise NotSent(self.ended)
        self._next_id = number = self._next_id + 1
        line = request_text(number, method, params, with_progress=progress is not None) + b"\n"
        outcome: Outcome = self._loop.create_future()
        self._pending[number] = outcome
        limit = Limit(timeout, lambda: self._expire(number, method, timeout or 0.0))
        self._underway.begin(number, Request(method, limit, progress, downstream))
        if not self._write(line):
            self._forget(number)
            raise NotSent("the connection is closed")
        return await self._outcome(number, outcome, method)

    async def _outcome(self, number: int, outcome: Outcome, method: str) -> dict[str, Any]:
        try:
            result = await outcome
            await self._underway.finish(number)
            return result
        except asyncio.CancelledError:
            if number in self._pending:
                self._tell_cancelled(number, method, "the caller gave up")
            raise
        finally:
            self._forget(number)

    def _expire(self, number: int, method: str, timeout: float) -> None:
        outcome = self._pending.pop(number, None)
        if outcome is None or outcome.done():
            return
        self._tell_cancelled(number, method, f"no answer within {timeout:g} s")
        outcome.set_exception(OutcomeUnknown("timeout", f"no answer to {method} within {timeout:g} s"))

    def _tell_cancelled(self, number: int, method: str, reason: str) -> None:
        if method != "initialize":  # the one request that the protocol forbids to cancel
            self.notify("notifications/cancelled", {"requestId": number, "reason": reason})

    def _forget(self, number: int) -> None:
        self._pending.pop(number, None)
        self._underway.end(number)

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification; one that cannot be sent is dropped."""
        self._send(notification(method, params))

    def _send(self, message: Mapping[str, Any]) -> None:
        if self.ended is None:
            self._write(dumps(message) + b"\n")

    # --- Backpressure --------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """The pipe is full: new requests wait."""
        if self._resumed is None:
            self._resumed = asyncio.Event()

    def resume(self) -> None:
        """The pipe has room again."""
        if self._resumed is not None:
            self._resumed.set()
            self._resumed = None

    async def _wait_writable(self, timeout: float | None) -> None:
        try:
            async with asyncio.timeout(timeout):
                while self._resumed is not None and self.ended is None:
                    await self._resumed.wait()
        except TimeoutError:
            raise NotSent(f"the upstream has not read its input for {timeout:g} s") from None

    # --- What arrives --------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrive, in pieces of any size."""
        self._lines.feed(data)

    def finish(self) -> None:
        """Nothing more arrives: a last line may lack its end."""
        self._lines.finish()

    def lose(self, reason: str) -> None:
        """The connection has ended: whatever was asked has an unknown outcome, and nothing more can be sent."""
        if self.ended is not None:
            return
        self.ended = reason
        self.resume()
        waiting, self._pending = self._pending, {}
        for outcome in waiting.values():
            if not outcome.done():
                outcome.set_exception(OutcomeUnknown("lost", reason))
        self._asked.close()

    def fail(self, line: bytes, failure: ToolFailure) -> None:
        """A line that was taken for sending did not get there, or was refused: its request has this for an outcome."""
        message = loads(line)
        if "method" not in message:
            return  # an answer of ours: its number is the server's
        number = number_of(message.get("id"))
        outcome = self._pending.pop(number, None) if number is not None else None
        if outcome is not None and not outcome.done():
            outcome.set_exception(failure)

    def _line(self, line: bytes) -> None:
        try:
            message = loads(line)
        except MalformedJSON:
            if line.strip():
                self._note(line)
            return
        if type(message) is dict:
            self._message(message, line)
        elif type(message) is list and message and all(type(one) is dict for one in message):
            for one in message:  # a batch, which the revision of 2025-03-26 allows
                self._message(one, line)
        else:
            self._note(line)

    def _message(self, message: dict[str, Any], line: bytes) -> None:
        method = message.get("method")
        if method is None and "id" in message:
            self._response(message, line)
        elif type(method) is not str:
            self._note(line)
        elif "id" in message:
            self._asked.take(message["id"], method, message.get("params"))
        else:
            self._notified(method, message.get("params"))

    def _response(self, message: dict[str, Any], line: bytes) -> None:
        given = message["id"]
        number = number_of(given)
        outcome = self._pending.pop(number, None) if number is not None else None
        if outcome is None:
            self._unmatched(given, line)
        elif not outcome.done():
            settle(outcome, message)

    def _unmatched(self, given: JSON, line: bytes) -> None:
        if type(given) is int and 0 < given <= self._next_id:
            log.debug("a late answer to request %d is dropped", given)
        else:
            self._note(line)

    def _notified(self, method: str, params: JSON) -> None:
        if method == "notifications/progress":
            if isinstance(params, dict):
                self._underway.progressed(params)
        elif method == "notifications/cancelled":
            self._asked.cancel(params)
        elif not self._underway.told(method, params, None):
            self._hooks.notification(method, params)

    async def _reply(self, message: Mapping[str, Any]) -> None:
        if self._resumed is not None:
            await self._wait_writable(None)
        self._send(message)

    # --- What should not arrive ----------------------------------------------------------------------------------

    def _note(self, line: bytes) -> None:
        self.noise_count += 1
        text = line[:NOISE_WIDTH].decode("utf-8", "replace").strip()
        self.noise.append(text)
        log.debug("not a JSON-RPC message: %s", text)

    def _oversized(self, head: bytes) -> None:
        """A line beyond the bound was skipped. If it was an answer, its request must not wait for the time-out."""
        self._note(head)
        found = _ANSWER_HEAD.match(head)
        numbers = [int(found[1])] if found else list(self._pending) if len(self._pending) == 1 else []
        for number in numbers:
            outcome = self._pending.pop(number, None)
            if outcome is not None and not outcome.done():
                text = f"the answer is longer than {self._limit} bytes"
                outcome.set_exception(OutcomeUnknown("malformed", text))


def settle(outcome: Outcome, message: Mapping[str, Any]) -> None:
    """Give a request its outcome from the response that came for it."""
    try:
        outcome.set_result(settled(message))
    except ToolFailure as failure:
        outcome.set_exception(failure)
