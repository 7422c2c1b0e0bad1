"""`ledger prune`: counts first, takes then, and says why where it takes nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from takeback.core.action import Event, begin, evolve
from takeback.core.run import Run
from takeback.core.states import Happening
from takeback.ledger import open_ledger
from takeback.ports import Change
from tests.ledger.stories import first

from .commands import Ran, inside

LONG_AGO = datetime.now(UTC) - timedelta(days=40)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that keeps runs for thirty days, and a ledger with one run that is older."""
    url = f"sqlite+aiosqlite:///{tmp_path}/ledger.db"
    asyncio.run(_filled(url))
    path = tmp_path / "policy.toml"
    path.write_text(f'[ledger]\nurl = "{url}"\n\n[defaults]\ntenant = "acme"\n\n[retention]\nruns = "30d"\n')
    return path


async def _filled(url: str) -> None:
    ledger = await open_ledger(url)
    claim = first("a1")[0]
    claim = Event(claim.action, 1, claim.happening, LONG_AGO, claim.actor, claim.changes, "")
    done = Event("a1", 2, Happening.SUCCEED, LONG_AGO, "guard", {"in_force": True}, "")
    begun = begin(claim)
    run = Run(id="r1", tenant="acme", principal="ann", opened_at=LONG_AGO, active_at=LONG_AGO)
    await ledger.commit(Change(actions=((claim, begun), (done, evolve(begun, done))), runs=(run,), tenant="acme"))
    await ledger.close()


def prune(policy: Path, *options: str) -> Ran:
    return inside("ledger", "prune", "--policy", policy, *options, env={})


def test_counting_takes_nothing_and_taking_takes_what_was_counted(policy: Path) -> None:
    counted = prune(policy, "--dry-run")
    assert (counted.code, counted.err) == (0, "")
    assert counted.out.startswith("Would be pruned: 1 runs with 1 actions and 2 events")
    assert prune(policy, "--json").json["actions"] == 1
    assert prune(policy, "--json", "--dry-run").json["actions"] == 0
    shown = inside("show", "a1", "--policy", policy, env={})
    shown.refused(3, "a1 was pruned on", "by retention")


def test_a_policy_without_retention_prunes_nothing_and_says_so(policy: Path) -> None:
    policy.write_text(policy.read_text().partition("[retention]")[0])
    prune(policy).refused(2, "no [retention]")
