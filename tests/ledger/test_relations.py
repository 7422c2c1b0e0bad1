"""What the ledger knows of actions together: later writes, targets, who is in the way, successors, compensations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from takeback.core.action import Action, Target
from takeback.core.states import Happening
from takeback.core.vocabulary import Does, Origin, RunStatus
from takeback.ledger import SqlLedger
from takeback.ports import Change, KeyTaken

from .stories import (
    NOW,
    a_run,
    after,
    an_unwinding,
    approach,
    first,
    ids,
    image,
    sha,
    succeeded,
    write,
)


async def test_later_writes_are_in_force_on_a_shared_target_and_begun_later(ledger: SqlLedger) -> None:
    printer, router = Target(type="device", id="1"), Target(type="device", id="2", resource="rack/2")
    await succeeded(ledger, "before", targets=(printer,))
    mine = await succeeded(ledger, "mine", targets=(printer, router))
    await succeeded(ledger, "elsewhere", targets=(Target(type="device", id="3"),))
    await succeeded(ledger, "by resource", run="r2", targets=(Target(type="port", id="7", resource="rack/2"),))
    await write(ledger, first("unsettled", targets=(printer,)))
    both = await succeeded(ledger, "both", targets=(router, printer))
    assert [action.id for action in await ledger.later_writes(mine)] == ["by resource", "both"]
    undoing = after(both, Happening.COMPENSATE)
    await write(ledger, undoing, after(undoing, Happening.RESTORE, in_force=False))
    assert [action.id for action in await ledger.later_writes(mine)] == ["by resource"]


async def test_a_target_that_becomes_known_after_the_write_counts(ledger: SqlLedger) -> None:
    """A created record gets its id from the upstream, once it is there."""
    begun = first("made", targets=())
    await write(ledger, begun)
    assert await ids(ledger, target="ticket:77") == []
    made = after(begun, Happening.SUCCEED, in_force=True, targets=(Target(type="ticket", id="77", label="Printer"),))
    await write(ledger, made)
    assert await ledger.action("acme", "made") == made[1]
    assert await ids(ledger, target="ticket:77") == ["made"]
    assert await ids(ledger, text="printer") == ["made"]
    edited = await succeeded(ledger, "edited", targets=made[1].targets)
    assert await ledger.later_writes(made[1]) == [edited]
    renamed = after(made, Happening.NOTE, targets=(Target(type="ticket", id="78"),))
    await write(ledger, renamed)
    assert await ids(ledger, target="ticket:77") == ["edited"]
    assert await ids(ledger, target="ticket:78") == ["made"]
    assert await ledger.later_writes(renamed[1]) == []


async def test_a_target_learned_under_way_is_occupied_until_the_end(ledger: SqlLedger) -> None:
    begun = first("made", targets=())
    learned = after(begun, Happening.NOTE, targets=(Target(type="ticket", id="77"),))
    await write(ledger, begun)
    await write(ledger, learned)
    standing = await ledger.approach(approach("h1", "acme/ticket:77"))
    assert standing.occupants == (learned[1],)
    await write(ledger, after(learned, Happening.SUCCEED, in_force=True))
    assert (await ledger.approach(approach("h1", "acme/ticket:77"))).occupants == ()


async def test_a_target_is_occupied_while_its_action_is_under_way(ledger: SqlLedger) -> None:
    begun = first("a1")
    own = begun[1].operation
    story = [begun]
    for happening in (Happening.LOSE, Happening.SUCCEED, Happening.COMPENSATE, Happening.RESTORE):
        story.append(after(story[-1], happening))
    occupied = []
    for fact in story:
        await write(ledger, fact)
        standing = await ledger.approach(approach("h1", "ticket:T-a1", "ticket:T-other"))
        occupied.append([action.id for action in standing.occupants])
        assert (await ledger.approach(approach("h1", "ticket:T-a1", operation=own))).occupants == ()
    assert occupied == [["a1"], ["a1"], [], ["a1"], []]


async def test_the_newest_action_that_is_not_void_is_the_earlier_one(ledger: SqlLedger) -> None:
    operation = sha("one operation")

    async def standing() -> tuple[str | None, int]:
        found = await ledger.approach(approach("h1", operation=operation))
        return found.earlier.id if found.earlier else None, found.newest_generation

    void = first("a0", Happening.DENY, operation=operation)
    await write(ledger, void)
    assert await standing() == (None, 0)
    await write(ledger, first("a1", operation=operation, generation=1))
    asked = first("a2", Happening.ASK, operation=operation, generation=2)
    await write(ledger, asked)
    assert await standing() == ("a2", 2)
    await write(ledger, after(asked, Happening.CANCEL))
    assert await standing() == ("a1", 2)


async def test_an_approach_knows_the_state_of_the_run(ledger: SqlLedger) -> None:
    await ledger.open_run(a_run())
    assert (await ledger.approach(approach("h1"))).run_status is RunStatus.OPEN
    await ledger.commit(Change(runs=(a_run(status=RunStatus.ABANDONED),), tenant="acme"))
    assert (await ledger.approach(approach("h1"))).run_status is RunStatus.ABANDONED


async def test_the_successor_is_the_one_repeat(ledger: SqlLedger) -> None:
    await succeeded(ledger, "a1")
    assert await ledger.successor("acme", "a1") is None
    await write(ledger, first("undo", origin=Origin.UNDO, original="a1"))
    asked = first("void", Happening.ASK, origin=Origin.REPEAT, original="a1")
    await write(ledger, asked)
    with pytest.raises(KeyTaken):
        await write(ledger, first("second", origin=Origin.REPEAT, original="a1"))
    assert await ledger.successor("acme", "a1") == asked[1]
    await write(ledger, after(asked, Happening.DENY))
    assert await ledger.successor("acme", "a1") is None
    meant = first("meant", origin=Origin.REPEAT, original="a1")
    await write(ledger, meant)
    assert await ledger.successor("acme", "a1") == meant[1]


async def test_compensations_are_undo_and_redo_oldest_first(ledger: SqlLedger) -> None:
    await succeeded(ledger, "a1")
    undo: Action = await succeeded(ledger, "undo", origin=Origin.UNDO, original="a1")
    await succeeded(ledger, "repeat", origin=Origin.REPEAT, original="a1")
    await succeeded(ledger, "of another", origin=Origin.UNDO, original="a2")
    redo = await succeeded(ledger, "redo", origin=Origin.REDO, original="a1")
    assert await ledger.compensations("acme", "a1") == [undo, redo]


async def test_earlier_writes_ran_before_on_a_shared_target_newest_first(ledger: SqlLedger) -> None:
    printer, router = Target(type="device", id="1"), Target(type="device", id="2")
    await succeeded(ledger, "oldest", targets=(printer,), sent_at=NOW)
    await succeeded(ledger, "elsewhere", targets=(router,), sent_at=NOW)
    undone = await succeeded(ledger, "undone", targets=(printer,), sent_at=NOW)
    undoing = after(undone, Happening.COMPENSATE)
    await write(ledger, undoing, after(undoing, Happening.RESTORE, in_force=False))
    await write(ledger, first("denied", Happening.DENY, targets=(printer,)))
    mine = await succeeded(ledger, "mine", targets=(printer,), sent_at=NOW)
    await succeeded(ledger, "later", targets=(printer,))
    assert [action.id for action in await ledger.earlier_writes(mine)] == ["undone", "oldest"]
    assert [action.id for action in await ledger.earlier_writes(mine, limit=1)] == ["undone"]
    assert await ledger.newest_write(undone) is None, "none of them was read back"
    digest, content = image({"n": 1})
    read_back = after(mine, Happening.NOTE, after=digest)
    await write(ledger, read_back, images={digest: content})
    newest = await ledger.newest_write(undone)
    assert newest is not None
    assert newest.id == "mine"


async def test_what_a_run_did_after_and_still_stands(ledger: SqlLedger) -> None:
    await succeeded(ledger, "before")
    mine = await succeeded(ledger, "mine")
    await succeeded(ledger, "other run", run="r2")
    await succeeded(ledger, "an undo", origin=Origin.UNDO, original="before")
    await write(ledger, first("denied", Happening.DENY))
    await succeeded(ledger, "one")
    await succeeded(ledger, "two")
    assert [action.id for action in await ledger.standing_after(mine)] == ["two", "one"]


async def test_deletions_that_were_taken_back(ledger: SqlLedger) -> None:
    printer = Target(type="device", id="1")
    mine = await succeeded(ledger, "mine", targets=(printer,))
    await succeeded(ledger, "stands", targets=(printer,), does=Does.DELETE)
    gone = await succeeded(ledger, "gone", targets=(printer,), does=Does.DELETE)
    undoing = after(gone, Happening.COMPENSATE)
    await write(ledger, undoing, after(undoing, Happening.RESTORE, in_force=False))
    assert [action.id for action in await ledger.deletions_taken_back(mine)] == ["gone"]


async def test_creations_are_those_in_force_of_this_tenant(ledger: SqlLedger) -> None:
    made = {"does": Does.CREATE}
    await succeeded(ledger, "a1", targets=(Target(type="note", id="1"),), **made)
    await succeeded(ledger, "a2", targets=(Target(type="note", id="2"),), **made)
    await succeeded(ledger, "a3", targets=(Target(type="note", id="3"),))
    await succeeded(ledger, "a4", targets=(Target(type="book", id="4"),), **made)
    await succeeded(ledger, "b5", tenant="zeta", targets=(Target(type="note", id="5"),), **made)
    found = await ledger.creations("acme", "note", ["1", "2", "3", "4", "5", *map(str, range(100, 1700))])
    assert {id_: action.id for id_, action in found.items()} == {"1": "a1", "2": "a2"}


async def test_what_an_undo_of_several_meant_is_kept(ledger: SqlLedger) -> None:
    one = an_unwinding("u1")
    two = an_unwinding("u2", opened_at=one.opened_at + timedelta(seconds=1))
    other = an_unwinding("u3", what="run", run="r2")
    await ledger.commit(Change(unwindings=(one, two, other), tenant="acme"))
    await ledger.commit(Change(unwindings=(an_unwinding("u4", tenant="zeta"),), tenant="zeta"))
    assert list(await ledger.unwindings("acme", "r1")) == [two, one]
    assert list(await ledger.unwindings("acme", "r1", what="last 2", limit=1)) == [two]
    assert list(await ledger.unwindings("acme", "r1", what="run")) == []
