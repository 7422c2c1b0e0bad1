"""The stall: a guard stops between its last look at its leases and the send, another takes over, the first goes on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from takeback import bootstrap
from takeback.core.policy.load import load
from takeback.core.vocabulary import Status
from takeback.ports import HistoryQuery
from tests.matrix.oracle import Account, Told
from tests.matrix.policies import RULES, Rule, policy
from tests.matrix.stalled import asked
from tests.matrix.world import World

_BOUND: Final = 30.0
_POLL: Final = 0.01
_OPEN: Final = frozenset({Status.RUNNING, Status.IN_DOUBT, Status.NEEDS_OPERATOR})


async def stalled(world: World, record: str, folder: Path) -> dict[Rule, Account]:
    """What comes of the four writes: `first` is what the guard that took over says, `again` after the other went on."""
    text = policy(
        world.kind,
        world.where(),
        ledger=f"sqlite+aiosqlite:///{folder}/takeback.db",
        lease="500ms",
        lands="300ms",
        join="1s",
    )
    file = folder / "policy.toml"
    file.write_text(text)
    with _first_guard(file, record) as process:
        await _until_stopped(process.pid)
        async with bootstrap.running(load(text, env={}, source="policy.toml")) as guard:
            first = await _all(guard, record)
            counted = _effects(world, record)
            open_first = await _open(guard, record)
            os.kill(process.pid, signal.SIGCONT)
            said, _ = await asyncio.to_thread(process.communicate, timeout=_BOUND)
            of_stalled = {rule: Told(*words) for rule, words in json.loads(said).items()}
            again = await _all(guard, record)
            last, open_last = _effects(world, record), await _open(guard, record)
            other = await _all(guard, f"{record}-other")
            status = await _statuses(guard, record)
    others = _effects(world, f"{record}-other")
    return {
        rule: Account(
            first=first[rule],
            again=again[rule],
            other=other[rule],
            effects=(counted[rule], last[rule], others[rule]),
            asked=(rule in open_first, rule in open_last),
            status=status[rule].value,
            met=of_stalled[rule].word != "later",
            stalled=of_stalled[rule],
        )
        for rule in RULES
    }


@contextmanager
def _first_guard(file: Path, record: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.matrix.stalled", str(file), record]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def _until_stopped(pid: int) -> None:
    """The system tells a parent that its child was stopped."""
    async with asyncio.timeout(_BOUND):
        while not _is_stopped(pid):
            await asyncio.sleep(_POLL)


def _is_stopped(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


async def _all(guard: bootstrap.Guard, record: str) -> dict[Rule, Told]:
    async def until_told(rule: Rule) -> Told:
        while (one := await asked(guard, rule, f"{record}-{rule}")).word == "later":
            pass  # as an agent does that is told to ask again
        return one

    async with asyncio.timeout(_BOUND):
        answers = await asyncio.gather(*(until_told(rule) for rule in RULES))
    return dict(zip(RULES, answers, strict=True))


def _effects(world: World, record: str) -> dict[Rule, int]:
    return {rule: world.effects(f"{record}-{rule}") for rule in RULES}


async def _statuses(guard: bootstrap.Guard, record: str) -> dict[Rule, Status]:
    found = (await guard.ledger.history(HistoryQuery(tenant="acme", limit=100))).actions
    return {rule: one.status for one in found for rule in RULES if one.targets[0].id == f"{record}-{rule}"}


async def _open(guard: bootstrap.Guard, record: str) -> set[Rule]:
    return {rule for rule, status in (await _statuses(guard, record)).items() if status in _OPEN}
