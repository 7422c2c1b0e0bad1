"""An agent's client under load: it calls until it is told something else than to come again, as a real one does."""

from __future__ import annotations

import asyncio
import random
from collections import Counter as Counts
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Literal

import httpx2

from .calls import Meant
from .kit import Agent, Answer

Outcome = Literal["done", "queued", "behind", "again", "odd", "stuck"]
"""What an answer says: done; a person must say what became of it, or of another one on the same target, before which
nothing is done; come again; something else. `stuck`: nothing else than to come again within the bound."""

FINAL: Final = frozenset({"done", "queued", "behind", "odd", "stuck"})

_AGAIN: Final = ("in progress", "ask again", "wait for it to be settled", "try again", "call again in a moment")
_SOON: Final = (0.05, 0.4)
"""Seconds until a client comes again."""

_IMPATIENT: Final = 0.08
"""Seconds after which, at the latest, a client takes a reply for lost."""

_LATER: Final = 40
"""How many calls later, at the most, a call comes again that was answered."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a client was told in the end."""

    outcome: Outcome
    text: str = ""


@dataclass(slots=True)
class Tally:
    """What was sent and answered. `answered` is told of each last answer."""

    told: dict[int, list[Told]] = field(default_factory=dict)
    answered: Callable[[], None] = lambda: None
    counts: Counts[str] = field(default_factory=Counts)

    def note(self, meant: Meant, told: Told) -> None:
        """Somebody was told in the end."""
        self.told.setdefault(meant.number, []).append(told)
        self.answered()


def understood(answer: Answer) -> Outcome:
    """What an answer says to a client that reads."""
    said = answer.text.lower()
    if not answer.error or "it took effect" in said or "changed meanwhile by others" in said:
        return "done"  # with the tool's own answer, with the guard's word for it, or overwritten since
    if answer.status == "needs_operator":
        return "queued" if "the outcome is unknown" in said else "behind"
    if answer.status == "in_doubt" or any(word in said for word in _AGAIN):
        return "again"
    return "odd"


@dataclass(slots=True)
class Client:
    """One agent's. `patience`: seconds within which it must be told something else than to come again."""

    agent: Agent
    tally: Tally
    chance: random.Random
    patience: float
    _late: list[tuple[int, Meant]] = field(default_factory=list)

    async def work(self, order: list[Meant]) -> None:
        """Call everything, in order; what comes late comes between the others, and at the end."""
        for at, meant in enumerate(order):
            await self._carry_out(meant)
            if meant.twice == "late":
                self._late.append((at + self.chance.randint(1, _LATER), meant))
            while self._late and self._late[0][0] <= at:
                await self._duplicate(self._late.pop(0)[1])
        for _, meant in self._late:
            await self._duplicate(meant)

    async def _carry_out(self, meant: Meant) -> None:
        match meant.twice:
            case "together":
                await asyncio.gather(self.ask(meant), self._duplicate(meant))
            case "lost":
                self.tally.counts["duplicates"] += 1
                await self._give_up(meant)
                await self.ask(meant)
            case _:
                await self.ask(meant)

    async def _duplicate(self, meant: Meant) -> None:
        self.tally.counts["duplicates"] += 1
        await self.ask(meant)

    async def _give_up(self, meant: Meant) -> None:
        """Call, and do not wait for the reply; whatever it was is lost."""
        call = asyncio.create_task(self._once(meant))
        await asyncio.wait({call}, timeout=self.chance.uniform(0, _IMPATIENT))
        call.cancel()
        await asyncio.wait({call})

    async def ask(self, meant: Meant) -> Told:
        """Call until there is an answer."""
        until = monotonic() + self.patience
        while True:
            answer = await self._once(meant)
            outcome = understood(answer)
            if outcome != "again":
                break
            if monotonic() > until:
                outcome = "stuck"
                break
            self.tally.counts["again"] += 1
            await asyncio.sleep(self.chance.uniform(*_SOON))
        told = Told(outcome, answer.text)
        self.tally.counts["replays"] += answer.replayed
        self.tally.note(meant, told)
        return told

    async def _once(self, meant: Meant) -> Answer:
        self.tally.counts["sent"] += 1
        try:
            return await self.agent.call(meant.name, meant.arguments, run=meant.run)
        except (httpx2.TransportError, httpx2.HTTPStatusError) as error:
            self.tally.counts["broken"] += 1
            return Answer("", "", f"no answer ({type(error).__name__}): try again", error=True)
