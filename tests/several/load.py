"""Calls through a balancer to guards of which one is killed again and again: `python -m tests.several.load`.

python -m tests.several.load [--calls 10000] [--guards 3] [--seed 0] [--slowest MS] [--every N]
        [--one-machine] [--without SAFEGUARD]
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from takeback.core.states import Happening
from tests.postgresql import a_postgresql

from .playing import Plan, Played, play
from .policies import KINDS

_MOST_SHOWN = 40


def main() -> int:
    """Return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="several", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=10_000, help="operations; a share of them is called twice")
    parser.add_argument("--guards", type=int, default=3, choices=range(2, 9), metavar="2..8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slowest", type=int, default=100, help="milliseconds that the API takes, at the most")
    parser.add_argument("--every", type=int, default=20, help="answers between two kills, on the average")
    parser.add_argument("--without", default="", help="a safeguard that the guards live without (tests.several.bare)")
    parser.add_argument("--one-machine", action="store_false", dest="apart", help="guards see each other die")
    plan = Plan(**vars(parser.parse_args()))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        played = _played(plan)
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.stderr.write("stopped, and so is all that was started\n")
        return 1
    sys.stdout.write("\n".join(report(played)) + "\n")
    return 1 if played.wrong else 0


def _played(plan: Plan) -> Played:
    with tempfile.TemporaryDirectory(prefix="takeback-load-") as folder, a_postgresql() as server:
        ledger = f"postgresql+asyncpg://postgres@/postgres?host={server.folder}"
        return asyncio.run(_until_told_to_stop(plan, Path(folder), ledger))


async def _until_told_to_stop(plan: Plan, folder: Path, ledger: str) -> Played:
    task = asyncio.create_task(play(plan, folder, ledger))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def report(played: Played) -> Iterator[str]:
    """What came of it, for people."""
    first, counts, wrong = played.first, played.tally.counts, played.wrong
    calls, seconds = played.plan.calls, played.seconds
    yield f"{calls} calls meant, {played.plan.guards} guards, seed {played.plan.seed}, {len(first.kills)} kills"
    yield f"{counts['sent']} requests, {counts['duplicates']} calls made twice, {counts['broken']} without an answer"
    yield f"{counts['again']} told to come again, {counts['replays']} replays; guards got {played.served}"
    yield f"{len(first.effects)} effects of {len(first.evidence.actions)} operations in the ledger"
    yield f"{first.count(Happening.LOSE)} in doubt for a while, {len(first.evidence.queue)} in the recovery queue"
    yield f"{seconds:.0f} s, {calls / seconds:.1f} calls/s, {counts['sent'] / seconds:.1f} requests/s"
    yield from ["", *_table(played), ""]
    yield f"after a person's word: {len(played.last.effects)} effects, {len(played.last.evidence.queue)} queued"
    yield f"{len(wrong)} violations"
    yield from wrong[:_MOST_SHOWN]


def _table(played: Played) -> Iterator[str]:
    facts = played.first
    behind = Counter(one.name for one in facts.meant if {t.outcome for t in facts.told[one.number]} == {"behind"})
    meant = Counter(one.name for one in facts.meant)
    effects = Counter(effect.split()[0] for effect in facts.effects)
    queued = Counter(facts.evidence.actions[one].tool for one in facts.evidence.queue)
    doubted = Counter(
        facts.evidence.actions[one].tool
        for one, events in facts.evidence.events.items()
        if any(event.happening is Happening.LOSE for event in events)
    )
    yield "| kind | meant | effects | in doubt for a while | queued | refused behind one that is queued |"
    yield "|---|---:|---:|---:|---:|---:|"
    for kind in KINDS:
        yield f"| `{kind}` | {meant[kind]:,} | {effects[kind]:,} | {doubted[kind]} | {queued[kind]} | {behind[kind]} |"


if __name__ == "__main__":
    sys.exit(main())
