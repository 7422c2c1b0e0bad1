"""A guard that is going to be killed: it writes as fast as it can and says what the ledger has acknowledged.

Run as a program with the ledger's address and a word that makes its ids its own. Each line on its output is one durable
commit: the action and the version that the commit made.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count

from takeback.core.states import Happening
from takeback.ledger import SqlLedger, open_ledger
from takeback.ports import Change

from .stories import after, an_item, first, image

IN_FLIGHT = 8


def acknowledged(id_: str, version: int) -> None:
    """One write to the pipe, which no kill can cut in two."""
    os.write(1, f"{id_} {version}\n".encode())


async def work(ledger: SqlLedger, word: str, lane: int) -> None:
    """Two commits for every action, as the guard makes them, until the end of the world."""
    for n in count():
        id_ = f"{word}-{lane}-{n}"
        digest, content = image({"before": id_, "text": "x" * 2000})
        begun = first(id_, before=digest)
        claim = Change(actions=(begun,), images={digest: content}, counters={"claims": 1}, tenant="acme")
        await ledger.commit(claim)
        acknowledged(id_, 1)
        digest, content = image({"after": id_})
        done = after(begun, Happening.SUCCEED, in_force=True, after=digest)
        outcome = Change(
            actions=(done,),
            images={digest: content},
            queue=(an_item(f"q-{id_}", action=id_),),
            counters={"outcomes": 1},
            tenant="acme",
        )
        await ledger.commit(outcome)
        acknowledged(id_, 2)


async def main(url: str, word: str) -> None:
    """Open the ledger and keep several actions in flight."""
    ledger = await open_ledger(url)
    await asyncio.gather(*(work(ledger, word, lane) for lane in range(IN_FLIGHT)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
