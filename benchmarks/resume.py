"""`python -m benchmarks.resume`: a guard is killed in the middle of a plan, and the next one goes on with it.

How soon is counted from the start of the next guard's process: until it takes up or begins the first step, and until
the plan is done, both by the times in the ledger. Beside it, in the same trial: the start of a guard that finds nothing
to go on with, until it serves. Nobody calls the next guard; it finds the plan by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.clients import HttpClient
from benchmarks.process import BOUND, ServerProcess, started
from benchmarks.subjects import LEAN, POLICY, ROOT

STEPS: Final = 20
KILLS: Final = 40
QUICK: Final = 5
JUST_AFTER: Final = 0.03
"""Seconds after an effect within which the guard is killed: about the time of a step."""

_LOOK_EVERY: Final = 0.002
_TRIES: Final = 5
_MICROSECONDS: Final = 1e6
_P99: Final = 0.99

PLAN: Final = {
    "title": "A long one",
    "reason": "a benchmark",
    "groups": [
        {"steps": [{"id": f"s{n}", "tool": "set", "arguments": {"key": f"k{n}", "value": "new"}}]} for n in range(STEPS)
    ],
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One kill, in seconds: from the next guard's start to the first step and to the end, and a start beside it.

    `done`: the steps that had taken effect when the guard was killed.
    """

    done: int
    first: float
    end: float
    bare: float


class TooLate(Exception):
    """The plan was done before the guard was killed."""


@dataclass(frozen=True, slots=True)
class Place:
    """The ledger, the journal of effects, and the policy of all guards of one trial."""

    folder: Path

    @property
    def ledger(self) -> Path:
        """A file."""
        return self.folder / "takeback.db"

    @property
    def journal(self) -> Path:
        """One line for each effect, written by the upstream."""
        return self.folder / "journal"

    def prepared(self) -> Path:
        """Lay the ground; the policy's path."""
        old = (json.dumps(["set", f"k{n}", "old"]) for n in range(STEPS))
        self.journal.write_text("\n".join(old) + "\n", encoding="utf-8")
        behind = [str(LEAN), "--journal", str(self.journal), "--keeps"]
        values = {"ledger": f"sqlite+aiosqlite:///{self.ledger}", "python": sys.executable, "arguments": behind}
        text = POLICY.substitute({name: json.dumps(value) for name, value in values.items()})
        path = self.folder / "policy.toml"
        path.write_text(text.replace("[defaults]\n", '[defaults]\nagent_tools = ["plan"]\n'), encoding="utf-8")
        return path

    def effects(self) -> Counter[str]:
        """By record: how often it was changed by the plan."""
        lines = map(json.loads, self.journal.read_text(encoding="utf-8").splitlines()[STEPS:])
        return Counter(key for _, key, _ in lines)

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Read in the ledger itself."""
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as connection:
            return connection.execute(statement, values).fetchall()

    def plan_status(self) -> str:
        """Of the one plan that there is."""
        [(status,)] = self.rows("SELECT status FROM actions WHERE action_class = 'workflow'")
        return str(status)

    def first_step_after(self, at: float) -> float:
        """When something happened to a step for the first time after that, in seconds since 1970."""
        of_steps = "JOIN actions ON actions.id = events.action WHERE actions.original IS NOT NULL AND events.at >= ?"
        [(found,)] = self.rows(f"SELECT min(events.at) FROM events {of_steps}", round(at * _MICROSECONDS))  # noqa: S608
        return float(str(found)) / _MICROSECONDS

    def plan_ended(self) -> float:
        """When something happened to the plan itself for the last time."""
        of_plan = "JOIN actions ON actions.id = events.action WHERE actions.action_class = 'workflow'"
        [(found,)] = self.rows(f"SELECT max(events.at) FROM events {of_plan}")  # noqa: S608
        return float(str(found)) / _MICROSECONDS


async def trial(folder: Path, chance: random.Random) -> Sample:
    """One kill, and what came after it. Raises TooLate."""
    place = Place(folder)
    policy = place.prepared()
    command = [sys.executable, "-m", "takeback.cli", "serve", "--policy", str(policy), "--http", "0"]
    env = {"TAKEBACK_STATE": str(folder)}
    async with started(command, env, ROOT, serves_http=True) as one:
        await _killed_in_the_middle(one, place, chance)
    done = place.effects().total()
    if place.plan_status() != "running":
        raise TooLate
    began = time.time()
    async with started(command, env, ROOT, serves_http=True):
        await _until(lambda: place.plan_status() != "running")
    if place.plan_status() != "succeeded" or place.effects() != Counter({f"k{n}": 1 for n in range(STEPS)}):
        raise SystemExit(f"after {done} effects it ended as {place.plan_status()}: {place.effects()}")
    first, end = place.first_step_after(began) - began, place.plan_ended() - began
    again = time.perf_counter()
    async with started(command, env, ROOT, serves_http=True):
        bare = time.perf_counter() - again
    return Sample(done, first, end, bare)


async def _killed_in_the_middle(process: ServerProcess, place: Place, chance: random.Random) -> None:
    client = HttpClient(process.port.result())
    await client.handshake()
    going = asyncio.create_task(client.call("takeback_plan", PLAN))
    after = chance.randint(1, STEPS - 3)
    await _until(lambda: place.effects().total() >= after or going.done())
    await asyncio.sleep(chance.uniform(0, JUST_AFTER))
    upstreams = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait({process.ended}, timeout=BOUND)
    await asyncio.to_thread(psutil.wait_procs, upstreams, timeout=BOUND)  # they end when nobody is there any more
    going.cancel()
    await asyncio.wait({going}, timeout=BOUND)
    client.let_go()


async def _until(true: Callable[[], bool]) -> None:
    """Look again and again: other processes give no signal."""
    async with asyncio.timeout(BOUND):
        while not true():
            await asyncio.sleep(_LOOK_EVERY)


async def _sample(chance: random.Random) -> Sample:
    for _ in range(_TRIES):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return await trial(Path(folder), chance)
            except TooLate:
                continue
    raise SystemExit(f"the plan was done {_TRIES} times before the guard could be killed")


def _p99(values: Sequence[float]) -> float:
    """The nearest rank: of fewer than a hundred, the greatest."""
    return sorted(values)[min(len(values), -int(-_P99 * len(values) // 1)) - 1]


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resume", description="How soon a plan goes on.")
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--quick", action="store_true", help="a few kills: a look, not a measurement")
    parser.add_argument("--seed", type=int, default=0, help="when the guards are killed")
    options = parser.parse_args()
    chance, console = random.Random(options.seed), Console(width=120)  # noqa: S311 - when to kill is no secret
    kills = QUICK if options.quick else options.kills
    samples = []
    for number in range(kills):
        samples.append(asyncio.run(_sample(chance)))
        console.print(f"{number + 1}/{kills}: {samples[-1]}", highlight=False)
    console.print(_table(samples))
    console.print(f"{kills} kills, no effect twice or missing; steps done before the kill: "
                  f"{min(s.done for s in samples)} to {max(s.done for s in samples)} of {STEPS}")  # fmt: skip


def _table(samples: Sequence[Sample]) -> Table:
    table = Table("from the start of the next guard's process", "p50, s", "p99, s", "p50, beside a bare start")
    bare = [sample.bare for sample in samples]
    rows = {
        "a start that finds nothing, until it serves": bare,
        "to the first step": [sample.first for sample in samples],
        "to the plan's end": [sample.end for sample in samples],
    }
    for name, values in rows.items():
        ratio = statistics.median(value / own for value, own in zip(values, bare, strict=True))
        table.add_row(name, f"{statistics.median(values):.2f}", f"{_p99(values):.2f}", f"{ratio:.2f}")
    return table


if __name__ == "__main__":
    main()
