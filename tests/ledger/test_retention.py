"""Retention: what goes, what stays, and that a pruned action's key is never free again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from takeback.core.action import Action
from takeback.core.policy.schema import Retention
from takeback.core.states import Happening
from takeback.core.vocabulary import RunStatus, Status
from takeback.ledger import SqlLedger
from takeback.ports import Change, KeyTaken, NotFound, Pruned, Removed

from .stories import NOW, a_run, after, an_approval, an_item, approach, first, ids, image, sha, succeeded, write

DAYS = timedelta(days=30)
KEPT = Retention(runs=DAYS)
LATER = NOW + DAYS + timedelta(days=1)


async def old(ledger: SqlLedger, *names: str, run: str = "r1") -> list[Action]:
    """A run with actions that took effect long ago."""
    await ledger.open_run(a_run(run))
    return [await succeeded(ledger, name, run=run) for name in names]


async def test_without_retention_nothing_goes(ledger: SqlLedger) -> None:
    await old(ledger, "a1")
    assert await ledger.prune(Retention(), LATER) == Removed()
    assert await ids(ledger) == ["a1"]


async def test_an_idle_run_goes_and_leaves_tombstones(ledger: SqlLedger, other: SqlLedger) -> None:
    await old(ledger, "a1", "a2")
    gone = await ledger.prune(KEPT, LATER)
    assert (gone.runs, gone.actions, gone.events, gone.more) == (1, 2, 4, False)
    assert await ids(other) == []
    with pytest.raises(NotFound):
        await other.run("acme", "r1")
    with pytest.raises(Pruned, match="pruned"):
        await other.action("acme", "a1")
    standing = await other.approach(approach("h1", "a", operation=sha("operation a1")))
    assert standing.earlier is None
    assert standing.tombstone is not None
    assert (standing.tombstone.action, standing.tombstone.status) == ("a1", Status.SUCCEEDED)
    assert standing.newest_generation == 0


async def test_a_pruned_key_is_never_free_again(ledger: SqlLedger) -> None:
    await old(ledger, "a1")
    await ledger.prune(KEPT, LATER)
    for same in ({"key": sha("key a1")}, {"operation": sha("operation a1"), "key": sha("key a1")}):
        with pytest.raises(KeyTaken):
            await write(ledger, first("a9", Happening.CLAIM, **same))
    await write(ledger, first("a8"))


async def test_a_pruned_clients_key_is_its_principals_for_ever(ledger: SqlLedger) -> None:
    await ledger.open_run(a_run("r1"))
    await succeeded(ledger, "a1", client_key="mine")
    await ledger.prune(KEPT, LATER)
    with pytest.raises(KeyTaken):
        await write(ledger, first("a9", client_key="mine"))
    await write(ledger, first("a8", client_key="mine", principal="bob"))


@pytest.mark.parametrize("late", [Happening.CLAIM, Happening.LOSE, Happening.ASK])
async def test_what_is_not_settled_keeps_its_run(ledger: SqlLedger, late: Happening) -> None:
    await old(ledger, "a1")
    fact = first("a2", Happening.ASK if late is Happening.ASK else Happening.CLAIM)
    await write(ledger, fact)
    if late is Happening.LOSE:
        await write(ledger, after(fact, Happening.LOSE))
    assert (await ledger.prune(KEPT, LATER)).runs == 0
    assert await ids(ledger) == ["a2", "a1"]


async def test_what_waits_for_a_person_keeps_its_run(ledger: SqlLedger) -> None:
    for run, change in (
        ("r1", Change(queue=(an_item("q1", action="a1"),), tenant="acme")),
        ("r2", Change(approvals=(an_approval("p1", run="r2", action="a2"),), tenant="acme")),
    ):
        await old(ledger, f"a{run[1]}", run=run)
        await ledger.commit(change)
    assert (await ledger.prune(KEPT, LATER)).runs == 0
    closed = an_item("q1", version=2, action="a1", closed_at=NOW)
    await ledger.commit(Change(queue=(closed,), tenant="acme"))
    assert (await ledger.prune(KEPT, LATER)).runs == 1


async def test_a_run_in_which_something_happened_lately_stays(ledger: SqlLedger) -> None:
    [action] = await old(ledger, "a1")
    lately = after(action, Happening.NOTE)
    event, noted = lately
    object.__setattr__(event, "at", LATER - timedelta(days=2))
    object.__setattr__(noted, "updated_at", LATER - timedelta(days=2))
    await write(ledger, (event, noted))
    assert (await ledger.prune(KEPT, LATER)).runs == 0
    assert (await ledger.prune(KEPT, LATER + DAYS)).runs == 1


async def test_counting_changes_nothing_and_counts_the_same(ledger: SqlLedger) -> None:
    await old(ledger, *(f"a{n}" for n in range(7)))
    counted = await ledger.prune(KEPT, LATER, dry_run=True)
    assert len(await ids(ledger)) == 7
    gone = await ledger.prune(KEPT, LATER)
    assert (counted.runs, counted.actions, counted.events) == (gone.runs, gone.actions, gone.events) == (1, 7, 14)


async def test_it_goes_on_where_it_was_broken_off(ledger: SqlLedger, other: SqlLedger) -> None:
    """Batch by batch, by two guards in turn: whole things only, and in the end all of it."""
    for number in range(6):
        await old(ledger, *(f"a{number}{n}" for n in range(40)), run=f"r{number}")
    total = Removed()
    for turn in range(100):
        step = await (ledger, other)[turn % 2].prune(KEPT, LATER, batches=1)
        total += step
        for run in await ledger.runs("acme"):
            page = await ids(ledger, run=run.id, limit=100)
            assert run.status is RunStatus.FINISHED or len(page) == 40
        if not step.more:
            break
    assert (total.runs, total.actions) == (6, 240)
    assert await ids(ledger) == []


async def with_images(ledger: SqlLedger, name: str, *, settled: bool = True) -> tuple[str, str]:
    before, after_ = image({"of": name, "n": 1}), image({"of": name, "n": 2})
    begun = first(name, before=before[0])
    await write(ledger, begun, images=dict([before]))
    if settled:
        done = after(begun, Happening.SUCCEED, in_force=True, after=after_[0])
        await write(ledger, done, images=dict([after_]))
    return before[0], after_[0]


async def test_images_go_before_their_actions_and_say_so(ledger: SqlLedger) -> None:
    before, later = await with_images(ledger, "a1")
    unsettled, _ = await with_images(ledger, "a2", settled=False)
    gone = await ledger.prune(Retention(images=DAYS), LATER)
    assert (gone.images, gone.actions) == (2, 0)
    for digest in (before, later):
        with pytest.raises(Pruned):
            await ledger.image(digest)
    assert await ledger.image(unsettled)
    assert (await ledger.action("acme", "a1")).before == before


async def test_an_image_that_is_used_again_is_there_again(ledger: SqlLedger) -> None:
    before, _ = await with_images(ledger, "a1")
    await ledger.prune(Retention(images=DAYS), LATER)
    content = image({"of": "a1", "n": 1})
    await write(ledger, first("a3", before=before), images=dict([content]))
    assert await ledger.image(before) == content[1]


async def test_runs_of_other_tenants_go_by_themselves(ledger: SqlLedger) -> None:
    await ledger.open_run(a_run("r1", tenant="zeta"))
    await succeeded(ledger, "a1", tenant="zeta")
    await old(ledger, "a2")
    await write(ledger, first("a3"))
    assert (await ledger.prune(KEPT, LATER)).runs == 1
    assert await ids(ledger) == ["a3", "a2"]


async def test_what_cannot_go_holds_nothing_up_that_is_pruned_bit_by_bit(ledger: SqlLedger) -> None:
    """More runs that wait for a person than one batch looks at; the last of all is the one that may go."""
    for number in range(45):
        await ledger.open_run(a_run(f"r{number:02}"))
        waits = an_approval(f"p{number:02}", run=f"r{number:02}", action=f"b{number:02}")
        await ledger.commit(Change(approvals=(waits,), tenant="acme"))
    await old(ledger, "a1", run="r99")
    steps = [await ledger.prune(KEPT, LATER, batches=1) for _ in range(4)]
    assert [step.runs for step in steps] == [0, 0, 1, 0]
    assert not (await ledger.prune(KEPT, LATER, batches=100)).more
