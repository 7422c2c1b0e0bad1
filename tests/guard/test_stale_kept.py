"""What is remembered for stale memory: over guards and restarts, redacted, bounded, no longer than retention says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from takeback.core.jsontext import loads
from takeback.core.policy.schema import Retention
from takeback.ledger import schema
from takeback.testing import GuardForTests, guarded
from tests.guard.test_life import HIGH, said
from tests.guard.test_stale import CHANGED, SSN, STALE, look, ran, somebody
from tests.guard.test_taking_up import two
from tests.guard.world import POLICY, Desk

# --- over guards and restarts ---


async def test_it_is_known_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    async with guarded(STALE, [desk.tools], tmp_path) as guard:
        await look(guard)
        start = guard.clock
    somebody(desk, priority="urgent")
    async with guarded(STALE, [desk.tools], tmp_path, clock=start) as guard:
        assert "(priority normal -> urgent)" in said(await guard.call("set", HIGH))
        await look(guard)
        assert ran(await guard.call("set", HIGH))


async def test_it_is_known_to_another_guard(desk: Desk, tmp_path: Path) -> None:
    async with two(STALE, desk, tmp_path) as (one, other):
        await look(one)
        await one.ledger._access.flush()  # within 100 ms
        somebody(desk, priority="urgent")
        assert CHANGED in said(await other.call("set", HIGH))
        await look(other)
        assert ran(await other.call("set", HIGH))
        assert ran(await one.call("set", {"id": "T-1", "priority": "low"})), "the other guard's write is the run's own"


# --- what is kept ---


async def sightings(guard: GuardForTests) -> list[bytes]:
    await guard.ledger._access.flush()
    found = await guard.ledger._all(select(schema.sightings.c.image))
    return [await guard.ledger.image(row["image"]) for row in found]


async def test_of_reads_that_no_rule_asks_about_nothing_is_kept(desk: Desk, tmp_path: Path) -> None:
    async with guarded(POLICY, [desk.tools], tmp_path / "none") as guard:
        await look(guard)
        assert await sightings(guard) == []
    async with guarded(STALE, [desk.tools], tmp_path / "some") as guard:
        await guard.call("outbox", {})
        assert await sightings(guard) == []


async def test_only_the_newest_sight_is_kept(desk: Desk, tmp_path: Path) -> None:
    async with guarded(STALE, [desk.tools], tmp_path) as guard:
        for priority in ("low", "high", "urgent"):
            somebody(desk, priority=priority)
            await look(guard)
        [content] = await sightings(guard)
    assert loads(content)["data"]["priority"] == "urgent"


async def test_what_is_redacted_is_compared_and_neither_kept_nor_told(desk: Desk, tmp_path: Path) -> None:
    nested = STALE.replace('redact = ["ssn"]', 'redact = ["owner.ssn", "pin"]')
    somebody(desk, owner={"ssn": SSN, "name": "Ann"}, pin="4711-0815", password="hunter22")
    async with guarded(nested, [desk.tools], tmp_path) as guard:
        await look(guard)
        [content] = await sightings(guard)
        assert b"Ann" in content
        assert not any(secret in content for secret in (SSN.encode(), b"4711-0815", b"hunter22"))
        assert ran(await guard.call("set", HIGH)), "equal secrets are no change"
        await look(guard)
        somebody(desk, pin="0000-0000", password="swordfish")
        told = said(await guard.call("set", {"id": "T-1", "priority": "low"}))
    assert "(password (redacted) -> (redacted), pin (redacted) -> (redacted))" in told


async def test_what_is_redacted_below_the_top_is_not_kept_above_a_select_either(desk: Desk, tmp_path: Path) -> None:
    """The path is one from the top of the record, and the answer that is kept has the record further down."""
    inner = desk.tools.functions["get"]
    desk.tools.functions = {**desk.tools.functions, "get": lambda args: {"record": inner(args)}}
    policy = STALE.replace('redact = ["ssn"]', 'redact = ["owner.ssn"]').replace(
        'args = { id = "args.id" } }\nrequire', 'args = { id = "args.id" }, select = "result.record" }\nrequire'
    )
    somebody(desk, owner={"ssn": SSN}, deputy={"ssn": "219-09-9999"})
    async with guarded(policy, [desk.tools], tmp_path) as guard:
        await look(guard)
        [content] = await sightings(guard)
        assert SSN.encode() not in content
        assert ran(await guard.call("set", HIGH)), "what is redacted by its name alone is no change"
        await look(guard)
        somebody(desk, owner={"ssn": "000-00-0000"})
        told = said(await guard.call("set", {"id": "T-1", "priority": "low"}))
    assert "(owner (redacted) -> (redacted))" in told


async def test_a_policy_that_redacts_more_by_now_tells_no_more(desk: Desk, tmp_path: Path) -> None:
    somebody(desk, phone="555-1234")
    async with guarded(STALE, [desk.tools], tmp_path) as guard:
        await look(guard)
        clock = guard.clock
    somebody(desk, phone="555-9999")
    more = STALE.replace('redact = ["ssn"]', 'redact = ["phone"]').replace('id = "set"', 'id = "put"')
    async with guarded(more, [desk.tools], tmp_path, clock=clock) as guard:
        told = said(await guard.call("set", HIGH))
    assert "(phone (redacted) -> (redacted))" in told


async def test_what_is_larger_than_is_kept_is_compared_by_its_digest(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("takeback.guard.services.MAX_IMAGE_BYTES", 1000)
    somebody(desk, body="x" * 2000)
    async with guarded(STALE, [desk.tools], tmp_path) as guard:
        await look(guard)
        assert ran(await guard.call("set", HIGH))
        await look(guard)
        somebody(desk, body="y" * 2000)
        told = said(await guard.call("set", {"id": "T-1", "priority": "low"}))
        assert "(body (redacted) -> (redacted))" in told
        assert max(map(len, await sightings(guard))) < 1500


async def test_what_retention_took_is_not_known_any_more(desk: Desk, tmp_path: Path) -> None:
    async with guarded(STALE, [desk.tools], tmp_path) as guard:
        await look(guard)
        await guard.ledger._access.flush()
        await guard.ledger.prune(Retention(images=timedelta(days=1)), guard.clock.now() + timedelta(days=2))
        assert await sightings(guard) == []
        somebody(desk, priority="urgent")
        assert ran(await guard.call("set", HIGH))


# --- schedules ---


@pytest.mark.parametrize("seed", range(8))
async def test_it_refuses_exactly_what_the_run_does_not_know(desk: Desk, tmp_path: Path, seed: int) -> None:
    """Readings, own writes and others' edits in any order, against a model that keeps what the run saw last."""
    chance, fields = Random(seed), ("priority", "status")
    async with guarded(
        STALE.replace("[defaults]", "[defaults]\nlimits = { same_call = 1000 }"), [desk.tools], tmp_path
    ) as guard:
        saw: dict[str, dict[str, Any]] = {}
        for number in range(40):
            record, field = chance.choice(("T-1", "T-2")), chance.choice(fields)
            known, there = saw.get(record), {one: desk.records[record][one] for one in fields}
            match chance.choice(("look", "edit", "write", "write")):
                case "look":
                    await look(guard, record)
                case "edit":
                    somebody(desk, record, **{field: chance.choice(("a", "b"))})
                    continue
                case _:
                    reply = await guard.call("set", {"id": record, field: f"v{number}"})
                    stale = known is not None and known != there
                    assert (CHANGED in said(reply), ran(reply)) == (stale, not stale)
                    if stale:
                        continue
            saw[record] = {one: desk.records[record][one] for one in fields}
