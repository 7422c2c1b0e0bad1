"""Leases: all or none, one holder at a time, a fence that only grows, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from takeback.ledger import SqlLedger
from takeback.ports import Lease, LeaseLost, Standing

from .stories import NOW, approach, first, ids, write

LATER = NOW + timedelta(seconds=61)


def fences(standing: Standing) -> dict[str, int]:
    return {lease.name: lease.fence for lease in standing.leases}


async def test_all_leases_are_granted_in_sorted_order(ledger: SqlLedger) -> None:
    standing = await ledger.approach(approach("h1", "c", "a", "b"))
    assert standing.refused_by is None
    until = NOW + timedelta(seconds=60)
    assert standing.leases == tuple(Lease(name, "h1", 1, until) for name in "abc")


async def test_an_approach_without_leases_is_never_refused(ledger: SqlLedger) -> None:
    standing = await ledger.approach(approach("h1"))
    assert (standing.leases, standing.refused_by, standing.run_status) == ((), None, None)
    assert (standing.earlier, standing.newest_generation, standing.occupants) == (None, -1, ())


async def test_one_lease_in_other_hands_refuses_all(ledger: SqlLedger, other: SqlLedger) -> None:
    await ledger.approach(approach("h1", "b"))
    refused = await other.approach(approach("h2", "a", "b", "c"))
    assert (refused.leases, refused.refused_by) == ((), "h1")
    third = await ledger.approach(approach("h3", "a", "c"))
    assert third.refused_by is None
    assert [lease.name for lease in third.leases] == ["a", "c"]


async def test_the_first_of_one_batch_gets_what_both_want(ledger: SqlLedger) -> None:
    standings = await asyncio.gather(
        ledger.approach(approach("h1", "a", "b")),
        ledger.approach(approach("h2", "b", "c")),
        ledger.approach(approach("h3", "c", "d")),
    )
    assert [standing.refused_by for standing in standings] == [None, "h1", None]


async def test_a_refused_approach_in_a_batch_stands_in_nobodys_way(ledger: SqlLedger) -> None:
    await ledger.approach(approach("h0", "a"))
    standings = await asyncio.gather(
        ledger.approach(approach("h1", "a", "b")),
        ledger.approach(approach("h2", "b")),
        ledger.approach(approach("h3", "b")),
    )
    assert [standing.refused_by for standing in standings] == ["h0", None, "h2"]


async def test_a_lease_lasts_until_the_given_time_and_not_by_the_clock(ledger: SqlLedger, other: SqlLedger) -> None:
    await ledger.approach(approach("h1", "a"))
    in_time = await other.approach(approach("h2", "a", now=NOW + timedelta(seconds=60)))
    assert in_time.refused_by == "h1"
    late = await other.approach(approach("h2", "a", now=NOW + timedelta(seconds=60, microseconds=1)))
    assert fences(late) == {"a": 2}


async def test_the_fence_rises_with_every_new_holder(ledger: SqlLedger, other: SqlLedger) -> None:
    seen = []
    for n in range(6):
        store = (ledger, other)[n % 2]
        standing = await store.approach(approach(f"h{n}", "a", "b"))
        seen.append(fences(standing))
        await store.release(standing.leases)
    assert seen == [{"a": n, "b": n} for n in range(1, 7)]


async def test_the_same_holder_keeps_its_fence(ledger: SqlLedger) -> None:
    first_time = await ledger.approach(approach("h1", "a"))
    again = await ledger.approach(approach("h1", "a", now=NOW + timedelta(seconds=30)))
    assert fences(first_time) == fences(again) == {"a": 1}
    refused = await ledger.approach(approach("h2", "a", now=NOW + timedelta(seconds=80)))
    assert refused.refused_by == "h1"


async def test_a_refused_approach_leaves_what_its_holder_has(ledger: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "a"))).leases
    await ledger.approach(approach("h2", "b"))
    refused = await ledger.approach(approach("h1", "a", "b"))
    assert (refused.leases, refused.refused_by) == ((), "h2")
    await write(ledger, first("a1"), leases=mine)


async def test_a_refused_approach_takes_nothing_that_ran_out(ledger: SqlLedger, other: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "a"))).leases
    await other.approach(approach("h2", "b", now=LATER))
    refused = await other.approach(approach("h3", "a", "b", now=LATER))
    assert refused.refused_by == "h2"
    await write(ledger, first("a1"), leases=mine)


async def test_a_released_lease_is_free_at_once_and_for_good(ledger: SqlLedger, other: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "a"))).leases
    await ledger.release(mine)
    theirs = (await other.approach(approach("h2", "a"))).leases
    await ledger.release(mine)  # late, and of a lease that is somebody else's by now
    assert (await ledger.approach(approach("h3", "a"))).refused_by == "h2"
    await write(other, first("a1"), leases=theirs)
    assert await ledger.renew(mine, LATER) == []


async def test_an_old_fence_of_the_same_holder_is_worth_nothing(ledger: SqlLedger) -> None:
    old = (await ledger.approach(approach("h1", "a"))).leases
    await ledger.release(old)
    new = (await ledger.approach(approach("h1", "a"))).leases
    with pytest.raises(LeaseLost):
        await write(ledger, first("a1"), leases=old)
    await write(ledger, first("a1"), leases=new)


async def test_a_lease_given_back_in_a_batch_is_gone_for_the_rest_of_it(ledger: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "a"))).leases
    results = await asyncio.gather(
        write(ledger, first("a1"), leases=mine, release=mine),
        write(ledger, first("a2"), leases=mine),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), LeaseLost]


async def test_a_renewed_lease_lasts_longer(ledger: SqlLedger, other: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "a", "b"))).leases
    assert await ledger.renew(mine, NOW + timedelta(seconds=300)) == list(mine)
    assert (await other.approach(approach("h2", "b", now=LATER))).refused_by == "h1"
    await write(ledger, first("a1"), leases=mine)


async def test_what_is_not_ours_any_more_is_not_renewed(ledger: SqlLedger, other: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "a", "b"))).leases
    await other.approach(approach("h2", "a", now=LATER))
    kept = await ledger.renew(mine, NOW + timedelta(seconds=300))
    assert [lease.name for lease in kept] == ["b"]
    assert (await other.approach(approach("h3", "b", now=LATER))).refused_by == "h1"
    assert (await other.approach(approach("h4", "a", now=LATER))).refused_by == "h2"


async def test_two_stores_contend_and_one_gets_it(ledger: SqlLedger, other: SqlLedger) -> None:
    for n in range(15):
        asked = approach("left", f"x{n}", f"y{n}"), approach("right", f"y{n}", f"x{n}")
        left, right = await asyncio.gather(ledger.approach(asked[0]), other.approach(asked[1]))
        assert sorted([bool(left.leases), bool(right.leases)]) == [False, True]
        assert (left.refused_by, right.refused_by) in {(None, "left"), ("right", None)}


async def test_random_sets_of_leases_never_overlap_and_never_hang(ledger: SqlLedger, other: SqlLedger) -> None:
    """Each holder marks what it was granted; a mark that is there already is a lease with two holders."""
    held: dict[str, str] = {}
    highest: dict[str, int] = {}
    granted = 0

    async def holder(number: int) -> None:
        nonlocal granted
        chance, store = random.Random(number), (ledger, other)[number % 2]
        for turn in range(12):
            names = chance.sample("abcdefgh", chance.randint(1, 5))
            standing = await store.approach(approach(f"h{number}.{turn}", *names))
            if standing.refused_by is not None:
                continue
            granted += 1
            for lease in standing.leases:
                assert lease.name not in held
                assert lease.fence > highest.get(lease.name, 0)
                held[lease.name], highest[lease.name] = lease.holder, lease.fence
            action = first(f"a{number}.{turn}")
            for lease in standing.leases:
                del held[lease.name]
            if chance.random() < 0.5:
                await write(store, action, leases=standing.leases, release=standing.leases)
            else:
                await write(store, action, leases=standing.leases)
                await store.release(standing.leases)

    async with asyncio.timeout(40):
        await asyncio.gather(*(holder(number) for number in range(8)))
    assert granted > 12
    assert len(await ids(ledger, limit=200)) == granted
