"""The stop switch in the ledger: seen by the next approach, told to every store, lifted once, and never deleted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from takeback.core.freezing import Freeze, FreezeKind
from takeback.core.policy.schema import Retention
from takeback.ledger import SqlLedger, freezes, notices
from takeback.ports import LedgerFailure, NotFound

from .conftest import Open
from .raw import sql
from .stories import NOW, a_freeze, approach, succeeded

LIFTED = {"at": NOW + timedelta(hours=1), "by": "bob", "reason": "mended"}


async def test_an_approach_sees_what_is_frozen_at_that_moment(ledger: SqlLedger, opened: Open) -> None:
    """Another store's, too; in the tenant's own, and none that was lifted."""
    other = await opened()
    await other.freeze(a_freeze("z1"))
    await other.freeze(a_freeze("z2", tenant="zeta"))
    await other.freeze(a_freeze("z3", kind=FreezeKind.RUN, name="r1", reads=True))
    found, strange = await asyncio.gather(
        ledger.approach(approach("h1", "x")), ledger.approach(approach("h2", "y", tenant="zeta"))
    )
    assert {one.id for one in found.freezes} == {"z1", "z3"}
    assert [one.id for one in strange.freezes] == ["z2"]
    await other.lift("acme", "z1", **LIFTED)  # type: ignore[arg-type]
    [left] = (await ledger.approach(approach("h3", "z"))).freezes
    assert left == a_freeze("z3", kind=FreezeKind.RUN, name="r1", reads=True)


async def test_of_two_that_freeze_the_same_the_first_stands(ledger: SqlLedger, opened: Open) -> None:
    other = await opened()
    found = await asyncio.gather(
        ledger.freeze(a_freeze("z1")), other.freeze(a_freeze("z2", frozen_by="bob")), ledger.freeze(a_freeze("z3"))
    )
    assert len({one.id for one in found}) == 1
    assert [one.id for one in await ledger.freezes("acme")] == [found[0].id]


async def test_a_freeze_of_reads_takes_the_place_of_one_that_let_them_pass(ledger: SqlLedger) -> None:
    await ledger.freeze(a_freeze("z1"))
    later = a_freeze("z2", reads=True, since=NOW + timedelta(minutes=1), frozen_by="bob", reason="leaks")
    assert await ledger.freeze(later) == later
    assert (await ledger.freeze(a_freeze("z3", since=NOW + timedelta(minutes=2)))) == later
    found = await ledger.freezes("acme", in_force_only=False)
    assert [(one.id, one.lifted_by, one.lifted_reason) for one in found] == [
        ("z2", None, None), ("z1", "bob", "frozen with its reads: leaks"),
    ]  # fmt: skip


async def test_it_is_lifted_once_and_stays_on_record(ledger: SqlLedger, opened: Open, url: str) -> None:
    first = await ledger.freeze(a_freeze("z1"))
    other = await opened()
    who = {"at": NOW + timedelta(hours=2), "by": "carl", "reason": "me, too"}
    lifted = await asyncio.gather(ledger.lift("acme", "z1", **LIFTED), other.lift("acme", "z1", **who))  # type: ignore[arg-type]
    assert lifted[0] == lifted[1]
    assert (lifted[0].in_force, lifted[0].lifted_by in {"bob", "carl"}) == (False, True)
    again = await ledger.freeze(replace(first, id="z2", since=NOW + timedelta(days=1)))
    assert [one.id for one in await ledger.freezes("acme")] == [again.id]
    assert len(await ledger.freezes("acme", in_force_only=False)) == 2
    await succeeded(ledger, "a1")
    await ledger.prune(Retention(runs=timedelta(days=1)), NOW + timedelta(days=900))
    assert await sql(url, "SELECT count(*) FROM freezes") == [(2,)]


@pytest.mark.parametrize(("tenant", "id_"), [("zeta", "z1"), ("acme", "z9")])
async def test_what_is_not_there_cannot_be_lifted(ledger: SqlLedger, tenant: str, id_: str) -> None:
    await ledger.freeze(a_freeze("z1"))
    with pytest.raises(NotFound):
        await ledger.lift(tenant, id_, **LIFTED)  # type: ignore[arg-type]
    assert [one.id for one in await ledger.freezes("acme")] == ["z1"]


# --- what is remembered for reads ---


async def test_the_store_that_froze_it_knows_at_once(ledger: SqlLedger) -> None:
    assert await ledger.frozen("acme") == ()
    await ledger.freeze(a_freeze("z1"))
    assert [one.id for one in await ledger.frozen("acme")] == ["z1"]
    await ledger.lift("acme", "z1", **LIFTED)  # type: ignore[arg-type]
    assert await ledger.frozen("acme") == ()


async def test_reads_in_a_row_cost_one_look(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezes, "SEEN_WITHIN", 600.0)
    async with asyncio.timeout(30):
        while ledger._ear is not None and not ledger._ear.listening:
            await asyncio.sleep(0.01)  # when it begins to listen, it forgets what it knew
    looks = _counting(ledger, monkeypatch)
    await asyncio.gather(*(ledger.frozen("acme") for _ in range(50)))
    await ledger.frozen("acme")
    assert looks == ["acme"]


async def test_another_stores_freeze_is_seen_when_the_time_is_over(
    ledger: SqlLedger, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is heard of other stores."""
    assert freezes.SEEN_WITHIN <= 1.0
    other = await opened()
    assert await ledger.frozen("acme") == ()
    await other.freeze(a_freeze("z1"))
    ledger._heard(notices.News())  # whatever else is heard says nothing of it
    monkeypatch.setattr(freezes, "SEEN_WITHIN", 0.0)  # it is over
    assert [one.id for one in await ledger.frozen("acme")] == ["z1"]


async def test_a_look_that_a_notice_overtakes_is_not_remembered(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ledger._switch._look

    async def overtaken(tenant: str) -> tuple[Freeze, ...]:
        found = await look(tenant)
        monkeypatch.setattr(ledger._switch, "_look", look)
        await ledger.freeze(a_freeze("z1"))
        return found

    monkeypatch.setattr(ledger._switch, "_look", overtaken)
    assert [one.id for one in await ledger.frozen("acme")] == ["z1"]


async def test_without_the_database_what_was_frozen_stays_so(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_tenant: str) -> tuple[Freeze, ...]:
        raise LedgerFailure("away")

    await ledger.freeze(a_freeze("z1"))
    await ledger.frozen("acme")
    monkeypatch.setattr(ledger._switch, "_look", away)
    ledger._switch.moved()
    assert [one.id for one in await ledger.frozen("acme")] == ["z1"]
    with pytest.raises(LedgerFailure):
        await ledger.frozen("zeta")


def _counting(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    looks: list[str] = []
    look = ledger._switch._look

    async def counted(tenant: str) -> tuple[Freeze, ...]:
        looks.append(tenant)
        return await look(tenant)

    monkeypatch.setattr(ledger._switch, "_look", counted)
    return looks
