"""The recovery queue in both databases: nothing in it is lost, doubled, or decided by two people."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from takeback.core.action import Target
from takeback.core.queue import Cause, QueueDecision, QueueState, RecoveryItem
from takeback.core.states import Happening
from takeback.core.vocabulary import Risk
from takeback.ledger import SqlLedger
from takeback.ports import Change, LedgerFailure, NotFound, QueueQuery, Stale

from .stories import NOW, a_comment, a_run, after, an_item, approach, first, settled, succeeded, write


async def put(ledger: SqlLedger, *items: RecoveryItem) -> None:
    await ledger.commit(Change(queue=items, tenant="acme"))


async def found(ledger: SqlLedger, **query: Any) -> list[str]:
    page = await ledger.entries(QueueQuery(tenant="acme", **query), NOW)
    return [entry.item.id for entry in page.entries]


async def decide(ledger: SqlLedger, item: RecoveryItem, who: str) -> None:
    closed = replace(item, version=item.version + 1, closed_at=NOW, closed_by=who, decision="close", reason="seen")
    await put(ledger, closed)


async def test_of_two_who_decide_at_once_exactly_one_wins(ledger: SqlLedger, other: SqlLedger) -> None:
    for n in range(12):
        item = an_item(f"q{n}", action=f"a{n}")
        await put(ledger, item)
        results = await asyncio.gather(decide(ledger, item, "anna"), decide(other, item, "ben"), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "Stale"]
        winner = "anna" if results[0] is None else "ben"
        [kept] = await other.items_of("acme", f"a{n}", open_only=False)
        assert (kept.closed_by, kept.version) == (winner, 2)


async def test_of_two_in_one_group_of_commits_exactly_one_wins(ledger: SqlLedger) -> None:
    item = an_item("q1")
    await put(ledger, item)
    who = [f"person {n}" for n in range(6)]
    results = await asyncio.gather(*(decide(ledger, item, one) for one in who), return_exceptions=True)
    assert [type(result) for result in results].count(Stale) == len(who) - 1
    [kept] = await ledger.queue("acme", open_only=False)
    assert kept.closed_by == who[results.index(None)]


async def test_what_the_loser_decided_moves_nothing_else_either(ledger: SqlLedger, other: SqlLedger) -> None:
    """The action that a decision moves is written in the same commit, or not at all."""
    begun = first("a1")
    lost = after(begun, Happening.LOSE)
    await write(ledger, begun, lost, queue=(an_item("q1"),))
    await decide(other, an_item("q1"), "ben")
    stale = replace(an_item("q1"), version=2, closed_at=NOW, closed_by="anna")
    with pytest.raises(Stale, match="quicker"):
        await write(ledger, after(lost, Happening.FAIL), queue=(stale,))
    assert await ledger.action("acme", "a1") == lost[1]


async def test_one_entry_is_open_for_one_action_and_cause(ledger: SqlLedger, other: SqlLedger) -> None:
    """What comes again is said in the entry that is there, which keeps its age and whoever it is assigned to."""
    await put(ledger, an_item("q1", assignee="anna"))
    again = an_item("q2", why="still in doubt", opened_at=NOW + timedelta(hours=1), risk=Risk.HIGH)
    await put(other, again)
    [item] = await ledger.queue("acme")
    assert item == an_item("q1", assignee="anna", why="still in doubt", risk=Risk.HIGH, version=2)
    await put(ledger, an_item("q3", cause=Cause.CONFLICT))
    assert [one.id for one in await ledger.queue("acme")] == ["q1", "q3"]
    await decide(ledger, item, "anna")
    await put(ledger, an_item("q4"))
    assert [one.id for one in await ledger.queue("acme")] == ["q3", "q4"]
    assert [one.id for one in await ledger.queue("acme", open_only=False)] == ["q1", "q3", "q4"]


async def test_the_same_cause_from_many_at_once_is_one_entry(ledger: SqlLedger, other: SqlLedger) -> None:
    items = [an_item(f"q{n}", why=f"look {n}") for n in range(8)]
    await asyncio.gather(*(put((ledger, other)[n % 2], item) for n, item in enumerate(items)))
    [item] = await ledger.queue("acme")
    assert item.version == len(items)


async def test_whoever_decides_on_what_was_said_anew_is_told(ledger: SqlLedger, other: SqlLedger) -> None:
    await put(ledger, an_item("q1"))
    await put(other, an_item("q2", why="there is more to it"))
    with pytest.raises(Stale):
        await decide(ledger, an_item("q1"), "anna")
    [item] = await ledger.queue("acme")
    await put(other, an_item("q2", why="there is more to it"))  # nothing new is said
    await decide(ledger, item, "anna")


async def test_what_is_said_anew_while_somebody_decides_is_not_lost(ledger: SqlLedger) -> None:
    """Both in one group of commits: the decision was on what had been said before."""
    for n in range(8):
        item = an_item(f"q{n}", action=f"a{n}")
        await put(ledger, item)
        anew = an_item(f"r{n}", action=f"a{n}", why="there is more to it")
        both = [put(ledger, anew), decide(ledger, item, "anna")]
        await asyncio.gather(*(both if n % 2 else reversed(both)), return_exceptions=True)
        [still] = await ledger.items_of("acme", f"a{n}")
        assert still.why == "there is more to it"


async def test_what_settles_itself_closes_its_entries_in_the_same_commit(ledger: SqlLedger) -> None:
    await put(ledger, an_item("q1"), an_item("q2", cause=Cause.LATE), an_item("q3", action="a2"))
    of_doubt = settled("a1", causes=frozenset({Cause.IN_DOUBT}))
    with pytest.raises(Stale):
        await ledger.commit(Change(queue=(an_item("q9", version=7),), settled=(of_doubt,), tenant="acme"))
    assert len(await ledger.queue("acme")) == 3
    await ledger.commit(Change(settled=(of_doubt,), tenant="acme"))
    assert [one.id for one in await ledger.queue("acme")] == ["q2", "q3"]
    [closed, _] = await ledger.items_of("acme", "a1", open_only=False)
    assert (closed.closed_by, closed.decision, closed.reason) == ("guard", QueueDecision.RESUME, "it settled")
    with pytest.raises(Stale):
        await decide(ledger, an_item("q1"), "anna")
    await ledger.commit(Change(settled=(replace(of_doubt, by="nobody", causes=frozenset(Cause)),), tenant="acme"))
    assert (await ledger.items_of("acme", "a1", open_only=False))[0] == closed


async def test_an_entry_is_held_for_as_long_as_its_lease(ledger: SqlLedger) -> None:
    item = replace(an_item("q1"), handler="anna", handling="compensate")
    await put(ledger, item)
    standing = await ledger.approach(approach("h1", item.lease_name))
    entry = await ledger.entry("acme", "q1", NOW)
    assert (entry.held, entry.state) == (True, QueueState.HANDLING)
    later = await ledger.entry("acme", "q1", NOW + timedelta(minutes=2))
    assert (later.held, later.state) == (False, QueueState.OPEN)
    await ledger.release(standing.leases)
    assert (await ledger.entry("acme", "q1", NOW)).state is QueueState.OPEN
    with pytest.raises(NotFound, match="q7 in the recovery queue"):
        await ledger.entry("acme", "q7", NOW)


async def test_an_entry_knows_its_action_and_the_users_words(ledger: SqlLedger) -> None:
    action = await succeeded(ledger, "a1")
    await ledger.open_run(a_run(request="tidy up"))
    await put(ledger, an_item("q1"), an_item("q2", action="none", run="r9"))
    entries = (await ledger.entries(QueueQuery(tenant="acme"), NOW)).entries
    assert [(one.action, one.request) for one in entries] == [(action, "tidy up"), (None, None)]


async def test_entries_are_found_by_what_they_say(ledger: SqlLedger) -> None:
    targets = (Target(type="ticket", id="T-1", label="Drucker STRASSE"),)
    await succeeded(ledger, "a1", targets=targets)
    await succeeded(ledger, "a2", tool="send_mail")
    hour = timedelta(hours=1)
    await put(
        ledger,
        an_item("q1", risk=Risk.HIGH),
        an_item("q2", action="a2", run="r2", why="100% of it is ÄRGERLICH", opened_at=NOW + hour, assignee="anna"),
        an_item("q3", action="a3", opened_at=NOW + 2 * hour, closed_at=NOW, why="old"),
    )
    await ledger.commit(Change(comments=(a_comment("n1", item="q2", text="I asked the BANK"),), tenant="acme"))
    cases: dict[tuple[str, ...], dict[str, Any]] = {
        ("q1",): {"text": "straße"},
        ("q2",): {"text": "SEND_MAIL"},
        ("q1", "q2"): {},
        ("q1", "q2", "q3"): {"open_only": False},
        ("q3",): {"open_only": False, "text": "old"},
        (): {"text": "old"},
    }
    for wanted, query in cases.items():
        assert await found(ledger, **query) == list(wanted), query
    for query in (
        {"text": "bank"}, {"text": "100%"}, {"text": "ärgerlich"}, {"run": "r2"}, {"assignee": "anna"},
        {"after": NOW + hour}, {"risk": Risk.LOW}, {"action": "a2"},
    ):  # fmt: skip
        assert await found(ledger, **query) == ["q2"], query
    for query in ({"assignee": ""}, {"before": NOW + hour}, {"risk": Risk.HIGH}):
        assert await found(ledger, **query) == ["q1"], query
    assert await found(ledger, text="100_") == []


async def test_pages_follow_each_other_while_entries_come_and_go(ledger: SqlLedger) -> None:
    for n in range(9):
        await put(ledger, an_item(f"q{n}", action=f"a{n}", opened_at=NOW + timedelta(seconds=n // 2)))
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await ledger.entries(QueueQuery(tenant="acme", limit=2, cursor=cursor), NOW)
        seen += [entry.item.id for entry in page.entries]
        if page.cursor is None:
            break
        cursor = page.cursor
        await ledger.commit(Change(settled=(settled(f"a{len(seen) - 1}"),), tenant="acme"))
    assert seen == [f"q{n}" for n in range(9)]
    for odd in ("", "x", "q1", "cTpx", "é", "A" * 5000):
        with pytest.raises(LedgerFailure, match="cursor"):
            await found(ledger, cursor=odd)
    with pytest.raises(LedgerFailure, match="characters"):
        await found(ledger, text="x" * 1001)


async def test_comments_are_added_and_stay(ledger: SqlLedger, other: SqlLedger) -> None:
    await put(ledger, an_item("q1"))
    said = [a_comment(f"n{n}", at=NOW + timedelta(seconds=n)) for n in range(3)]
    stores = (ledger, other)
    await asyncio.gather(*(stores[n % 2].commit(Change(comments=(one,), tenant="acme")) for n, one in enumerate(said)))
    assert await ledger.comments("acme", "q1") == said
    with pytest.raises(LedgerFailure):
        await ledger.commit(Change(comments=(a_comment("n1", text="something else"),), tenant="acme"))
    assert await ledger.comments("acme", "q1") == said
    await decide(ledger, an_item("q1"), "anna")  # what is said of an entry does not move it
