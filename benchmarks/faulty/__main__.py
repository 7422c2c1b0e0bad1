"""`python -m benchmarks.faulty`: the same faults directly, behind public proxies, and behind the guard."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.faulty.place import Place, Subject, Transport
from benchmarks.faulty.report import markdown, write
from benchmarks.faulty.trial import Trial, tried
from tests.third_party.environments import programs

OPERATIONS, QUICK = 200, 40
SEED, RATE = 1, 0.3
SIDE_BY_SIDE: Final = 3
"""Trials at a time: an agent spends most of its time waiting."""


async def carried_out(options: argparse.Namespace, plan: str, folder: Path) -> list[Trial]:
    """The trials of one plan, in the order of the table."""
    count = options.operations or (QUICK if options.quick else OPERATIONS)
    turns = asyncio.Semaphore(options.side_by_side)

    async def one(place: Place) -> Trial:
        async with turns:
            trial = await tried(place, count)
        print(f"{plan}: {place.transport}, {place.subject}: {trial.tally}", flush=True)  # noqa: T201
        return trial

    places = [
        Place(subject, transport, plan, folder / plan / transport / subject.name)
        for transport in Transport
        for subject in options.subjects
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(place)) for place in places]
    return [task.result() for task in tasks]


def main() -> None:
    """Measure as the command line says."""
    options = _options()
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # what goes wrong is wanted, and counted
    for environment in ("fastmcp", "mcp-proxy"):
        programs(environment)
    drawn_plan = f"drawn:{options.seed}:{options.rate}"
    with tempfile.TemporaryDirectory() as folder:
        lost = asyncio.run(carried_out(options, "lost", Path(folder))) if options.part != "b" else []
        drawn = asyncio.run(carried_out(options, drawn_plan, Path(folder))) if options.part != "a" else []
    text = markdown(lost, drawn, seed=options.seed, rate=options.rate)
    print(text)  # noqa: T201
    if options.write:
        write(text)
    if options.json is not None:
        options.json.write_text(json.dumps(as_json([*lost, *drawn]), indent=1), encoding="utf-8")


def as_json(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Each operation of each trial: what the agent was told, and what really happened."""
    return [
        {
            "upstream": trial.place.transport,
            "subject": trial.place.subject,
            "plan": trial.place.plan,
            "tally": asdict(trial.tally),
            "operations": [
                {
                    **asdict(one),
                    "effects": trial.effects[one.operation.name],
                    "queued": one.operation.name in trial.queued,
                }
                for one in trial.ended
            ],
        }
        for trial in trials
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faulty", description="Lost replies, side by side.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} operations for each row instead of {OPERATIONS}")
    parser.add_argument("--operations", type=int, help="so many for each row")
    parser.add_argument("--part", choices=["a", "b"], help="a: each reply lost once; b: a share of calls goes wrong")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--rate", type=float, default=RATE, help="share of calls that go wrong in part b")
    parser.add_argument("--subjects", nargs="+", type=lambda name: Subject[name], default=list(Subject))
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE, help="trials at a time")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every operation there, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
