"""What a worker reads back once more: effects that stand and did not verify, or were not read back yet."""

from __future__ import annotations

from typing import Any

import pytest

from takeback.core.action import PLAN
from takeback.core.queue import Cause
from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Origin, Verified
from takeback.ledger import SqlLedger
from takeback.ports import Change
from tests.ledger.stories import after, an_item, first, settled, write


async def found(ledger: SqlLedger, limit: int = 200) -> list[str]:
    return [action.id for action in await ledger.unverified("acme", limit)]


async def ended(ledger: SqlLedger, id_: str, happening: Happening = Happening.SUCCEED, **changes: Any) -> None:
    outcome = {key: changes.pop(key) for key in ("verified", "in_force") if key in changes}
    running = first(id_, **changes)
    await write(ledger, running, after(running, happening, **{"in_force": True, **outcome}))


async def test_what_was_not_read_back_yet_is_found(ledger: SqlLedger) -> None:
    await ended(ledger, "a1")
    for number, verified in enumerate((Verified.YES, Verified.IMPOSSIBLE), 2):
        await ended(ledger, f"a{number}", verified=verified)
    await ended(ledger, "a4", in_force=False)
    await write(ledger, first("a5"))
    await ended(ledger, "a6", origin=Origin.UNDO, original="a1")
    await ended(ledger, "w7", action_class=ActionClass.WORKFLOW, upstream=PLAN[0], tool=PLAN[1], targets=())
    assert await found(ledger) == ["a1"]


@pytest.mark.parametrize("cause", list(Cause))
async def test_what_did_not_verify_is_found_while_its_entry_is_open(ledger: SqlLedger, cause: Cause) -> None:
    await ended(ledger, "a1", Happening.FAIL, verified=Verified.MISMATCH)
    assert await found(ledger) == []
    await ledger.commit(Change(queue=(an_item("q1", cause=cause),), tenant="acme"))
    assert await found(ledger) == (["a1"] if cause in {Cause.MISMATCH, Cause.PARTIAL} else [])
    await ledger.commit(Change(settled=(settled("a1"),), tenant="acme"))
    assert await found(ledger) == []


async def test_what_failed_without_effect_is_not(ledger: SqlLedger) -> None:
    await ended(ledger, "a1", Happening.FAIL, in_force=False)
    await ledger.commit(Change(queue=(an_item("q1", cause=Cause.MISMATCH),), tenant="acme"))
    assert await found(ledger) == []


async def test_the_newest_come_first_within_the_bound(ledger: SqlLedger) -> None:
    for number in range(5):
        await ended(ledger, f"a{number}")
    assert await found(ledger, 3) == ["a4", "a3", "a2"]
