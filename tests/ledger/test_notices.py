"""What stores on one PostgreSQL tell each other, and what they make of silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from takeback.core.run import ApprovalStatus
from takeback.core.states import Happening
from takeback.ledger import SqlLedger, ear, freezes, open_ledger, store
from takeback.ledger.notices import EVERYTHING, LONGEST, News
from takeback.ports import Change, LedgerFailure
from tests.postgresql import Postgresql, a_postgresql

from .stories import NOW, a_freeze, after, an_approval, approach, first, write

BOUND = 30.0
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE query ~ 'LISTEN|SELECT 1' AND usename = current_user AND pid <> pg_backend_pid()
"""


@pytest.fixture
def backend() -> str:
    return "postgresql"


@pytest.fixture(autouse=True)
def deaf_to_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is heard here is heard by notice, or not at all."""
    monkeypatch.setattr(store, "_POLL_LISTENING", 600.0)
    monkeypatch.setattr(store, "_POLL_SECONDS", 600.0)


async def listening(*ledgers: SqlLedger) -> None:
    async with asyncio.timeout(BOUND):
        for ledger in ledgers:
            while not (ledger._ear and ledger._ear.listening):
                await asyncio.sleep(0.01)


async def away(ledger: SqlLedger) -> None:
    async with asyncio.timeout(BOUND):
        while ledger.available:
            await asyncio.sleep(0.01)


async def begun(ledger: SqlLedger, name: str) -> Any:
    one = first(name)
    await write(ledger, one)
    return one


async def heard(listener: SqlLedger, wanted: float = BOUND) -> bool:
    """Whether something stirs. What was before is drained by the caller."""
    return await listener.wait_for_any(wanted)


# --- between stores ---


async def test_another_guards_commit_is_heard_without_polling(ledger: SqlLedger, other: SqlLedger) -> None:
    await listening(ledger, other)
    one = await begun(ledger, "a1")
    waiter = asyncio.create_task(ledger.wait_for_change("acme", "a1", 1, timeout=600))
    await write(other, first("another"))
    await write(other, after(one, Happening.NOTE))
    async with asyncio.timeout(BOUND):
        await waiter


async def test_a_change_of_many_actions_wakes_those_who_wait_for_any_of_them(
    ledger: SqlLedger, other: SqlLedger
) -> None:
    """Their ids are more than a notice holds."""
    await listening(ledger, other)
    many = [first(f"{number:04}-{'x' * 60}") for number in range(150)]
    await write(ledger, *many)
    waiter = asyncio.create_task(ledger.wait_for_change("acme", many[-1][1].id, 1, timeout=600))
    await write(other, *(after(one, Happening.NOTE) for one in many))
    async with asyncio.timeout(BOUND):
        await waiter


async def test_the_stop_switch_is_heard_before_what_is_remembered_of_it_is_old(
    ledger: SqlLedger, other: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezes, "SEEN_WITHIN", 600.0)
    await listening(ledger, other)
    assert await ledger.frozen("acme") == ()
    await other.freeze(a_freeze("z1"))
    async with asyncio.timeout(BOUND):
        while not await ledger.frozen("acme"):
            await asyncio.sleep(0.01)
    await other.lift("acme", "z1", at=NOW, by="bob", reason="mended")
    async with asyncio.timeout(BOUND):
        while await ledger.frozen("acme"):
            await asyncio.sleep(0.01)


async def test_what_was_rolled_back_is_told_to_nobody(ledger: SqlLedger, other: SqlLedger) -> None:
    await listening(ledger, other)
    one = await begun(ledger, "a1")
    told: list[News] = []
    assert ledger._ear is not None
    ledger._ear._heard = told.append
    stale = after(after(one, Happening.NOTE), Happening.NOTE)
    with pytest.raises(LedgerFailure):
        await write(other, stale)
    await write(other, after(one, Happening.NOTE))
    async with asyncio.timeout(BOUND):
        while not told:
            await asyncio.sleep(0.01)
    assert told == [News(frozenset({"a1"}))]


async def test_stores_of_two_ledgers_in_one_database_do_not_hear_each_other(
    ledger: SqlLedger, fresh_url: Any, url: str
) -> None:
    stranger = await open_ledger(await fresh_url())
    try:
        await listening(ledger, stranger)
        assert ledger._ear is not None
        told: list[News] = []
        ledger._ear._heard = told.append
        one = first("a1")
        await write(stranger, one)
        await write(stranger, after(one, Happening.NOTE))
        mine = await begun(ledger, "b1")
        await write(ledger, after(mine, Happening.NOTE))
        async with asyncio.timeout(BOUND):
            while not told:
                await asyncio.sleep(0.01)
        assert told == [News(frozenset({"b1"}))]
    finally:
        await stranger.close()


# --- anything a worker may want to look at ---


@pytest.mark.parametrize("what", ["in doubt", "approval", "left"])
async def test_another_guards_trouble_stirs_a_worker(ledger: SqlLedger, other: SqlLedger, what: str) -> None:
    await listening(ledger, other)
    assert await heard(ledger)  # that it listens
    one = await begun(ledger, "a1")
    if what == "in doubt":
        await write(other, after(one, Happening.LOSE))
    elif what == "approval":
        await other.commit(Change(approvals=(an_approval("p1", status=ApprovalStatus.APPROVED),)))
    else:
        held = (await other.approach(approach("h1", "ticket:T-a1"))).leases
        await other.commit(Change(actions=(after(one, Happening.NOTE),), leases=tuple(held), release=tuple(held)))
    assert await heard(ledger)
    assert not await heard(ledger, 0.05)


async def test_what_is_well_stirs_nobody(ledger: SqlLedger, other: SqlLedger) -> None:
    await listening(ledger, other)
    await heard(ledger)
    one = await begun(other, "a1")
    waiter = asyncio.create_task(ledger.wait_for_change("acme", "a1", 1, timeout=600))
    await write(other, after(one, Happening.NOTE))
    async with asyncio.timeout(BOUND):
        await waiter
    assert not await heard(ledger, 0.05)


async def test_what_happened_before_one_waits_is_not_missed(ledger: SqlLedger) -> None:
    await listening(ledger)
    await heard(ledger)
    await ledger.approach(approach("h1", "ticket:T-1"))
    await ledger.let_go("h1")
    assert await heard(ledger)


# --- the connection breaks, the server goes away ---


async def test_a_listening_connection_that_is_cut_is_made_again(ledger: SqlLedger, other: SqlLedger, url: str) -> None:
    await listening(ledger, other)
    one = await begun(ledger, "a1")
    await heard(ledger)
    waiter = asyncio.create_task(ledger.wait_for_change("acme", "a1", 1, timeout=600))
    cutter = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=10)
    try:
        assert await cutter.fetchval(CUT) >= 2
    finally:
        await cutter.close()
    await heard(ledger)
    await listening(ledger, other)
    await write(other, after(one, Happening.NOTE))
    async with asyncio.timeout(BOUND):
        await waiter


@pytest_asyncio.fixture
async def lone() -> AsyncIterator[tuple[Postgresql, SqlLedger]]:
    """A server of the test's own, which may be hurt, and a store on it."""
    with a_postgresql() as server:
        ledger = await open_ledger(f"postgresql+asyncpg://postgres@/postgres?host={server.folder}")
        try:
            yield server, ledger
        finally:
            await asyncio.wait_for(ledger.close(), BOUND)


async def test_a_server_that_stops_and_starts_is_seen_going_and_coming(lone: tuple[Postgresql, SqlLedger]) -> None:
    server, ledger = lone
    await listening(ledger)
    one = await begun(ledger, "a1")
    server.stop()
    await away(ledger)
    with pytest.raises(LedgerFailure):
        async with asyncio.timeout(BOUND):
            await write(ledger, after(one, Happening.NOTE))
    with pytest.raises(LedgerFailure):
        async with asyncio.timeout(BOUND):
            await ledger.action("acme", "a1")
    waiter = asyncio.create_task(ledger.wait_for_any(600))
    server.start()
    await listening(ledger)
    assert ledger.available
    async with asyncio.timeout(BOUND):
        assert await waiter
    await write(ledger, after(one, Happening.NOTE))
    assert (await ledger.action("acme", "a1")).version == 2


async def test_a_server_that_is_halted_is_noticed(
    lone: tuple[Postgresql, SqlLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing breaks then: the connection stays, and says nothing."""
    server, ledger = lone
    monkeypatch.setattr(ear, "ANSWERS_WITHIN", 0.5)
    await listening(ledger)
    with server.halted():
        await away(ledger)
    async with asyncio.timeout(BOUND):
        while not ledger.available:
            await asyncio.sleep(0.01)
    await begun(ledger, "a1")


# --- how it travels ---


NEWS = [
    News(), News(frozenset({"a1"})), News(frozenset({"a1", "b2"}), stirring=True), EVERYTHING, News(None)
]  # fmt: skip


@pytest.mark.parametrize("news", NEWS, ids=str)
def test_news_arrive_as_they_were_sent(news: News) -> None:
    assert News.heard(news.payload()) == news


@pytest.mark.parametrize("odd", ["", "a b", "!", "*", "\x00", "\ud800", "\u00e9", "a\n"])
def test_an_id_that_is_no_plain_word_is_not_spelled_out(odd: str) -> None:
    """A database may refuse it, or it would be taken for something else."""
    assert News(frozenset({"a1", odd})).payload() == "*"


def test_a_notice_is_bounded() -> None:
    news = News(frozenset(f"{number:08}" for number in range(10_000)), stirring=True)
    assert len(news.payload().encode()) <= LONGEST
    assert News.heard(news.payload()) == replace(EVERYTHING, switched=False)
