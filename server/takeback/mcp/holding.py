"""Requests of stateless clients that wait for an answer: held here, answered by a question, and gone on with later.

A client of the stateless era is sent no requests. So the request that led to a question is answered by the question
(`input_required`), while its work waits here; when the client sends the request again with its answers, the work
goes on, and the client gets its result, or the next question.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from takeback.core.jsontext import JSON
from takeback.mcp.asking import UNANSWERED, at_level, check_askable, no_answer
from takeback.mcp.exchange import APPROVAL_NAME, Exchange
from takeback.ports import ANSWERED_WITHIN, Answered, Downstream, Questions

MOST: Final = 256
"""Requests that may wait for an answer at a time; with more, what upstreams ask is refused."""

KEPT: Final = 60.0
"""Seconds for which the result of such a request can be had again by the same answers, should it have been lost."""

Work = Callable[[Exchange, Downstream], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a request the same one when it is sent again; `params` is a text.

    `writes`: it goes on when the client has gone. `joins`: an equal request is the same action, with its questions.
    """

    tenant: str
    principal: str
    run: str
    method: str
    params: str
    writes: bool = False
    joins: bool = False

    def resumes(self, other: Identity) -> bool:
        """Whether a request may go on with the other's work. Runs may differ: a trace names one for each request."""
        mine, its = (self.tenant, self.principal, self.method), (other.tenant, other.principal, other.method)
        return mine == its and self.params == other.params


@dataclass(slots=True, eq=False)
class Round:
    """What was asked at one time, by the names that the client sees, and its answers."""

    questions: Questions
    names: Mapping[str, str]
    answers: asyncio.Future[Mapping[str, Any]]


@dataclass(slots=True, eq=False)
class Held:
    """One request, from its first arrival to its result."""

    identity: Identity
    exchange: Exchange
    token: str = ""
    turn: int = 0
    rounds: list[Round] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[dict[str, Any]] | None = None

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self.task is not None and self.task.done()

    def move(self) -> None:
        """Something happened: a question, an answer, the result. Whoever waits looks again."""
        self.moved.set()
        self.moved = asyncio.Event()

    @property
    def state(self) -> str:
        """What the client is to send back with its answers to what is open now."""
        return f"{self.token}.{self.turn}"


class Holding:
    """The requests that are held, and those whose result may be asked for again."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._tasks: set[asyncio.Task[dict[str, Any]]] = set()
        self._closed = False

    async def run(self, exchange: Exchange, identity: Identity, work: Work) -> dict[str, Any]:
        """Begin the work, or go on with what is held; returns its result, or what it asks.

        Raises:
            MCPError: what the work raises; or the request goes on with nothing that is held.
        """
        if exchange.request_state is not None:
            held = self._resumed(exchange, identity)
        else:
            held = self._equal(exchange, identity) or self._begin(exchange, identity, work)
        return await self._next(held)

    # --- Beginning, and going on ---------------------------------------------------------------------------------

    def _begin(self, exchange: Exchange, identity: Identity, work: Work) -> Held:
        held = Held(identity, exchange)

        async def ask(questions: Questions) -> Mapping[str, Any]:
            return await self._ask(held, questions)

        async def tell(method: str, params: JSON) -> None:
            if held.exchange.tell is not None:
                await at_level(held.exchange.tell, held.exchange.log_level)(method, params)

        held.task = asyncio.get_running_loop().create_task(_run(work, held, exchange.downstream(ask, tell)))
        self._tasks.add(held.task)
        held.task.add_done_callback(lambda task: self._ended(held, task))
        return held

    def _ended(self, held: Held, task: asyncio.Task[dict[str, Any]]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waits has it, and nobody may
        held.move()
        if held.token:
            asyncio.get_running_loop().call_later(KEPT, self._held.pop, held.token, None)

    def _resumed(self, exchange: Exchange, identity: Identity) -> Held:
        token, _, turn = (exchange.request_state or "").partition(".")
        held = self._held.get(token)
        if held is None or not identity.resumes(held.identity) or turn not in map(str, range(1, held.turn + 1)):
            raise MCPError(
                code=INVALID_PARAMS,
                message="requestState names no call that waits for an answer (any more); call again without it",
            )
        held.exchange = exchange
        if turn == str(held.turn):  # of an earlier round they were taken already, and the reply was lost
            _give(held, exchange.input_responses)
        return held

    def _equal(self, exchange: Exchange, identity: Identity) -> Held | None:
        """A write that waits, met by an equal call: the same action. It is asked again, whoever lost the question."""
        if not self._held or not identity.joins or exchange.input_responses:
            return None
        held = next((h for h in self._held.values() if h.identity == identity and not h.done), None)
        if held is not None:
            held.exchange = exchange
        return held

    async def _next(self, held: Held) -> dict[str, Any]:
        assert held.task is not None
        try:
            while not held.done and not held.rounds:
                await held.moved.wait()
        except asyncio.CancelledError:
            if not held.identity.writes:  # of a write, the outcome must be learned whoever waits for it
                held.task.cancel()
            raise
        return held.task.result() if held.done else _question(held)

    # --- Asking --------------------------------------------------------------------------------------------------

    async def _ask(self, held: Held, questions: Questions) -> Mapping[str, Any]:
        check_askable(questions, held.exchange.capabilities)
        waiting = sum(bool(other.rounds) for other in self._held.values())
        if self._closed or waiting >= MOST:
            raise Answered(UNANSWERED, "too many calls wait for an answer, or the guard stops")
        self._register(held)
        taken = {name for one in held.rounds for name in one.names}
        one = Round(questions, {_free(name, taken): name for name in questions}, _future())
        held.rounds.append(one)
        held.turn += 1
        held.move()
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                return await one.answers
        except TimeoutError:
            return {name: no_answer(str(question.get("method"))) for name, question in questions.items()}
        finally:
            if one in held.rounds:
                held.rounds.remove(one)

    def _register(self, held: Held) -> None:
        if not held.token:
            held.token = secrets.token_urlsafe(24)
            self._held[held.token] = held

    async def close(self) -> None:
        """Nobody answers any more: what was asked was put away, and the work comes to its end by that."""
        self._closed = True
        for held in self._held.values():
            for one in held.rounds:
                if not one.answers.done():
                    one.answers.set_exception(TimeoutError())
        await asyncio.sleep(0)
        for task in [t for t in self._tasks if not t.done()]:
            task.cancel()
        if self._tasks:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(list(self._tasks), timeout=2.0)


async def _run(work: Work, held: Held, downstream: Downstream) -> dict[str, Any]:
    return await work(_following(held), downstream)


def _following(held: Held) -> Exchange:
    """The exchange that the work sees: what it tells goes to whichever request waits now."""

    async def progress(update: Mapping[str, Any]) -> None:
        if held.exchange.progress is not None:
            await held.exchange.progress(update)

    return replace(held.exchange, progress=progress) if held.exchange.progress is not None else held.exchange


def _give(held: Held, responses: Mapping[str, Any]) -> None:
    """Hand the client's answers to those who asked. What nobody asked for goes along where only one asks."""
    for one in list(held.rounds):
        mine = {name: responses[seen] for seen, name in one.names.items() if seen in responses}
        if len(held.rounds) == 1:
            mine = {**{k: v for k, v in responses.items() if k not in one.names}, **mine}
        if (mine or not one.questions) and not one.answers.done():
            held.rounds.remove(one)
            one.answers.set_result(mine)


def _question(held: Held) -> dict[str, Any]:
    asked = {seen: one.questions[name] for one in held.rounds for seen, name in one.names.items()}
    requests = {"inputRequests": asked} if asked else {}
    return {"resultType": "input_required", **requests, "requestState": held.state}


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken or APPROVAL_NAME.fullmatch(found):
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()
