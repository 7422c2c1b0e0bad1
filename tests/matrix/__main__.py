"""`make fault-matrix`: play every cell, print the table, and write the page."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.matrix.expected import EXPECTED, STALL, Cell, limit_of
from tests.matrix.oracle import Account, wrong
from tests.matrix.playing import CELLS, played, worlds
from tests.matrix.policies import KINDS
from tests.matrix.stalling import stalled
from tests.matrix.tell import PAGE, page


async def all_of_it() -> dict[Cell, Account]:
    """What came of each cell."""
    accounts: dict[Cell, Account] = {}
    with tempfile.TemporaryDirectory() as place, worlds(Path(place)) as shared:
        for cell in CELLS:
            accounts[cell] = await played(cell, shared)
        for kind in KINDS:
            record, folder = shared.fresh()
            both = await stalled(shared.world(kind, folder), record, folder)
            accounts |= {Cell(STALL, kind, rule): account for rule, account in both.items()}
    return accounts


def not_as_stated(accounts: dict[Cell, Account]) -> Iterator[str]:
    """What came to something else."""
    for cell, account in accounts.items():
        broken = list(wrong(account))
        if bool(broken) is not bool(limit_of(cell)) or account.summary != EXPECTED[cell]:
            yield f"{' | '.join(cell)}: {account.summary} {broken}"


def main() -> int:
    """1 where a cell came to something else than stated."""
    accounts = asyncio.run(all_of_it())
    problems = list(not_as_stated(accounts))
    text = page({cell: account.summary for cell, account in accounts.items()})
    PAGE.write_text(text)
    sys.stdout.write(text)
    for problem in problems:
        sys.stderr.write(f"NOT AS STATED: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
