"""Checkpoints that an agent named, page by page."""

from __future__ import annotations

from datetime import timedelta

from takeback.ledger import SqlLedger
from takeback.ports import Change

from .stories import NOW, a_checkpoint


async def test_pages_follow_each_other_where_moments_are_equal(ledger: SqlLedger) -> None:
    made = [a_checkpoint(f"c{n}", at=NOW + timedelta(seconds=n // 3)) for n in range(9)]
    plans = (a_checkpoint("w1g1", action="w1"), a_checkpoint("w1g2", action="w1", at=NOW + timedelta(seconds=1)))
    others = (a_checkpoint("x1", run="r2"), a_checkpoint("x2", tenant="zeta"))
    await ledger.commit(Change(checkpoints=(*made, *plans), tenant="acme"))
    for other in others:
        await ledger.commit(Change(checkpoints=(other,), tenant=other.tenant))
    found = list(await ledger.named_checkpoints("acme", "r1", limit=2))
    while page := await ledger.named_checkpoints("acme", "r1", before=found[-1], limit=2):
        assert len(page) <= 2
        found += page
    assert found == made[::-1]


async def test_one_is_found_by_its_id(ledger: SqlLedger) -> None:
    await ledger.commit(Change(checkpoints=(a_checkpoint("c1"),), tenant="acme"))
    assert await ledger.checkpoint("acme", "c1") == a_checkpoint("c1")
