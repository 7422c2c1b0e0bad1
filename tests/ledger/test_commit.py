"""What a commit promises: durable, all or nothing, and nobody pays for a neighbour's mistake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from takeback.core.run import ApprovalStatus
from takeback.core.states import Happening
from takeback.core.vocabulary import Origin, RunStatus, Status
from takeback.ledger import SqlLedger, changes
from takeback.ports import Change, KeyTaken, LeaseLost, LedgerFailure, NotFound, Stale

from .stories import (
    NOW,
    a_checkpoint,
    a_run,
    after,
    an_approval,
    an_item,
    approach,
    first,
    ids,
    image,
    sha,
    succeeded,
    write,
)


async def test_everything_of_a_change_is_there_afterwards(ledger: SqlLedger) -> None:
    digest, content = image({"priority": "normal"})
    begun = first("a1", before=digest)
    change = Change(
        actions=(begun,),
        images={digest: content},
        approvals=(an_approval("p1"),),
        runs=(a_run(),),
        queue=(an_item("q1"),),
        checkpoints=(a_checkpoint("c1"),),
        counters={"writes": 2},
        tenant="acme",
    )
    await ledger.commit(change)
    assert await ledger.action("acme", "a1") == begun[1]
    assert await ledger.events("acme", "a1") == [begun[0]]
    assert await ledger.image(digest) == content
    assert await ledger.approval("acme", "p1") == an_approval("p1")
    assert await ledger.run("acme", "r1") == a_run()
    assert await ledger.queue("acme") == [an_item("q1")]
    assert await ledger.checkpoints("acme", "r1") == [a_checkpoint("c1")]
    standing = await ledger.approach(approach("h1", counters=("writes", "deletes")))
    assert standing.counters == {"writes": 2, "deletes": 0}


async def test_a_change_that_fails_leaves_nothing(ledger: SqlLedger) -> None:
    await write(ledger, first("a1"))
    digest, content = image({"lost": True})
    clash = first("a2", key=sha("key a1"))
    with pytest.raises(KeyTaken):
        await write(
            ledger,
            clash,
            images={digest: content},
            approvals=(an_approval("p1"),),
            runs=(a_run(),),
            queue=(an_item("q1"),),
            checkpoints=(a_checkpoint("c1"),),
            counters={"writes": 1},
        )
    gone: list[Awaitable[Any]] = [ledger.action("acme", "a2"), ledger.events("acme", "a2"), ledger.image(digest)]
    for missing in [*gone, ledger.approval("acme", "p1"), ledger.run("acme", "r1")]:
        with pytest.raises(NotFound):
            await missing
    assert await ledger.queue("acme") == []
    assert await ledger.checkpoints("acme", "r1") == []
    assert (await ledger.approach(approach("h1", counters=("writes",)))).counters == {"writes": 0}


@pytest.mark.parametrize(
    "bad",
    [
        lambda: (first("bad", key=sha("key standing")), KeyTaken),
        lambda: (after(first("standing"), Happening.SUCCEED), Stale),
        lambda: (first("bad", tenant=""), LedgerFailure),
        lambda: (first("bad", deadline=NOW.replace(tzinfo=None)), LedgerFailure),
    ],
    ids=["key", "stale", "tenant", "naive time"],
)
async def test_one_bad_member_of_twenty_fails_alone(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch, bad: Any
) -> None:
    standing = first("standing")
    await write(ledger, standing)
    await write(ledger, after(standing, Happening.NOTE))
    sizes = _watch_batches(monkeypatch)
    fact, expected = bad()
    facts = [first(f"a{n}") for n in range(20)]
    facts[11] = fact
    commits = (ledger.commit(Change(actions=(one,), counters={"writes": 1}, tenant="acme")) for one in facts)
    results = await asyncio.gather(*commits, return_exceptions=True)
    assert sizes == [20]
    assert type(results[11]) is expected
    assert [result for n, result in enumerate(results) if n != 11] == [None] * 19
    assert (await ledger.approach(approach("h1", counters=("writes",)))).counters == {"writes": 19}
    assert len(await ids(ledger, limit=100)) == 20


def _watch_batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    plain = changes.together

    def watched(connection: Any, members: Any) -> Any:
        sizes.append(len(members))
        return plain(connection, members)

    monkeypatch.setattr(changes, "together", watched)
    return sizes


async def test_two_members_of_one_batch_cannot_take_the_same_step(ledger: SqlLedger) -> None:
    begun = first("a1")
    await write(ledger, begun)
    results = await asyncio.gather(
        write(ledger, after(begun, Happening.SUCCEED)),
        write(ledger, after(begun, Happening.FAIL)),
        return_exceptions=True,
    )
    assert results[0] is None
    assert type(results[1]) is Stale
    assert (await ledger.action("acme", "a1")).status is Status.SUCCEEDED
    assert len(await ledger.events("acme", "a1")) == 2


async def test_a_step_that_was_taken_is_stale(ledger: SqlLedger, other: SqlLedger) -> None:
    begun = first("a1")
    await write(ledger, begun)
    await write(other, after(begun, Happening.SUCCEED))
    with pytest.raises(Stale):
        await write(ledger, after(begun, Happening.FAIL))
    assert (await ledger.action("acme", "a1")).status is Status.SUCCEEDED


async def test_a_step_that_leaves_one_out_is_stale(ledger: SqlLedger) -> None:
    begun = first("a1")
    await write(ledger, begun)
    second = after(begun, Happening.NOTE)
    with pytest.raises(Stale):
        await write(ledger, after(second, Happening.SUCCEED))
    assert len(await ledger.events("acme", "a1")) == 1


async def test_an_action_cannot_begin_twice(ledger: SqlLedger) -> None:
    await write(ledger, first("a1"))
    with pytest.raises(Stale):
        await write(ledger, first("a1", key=sha("k"), operation=sha("o")))


async def test_two_steps_of_one_change_stand_together(ledger: SqlLedger) -> None:
    begun = first("a1")
    done = after(begun, Happening.SUCCEED, in_force=True)
    await write(ledger, begun, done)
    assert await ledger.action("acme", "a1") == done[1]
    assert [event.seq for event in await ledger.events("acme", "a1")] == [1, 2]


async def test_an_event_must_make_the_version_that_comes_with_it(ledger: SqlLedger) -> None:
    event, action = first("a1")
    with pytest.raises(LedgerFailure):
        await write(ledger, (event, replace(action, version=2)))


@pytest.mark.parametrize(
    ("known", "clashing"),
    [
        ({}, {"key": sha("key a1")}),
        ({}, {"operation": sha("operation a1")}),
        ({"client_key": "mine"}, {"client_key": "mine"}),
        (
            {"origin": Origin.REPEAT, "original": "a0"},
            {"origin": Origin.REPEAT, "original": "a0"},
        ),
    ],
    ids=["key", "generation", "client key", "successor"],
)
async def test_what_is_unique_is_taken_once(
    ledger: SqlLedger, other: SqlLedger, known: dict[str, Any], clashing: dict[str, Any]
) -> None:
    await write(ledger, first("a1", **known))
    with pytest.raises(KeyTaken):
        await write(other, first("a2", **clashing))
    assert await ids(ledger) == ["a1"]


@pytest.mark.parametrize(
    ("known", "free"),
    [
        ({}, {"operation": sha("operation a1"), "generation": 1}),
        ({"client_key": "mine"}, {"client_key": "mine", "principal": "bob"}),
        ({"client_key": "mine"}, {"client_key": "mine", "tenant": "zeta"}),
        ({}, {"key": sha("key a1"), "tenant": "zeta"}),
        ({"origin": Origin.REPEAT, "original": "a0"}, {"origin": Origin.UNDO, "original": "a0"}),
    ],
    ids=["next generation", "other principal", "other tenant's client key", "other tenant's key", "undo"],
)
async def test_what_only_looks_alike_is_not_taken(
    ledger: SqlLedger, known: dict[str, Any], free: dict[str, Any]
) -> None:
    await write(ledger, first("a1", **known))
    await write(ledger, first("a2", **free))


@pytest.mark.parametrize("unique", [{"client_key": "mine"}, {"origin": Origin.REPEAT, "original": "a0"}])
async def test_a_void_action_holds_no_place(ledger: SqlLedger, unique: dict[str, Any]) -> None:
    asked = first("a1", Happening.ASK, **unique)
    await write(ledger, asked)
    await write(ledger, after(asked, Happening.DENY))
    await write(ledger, first("a2", **unique))
    assert await ids(ledger) == ["a2", "a1"]


async def test_two_guards_race_for_a_key_and_one_wins(ledger: SqlLedger, other: SqlLedger) -> None:
    for n in range(15):
        key = sha(f"contested {n}")
        mine, theirs = first(f"a{n}", key=key), first(f"b{n}", key=key)
        results = await asyncio.gather(write(ledger, mine), write(other, theirs), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["KeyTaken", "NoneType"]
    assert len(await ids(ledger, limit=100)) == 15


async def test_two_guards_race_for_a_step_and_one_wins(ledger: SqlLedger, other: SqlLedger) -> None:
    for n in range(10):
        begun = first(f"a{n}")
        await write(ledger, begun)
        ours, theirs = after(begun, Happening.SUCCEED), after(begun, Happening.FAIL)
        results = await asyncio.gather(write(ledger, ours), write(other, theirs), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "Stale"]
        winner = ours if results[0] is None else theirs
        assert await ledger.action("acme", f"a{n}") == winner[1]


async def test_rows_by_id_are_replaced(ledger: SqlLedger) -> None:
    await write(ledger, first("a1"), approvals=(an_approval("p1"),), queue=(an_item("q1"),), runs=(a_run(),))
    decided = an_approval("p1", status=ApprovalStatus.APPROVED, decided_at=NOW, decided_by="eve", how="console")
    closed = an_item("q1", version=2, closed_at=NOW, closed_by="eve", decision="close", reason="seen")
    over = a_run(status=RunStatus.ABANDONED, reason="mismatch")
    await ledger.commit(Change(approvals=(decided,), queue=(closed,), runs=(over,), tenant="acme"))
    assert await ledger.approval("acme", "p1") == decided
    assert await ledger.approvals("acme") == []
    assert await ledger.approvals("acme", pending_only=False) == [decided]
    assert await ledger.queue("acme") == []
    assert await ledger.queue("acme", open_only=False) == [closed]
    assert await ledger.run("acme", "r1") == over


async def test_opening_a_run_twice_keeps_the_first(ledger: SqlLedger) -> None:
    await ledger.open_run(a_run())
    await ledger.open_run(a_run(request="another"))
    assert (await ledger.run("acme", "r1")).request == "tidy up"
    assert await ledger.runs("acme") == [a_run()]


async def test_counters_of_a_batch_add_up(ledger: SqlLedger, other: SqlLedger) -> None:
    stores = [ledger, other]
    await asyncio.gather(*(write(stores[n % 2], first(f"a{n}"), counters={"writes": 1}) for n in range(20)))
    assert (await other.approach(approach("h1", counters=("writes",)))).counters == {"writes": 20}


async def test_an_image_is_kept_once_and_only_under_its_own_digest(ledger: SqlLedger) -> None:
    digest, content = image({"text": "long " * 1000})
    await asyncio.gather(*(write(ledger, first(f"a{n}"), images={digest: content}) for n in range(5)))
    assert await ledger.image(digest) == content
    with pytest.raises(LedgerFailure):
        await ledger.commit(Change(images={digest: b"{}"}))
    assert await ledger.image(digest) == content


async def test_a_change_stays_within_its_tenant(ledger: SqlLedger) -> None:
    begun = first("a1")
    await write(ledger, begun)
    with pytest.raises(LedgerFailure):
        await ledger.commit(Change(actions=(first("a2"),), runs=(a_run(tenant="zeta"),), tenant="zeta"))
    event, action = after(begun, Happening.SUCCEED)
    with pytest.raises(LedgerFailure):
        await ledger.commit(Change(actions=((event, replace(action, tenant="zeta")),), tenant="zeta"))
    with pytest.raises(LedgerFailure):
        await ledger.commit(Change(counters={"writes": 1}))
    assert await ledger.action("acme", "a1") == begun[1]


async def test_a_lease_that_was_lost_stops_the_change(ledger: SqlLedger, other: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "acme/x"))).leases
    later = NOW.replace(year=2027)
    theirs = (await other.approach(approach("h2", "acme/x", now=later))).leases
    assert theirs[0].fence == mine[0].fence + 1
    with pytest.raises(LeaseLost):
        await write(ledger, first("a1"), leases=mine)
    assert await ids(ledger) == []
    await write(other, first("a2"), leases=theirs, release=theirs)


async def test_a_lease_that_ran_out_is_ours_until_it_is_taken(ledger: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "acme/x", now=NOW.replace(year=2020)))).leases
    await write(ledger, first("a1"), leases=mine)
    assert await ids(ledger) == ["a1"]


async def test_releasing_in_a_change_frees_for_the_next(ledger: SqlLedger) -> None:
    mine = (await ledger.approach(approach("h1", "acme/x"))).leases
    await write(ledger, first("a1"), leases=mine, release=mine)
    theirs = (await ledger.approach(approach("h2", "acme/x"))).leases
    assert [lease.fence for lease in theirs] == [2]
    with pytest.raises(LeaseLost):
        await write(ledger, first("a2"), leases=mine)


async def test_a_cancelled_caller_loses_nothing(ledger: SqlLedger) -> None:
    task = asyncio.create_task(write(ledger, first("a1")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ledger.wait_for_change("acme", "a1", 0, timeout=10)
    assert (await ledger.action("acme", "a1")).version == 1


async def test_what_was_queued_is_written_before_closing(opened: Any) -> None:
    ledger, reader = await opened(), await opened()
    tasks = [asyncio.create_task(write(ledger, first(f"a{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*tasks)
    assert len(await ids(reader)) == 10
    with pytest.raises(LedgerFailure):
        await write(ledger, first("late"))


async def test_an_effect_is_durable_and_an_approach_need_not_be(ledger: SqlLedger, backend: str) -> None:
    await write(ledger, first("a1"))
    await ledger.approach(approach("h1"))
    asked = "PRAGMA synchronous" if backend == "sqlite" else "SHOW synchronous_commit"
    expected = (2, 1) if backend == "sqlite" else ("on", "off")
    writer = ledger._writer
    said = [
        await lane.run(lambda connection: connection.exec_driver_sql(asked).scalar_one())
        for lane in (writer._durable_lane, writer._loose_lane)
    ]
    assert tuple(said) == expected


async def test_a_successful_action_is_found_again(ledger: SqlLedger) -> None:
    done = await succeeded(ledger, "a1")
    assert await ledger.action("acme", "a1") == done
