"""One load run from its beginning to its end: the calls, the kills, what a person says afterwards, and what is left."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from takeback.bootstrap import read_policy, running
from tests.crashes.evidence import gathered, under_way

from .balancer import Balancer, balancing
from .calls import Meant, effect_of, generated
from .client import Client, Tally
from .killing import Killer, killing
from .kit import APART, Agent, Counter, agent, counting, guards
from .policies import write_policy
from .verdict import Facts, violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is played. `slowest`: milliseconds of the API; `every`: answers between two kills, on the average;

    `patience`: seconds within which each call, and what is under way at the end, must come to something; `apart`: the
    guards are as on machines of their own; `without`: a safeguard that they live without.
    """

    calls: int
    guards: int
    seed: int = 0
    slowest: int = 100
    every: int = 20
    patience: float = 60.0
    without: str = ""
    apart: bool = True

    @property
    def lacking(self) -> str:
        """What its guards live without."""
        return " + ".join(name for name in (APART if self.apart else "", self.without) if name)


@dataclass(slots=True)
class Played:
    """What came of it: `first` before and `last` after a person's word on what nobody could settle by looking."""

    plan: Plan
    seconds: float
    served: list[int]
    tally: Tally
    first: Facts
    last: Facts

    @property
    def wrong(self) -> list[str]:
        """All violations. What follows on some is not looked at."""
        return violations(self.first) or [f"AFTERWARDS: {one}" for one in [*violations(self.last), *self._left()]]

    def _left(self) -> list[str]:
        """When a person has spoken, everything that was meant has been done once."""
        missing = [meant.effect for meant in self.last.meant if self.last.counts[meant.effect] != 1]
        asked = [f"ASKED: {one}: {why}" for one, why in self.last.evidence.queue.items()]
        return [*(f"LOST: {effect!r} did not take effect in the end" for effect in missing), *asked]


async def play(plan: Plan, folder: Path, ledger: str) -> Played:
    """Play it. Whatever comes, nothing that was started is left running."""
    meant = generated(plan.calls, plan.seed)
    everything = [one for order in meant for one in order]
    async with counting(plan.slowest) as counter:
        policy = write_policy(folder, ledger, counter.port)
        async with _served(policy, plan) as (killer, tally, caller, balancer):
            began = time.monotonic()
            async with killing(killer):
                await _called(plan, meant, caller, tally)
            seconds = time.monotonic() - began
            first = last = await _facts(plan, everything, tally, counter, ledger, killer)
            if not violations(first):
                await _decided(policy, first)
                later = Tally(dict(tally.told))
                await _again(plan, caller, later, first)
                last = await _facts(plan, everything, later, counter, ledger, killer)
    return Played(plan, seconds, balancer.served, tally, first, last)


@asynccontextmanager
async def _served(policy: Path, plan: Plan) -> AsyncIterator[tuple[Killer, Tally, Agent, Balancer]]:
    async with (
        guards(policy, plan.guards, without=plan.lacking) as found,
        balancing([guard.port for guard in found]) as balancer,
        agent(balancer.url) as caller,
    ):
        killer = Killer(found, balancer, every=plan.every, chance=random.Random(plan.seed))
        yield killer, Tally(answered=killer.answered), caller, balancer


async def _called(plan: Plan, meant: list[list[Meant]], caller: Agent, tally: Tally) -> None:
    async with asyncio.TaskGroup() as group:
        for at, order in enumerate(meant):
            client = Client(caller, tally, random.Random(f"{plan.seed} client {at}"), plan.patience)
            group.create_task(client.work(order))


async def _facts(plan: Plan, meant: list[Meant], tally: Tally, counter: Counter, ledger: str, killer: Killer) -> Facts:
    """What there is when nothing is under way any more, or the patience is at its end."""
    until = time.monotonic() + plan.patience
    while await asyncio.to_thread(under_way, ledger) and time.monotonic() < until:
        await asyncio.sleep(0.2)
    return Facts(meant, tally.told, await counter.effects(), await asyncio.to_thread(gathered, ledger), killer.kills)


async def _decided(policy: Path, facts: Facts) -> None:
    """A person looks at the API's own books, and says of each entry of the recovery queue what became of it."""
    loaded = read_policy(policy, {**os.environ, "TAKEBACK_STATE": str(policy.parent)})
    async with running(loaded, upstreams=False) as guard:
        resolve = partial(guard.use_cases.resolve, "acme", by="a person", reason="as the books say")
        for one in facts.evidence.queue:
            action = facts.evidence.actions[one]
            happened = facts.counts[effect_of(action.tool, dict(action.arguments or {}))] > 0
            await resolve(one, decision="took_effect" if happened else "no_effect")


async def _again(plan: Plan, caller: Agent, tally: Tally, facts: Facts) -> None:
    """What was queued, or refused because of that, is called again, as its user would have it called."""
    client = Client(caller, tally, random.Random(plan.seed), plan.patience)
    for meant in facts.meant:
        if any(told.outcome in {"queued", "behind"} for told in facts.told[meant.number]):
            tally.told[meant.number] = []
            await client.ask(meant)
