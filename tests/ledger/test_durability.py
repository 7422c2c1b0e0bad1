"""What was acknowledged is there after the guard was killed without a warning, and nothing is there by half."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

from takeback.core.action import Action
from takeback.core.vocabulary import Status
from takeback.ledger import SqlLedger
from takeback.ledger.rebuild import rebuilt
from takeback.ports import HistoryQuery

from .conftest import Open
from .raw import sql
from .stories import first, write

REPOSITORY = Path(__file__).parents[2]


async def killed(url: str, word: str, after: int) -> dict[str, int]:
    """Id and version of what a guard had acknowledged when it was killed, some time after its `after`-th line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.ledger.doomed", url, word, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    try:
        async with asyncio.timeout(60):
            while len(lines) < after:
                lines.append(await process.stdout.readline())
                assert lines[-1], "the guard died by itself"
    finally:
        process.send_signal(signal.SIGKILL)
        lines += (await process.stdout.read()).splitlines()
        await process.wait()
    acknowledged: dict[str, int] = {}
    for line in filter(None, lines):
        id_, version = line.decode().split()
        acknowledged[id_] = max(int(version), acknowledged.get(id_, 0))
    return acknowledged


async def all_actions(ledger: SqlLedger) -> list[Action]:
    found: list[Action] = []
    cursor: str | None = None
    while True:
        page = await ledger.history(HistoryQuery(tenant="acme", limit=200, cursor=cursor))
        found += page.actions
        if (cursor := page.cursor) is None:
            return found


async def test_every_acknowledged_commit_survives_a_kill(url: str, opened: Open) -> None:
    chance = random.Random(20261123)
    deaths = (killed(url, f"w{guard}", chance.randint(1, 250)) for guard in range(3))
    acknowledged = {id_: version for told in await asyncio.gather(*deaths) for id_, version in told.items()}
    ledger = await opened()
    actions = {action.id: action for action in await all_actions(ledger)}
    lost = {id_ for id_, version in acknowledged.items() if id_ not in actions or actions[id_].version < version}
    assert lost == set()
    assert len(acknowledged) >= 3
    for action in actions.values():
        await _is_whole(ledger, action)
    await _adds_up(url)
    await write(ledger, first("afterwards"))


async def _is_whole(ledger: SqlLedger, action: Action) -> None:
    """Everything of each of its changes is there: row, events, images."""
    assert rebuilt(await ledger.events("acme", action.id)) == action
    assert action.before is not None
    assert action.id.encode() in await ledger.image(action.before)
    assert (action.status, action.version, action.after is not None) in {
        (Status.RUNNING, 1, False),
        (Status.SUCCEEDED, 2, True),
    }
    if action.after is not None:
        assert action.id.encode() in await ledger.image(action.after)


async def _adds_up(url: str) -> None:
    """In one statement, for the server may still be at work on what the dead guard sent last."""
    claims = "SELECT count(*) FROM actions", "SELECT sum(value) FROM counters WHERE name = 'claims'"
    targets = "SELECT count(*) FROM action_targets", "SELECT count(*) FROM events WHERE seq = 1"
    outcomes = "SELECT count(*) FROM events WHERE seq = 2", "SELECT sum(value) FROM counters WHERE name = 'outcomes'"
    items = "SELECT count(*) FROM recovery_items", "SELECT count(*) FROM actions WHERE version = 2"
    counted = ", ".join(f"({query})" for query in (*claims, *targets, *outcomes, *items))
    (numbers,) = await sql(url, f"SELECT {counted}")
    assert len({int(number or 0) for number in numbers[:4]}) == 1
    assert len({int(number or 0) for number in numbers[4:]}) == 1
