"""One subject's trial: the agent carries its operations out, and the oracle and the ledger say what came of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from benchmarks.faulty.agent import Agent, Ended, operations
from benchmarks.faulty.faults import LIGHTHOUSE
from benchmarks.faulty.place import Place
from benchmarks.faulty.subjects import running
from benchmarks.faulty.tally import Tally, tally
from benchmarks.faulty.world import World

LONGEST: Final = 3600.0
"""Seconds for one subject; beyond them the benchmark fails."""

_WAITING: Final = """
SELECT arguments FROM actions WHERE status IN ('running', 'in_doubt', 'needs_operator')
OR id IN (SELECT action FROM recovery_items WHERE closed_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one subject came to, and each operation for whoever looks into it."""

    place: Place
    tally: Tally
    ended: list[Ended]
    effects: Counter[str]
    queued: frozenset[str]


async def tried(place: Place, count: int) -> Trial:
    """Run one subject's trial in a folder of its own."""
    place.folder.mkdir(parents=True)
    todo = operations(count)
    with closing(World(place.world)) as world:
        world.prepare([LIGHTHOUSE, *(one.name for one in todo if one.tool == "set")])
        async with asyncio.timeout(LONGEST), running(place) as connection:
            agent = Agent(connection, look=place.plan == "lost")
            ended = await agent.carry_out(todo)
        for number, _due in world.pending():
            world.land(number)  # it lands anyhow, whoever is left to see it
        effects = world.effects()
    queued = waiting(place) if place.subject.guards else frozenset()
    return Trial(place, tally(ended, effects, queued, agent.restarts), ended, effects, queued)


def waiting(place: Place) -> frozenset[str]:
    """The operations that are in doubt or in the recovery queue, as the ledger has them."""
    with closing(sqlite3.connect(place.ledger)) as ledger:
        arguments = [json.loads(row[0]) for row in ledger.execute(_WAITING)]
    return frozenset(str(each.get("reference") or each.get("key")) for each in arguments)
