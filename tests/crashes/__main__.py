"""Kill a guard at every boundary of every workload: `python -m tests.crashes [--family one,two] [--only CASE]`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from typing import Final, TypeVar

from tests.crashes.cases import Case, Recording, case_named
from tests.crashes.families import FAMILIES, workloads
from tests.crashes.playing import play, record
from tests.crashes.tally import Tally, report

S = TypeVar("S")
T = TypeVar("T")

Counted = tuple[Case, Recording]

_AT_A_TIME: Final = 40


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _spread(pool: ProcessPoolExecutor, do: Callable[[S], T], parts: Iterable[S]) -> Iterator[T]:
    for done in as_completed([pool.submit(do, part) for part in parts]):
        yield done.result()


def main() -> int:
    """Return 1 if any case went wrong."""
    parser = argparse.ArgumentParser(prog="crashes", description=__doc__)
    parser.add_argument("--family", default=",".join(FAMILIES), help=f"some of {', '.join(FAMILIES)}")
    parser.add_argument("--only", help="one case by its name, as a report has it, or a workload: all of its boundaries")
    parser.add_argument("--sample", type=int, help="only so many, chosen by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="most of the time, a case waits")
    options = parser.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        cases = _chosen(pool, options)
        _say(f"{len(cases)} cases, counted in {time.monotonic() - began:.0f} s")
        tally = _played(pool, cases, options.jobs)
    seconds = time.monotonic() - began
    _say(f"\n{tally.table()}\n\n{len(cases)} cases in {seconds:.0f} s ({seconds / max(len(cases), 1):.2f} s a case)")
    return 1 if tally.wrong else 0


def _chosen(pool: ProcessPoolExecutor, options: argparse.Namespace) -> list[Counted]:
    """The cases to be played, each with its recording."""
    named = case_named(options.only) if options.only is not None else None
    families = options.family.split(",")
    wanted = [named] if named is not None else [case for family in families for case in workloads(family)]
    recorded = sorted(_spread(pool, record, wanted), key=lambda counted: counted[0].name)
    if named is not None and named.target is not None:
        return recorded
    found = [(replace(case, target=at), recording) for case, recording in recorded for at in recording.boundaries]
    return found if options.sample is None else random.Random(options.seed).sample(found, options.sample)


def _played(pool: ProcessPoolExecutor, cases: list[Counted], jobs: int) -> Tally:
    tally, began, played = Tally(), time.monotonic(), 0
    size = max(1, min(_AT_A_TIME, len(cases) // (4 * jobs)))
    parts = [cases[at : at + size] for at in range(0, len(cases), size)]
    for results in _spread(pool, play, parts):
        played += len(results)
        for result in results:
            tally.add(result)
            if result.judged.problems:
                _say(report(result))
        _say(f"{played}/{len(cases)} cases, {time.monotonic() - began:.0f} s, {len(tally.wrong)} wrong")
    return tally


if __name__ == "__main__":
    sys.exit(main())
