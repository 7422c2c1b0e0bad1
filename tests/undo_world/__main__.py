"""Play many generated schedules and print what came of them: `python -m tests.undo_world 10000 --jobs 3 --seed 1`."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.undo_world.families import play
from tests.undo_world.profiles import SHARES
from tests.undo_world.tally import Tally


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Return 1 if any schedule went wrong."""
    parser = argparse.ArgumentParser(prog="undo-schedules", description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=10_000, help="how many schedules, at least")
    parser.add_argument("--jobs", type=int, default=(os.cpu_count() or 1) + 1)
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other schedules")
    options = parser.parse_args()
    tasks = [(at, -(-options.number * share // 100), options.seed) for at, (_, _, share) in enumerate(SHARES)]
    started, whole, wrong = time.monotonic(), Tally(), 0
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(play, *task) for task in tasks]):
            share, tally, report = done.result()
            world, profile, _ = SHARES[share]
            _say(f"{world.name}, {profile.name}: {tally.schedules} schedules{' WRONG' if report else ''}")
            whole.merge(tally)
            wrong += bool(report)
            if report:
                _say(report)
    _say("\n".join([*whole.lines(), f"{wrong} families went wrong; {time.monotonic() - started:.0f} s"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
