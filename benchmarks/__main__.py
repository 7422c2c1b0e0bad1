"""`python -m benchmarks`: measure, and say how it went."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from typing import Final

import orjson
from rich.console import Console

from benchmarks.postgresql import postgresql
from benchmarks.report import as_json, show
from benchmarks.rounds import Plan, carried_out
from benchmarks.subjects import Transport, Upstream

ROUNDS, SECONDS = 5, 2.0
QUICK_ROUNDS, QUICK_SECONDS = 2, 0.5
MOST_ROUNDS: Final = 100
WIDTH: Final = 140


def main() -> None:
    """Measure as the command line says."""
    options = _options()
    console = Console(width=WIDTH)
    with ExitStack() as stack:
        fresh = stack.enter_context(postgresql(options.folder)) if options.postgresql else None
        plan = Plan(
            rounds=min(options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS), MOST_ROUNDS),
            seconds=QUICK_SECONDS if options.quick else SECONDS,
            transports=[Transport(options.only)] if options.only else list(Transport),
            folder=options.folder,
            upstream=Upstream(options.upstream),
            postgresql=fresh,
        )
        rounds = asyncio.run(carried_out(plan, console.print))
    show(console, plan, rounds)
    if options.json is not None:
        options.json.write_bytes(orjson.dumps(as_json(plan, rounds), option=orjson.OPT_INDENT_2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the guard costs.")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}, or {QUICK_ROUNDS} with --quick")
    parser.add_argument("--quick", action="store_true", help="short rounds: a look, not a measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there, too")
    parser.add_argument("--only", choices=[str(each) for each in Transport], help="one transport")
    parser.add_argument("--upstream", choices=[str(each) for each in Upstream], default=str(Upstream.LEAN))
    parser.add_argument("--postgresql", action="store_true", help="Takeback on PostgreSQL, too (over stdio)")
    parser.add_argument(
        "--folder", type=Path, default=Path(gettempdir()), help="where the ledgers live: a folder on a real disk"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
