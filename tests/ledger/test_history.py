"""The history: its filters, its pages, and that they hold still while new actions arrive."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from takeback.core.action import Target
from takeback.core.states import Happening
from takeback.core.vocabulary import Status, Verified
from takeback.ledger import SqlLedger
from takeback.ports import Change, HistoryQuery, LedgerFailure

from .stories import (
    NOW,
    after,
    an_item,
    first,
    ids,
    succeeded,
    write,
)


async def test_the_history_filters(ledger: SqlLedger) -> None:
    await succeeded(ledger, "a1", run="r2", tool="close_ticket")
    await write(ledger, first("a2", targets=(Target(type="order", id="9", label="Straße 100%", resource="shop/9"),)))
    await write(ledger, first("a3", Happening.ASK, upstream="crm"))
    assert await ids(ledger) == ["a3", "a2", "a1"]
    assert await ids(ledger, run="r2") == ["a1"]
    assert await ids(ledger, statuses=(Status.SUCCEEDED, Status.RUNNING)) == ["a2", "a1"]
    assert await ids(ledger, tool="update_ticket") == ["a3", "a2"]
    assert await ids(ledger, tool="crm.update_ticket") == ["a3"]
    for target in ("9", "order:9", "shop/9"):
        assert await ids(ledger, target=target) == ["a2"]
    assert await ids(ledger, target="order") == []
    assert await ids(ledger, run="r2", statuses=(Status.RUNNING,)) == []


FOUND = {
    "STRASSE": ["a2"],
    "100%": ["a2"],
    "1%0": [],
    "_icket": [],
    "CLOSE": ["a1"],
    "T-A1": ["a1"],
    "helpdesk.": ["a2", "a1"],
    "": ["a2", "a1"],
    "\x00": [],
    "\x1a": [],
    "'\\/": [],
    "x" * 1000: [],
}


async def test_text_is_found_in_tool_target_and_label(ledger: SqlLedger) -> None:
    await succeeded(ledger, "a1", tool="close_ticket")
    await write(ledger, first("a2", targets=(Target(type="order", id="9", label="Straße 100%"),)))
    assert {text: await ids(ledger, text=text) for text in FOUND} == FOUND


async def test_a_text_to_search_for_has_a_bound(ledger: SqlLedger) -> None:
    with pytest.raises(LedgerFailure, match="1000 characters"):
        await ids(ledger, text="x" * 1001)


async def test_what_needs_attention(ledger: SqlLedger) -> None:
    await succeeded(ledger, "fine")
    await write(ledger, first("asked", Happening.ASK))
    lost = first("lost")
    await write(ledger, lost, after(lost, Happening.LOSE))
    odd = first("odd")
    await write(ledger, odd, after(odd, Happening.FAIL, in_force=True, verified=Verified.MISMATCH))
    over = first("over")
    await write(ledger, over, after(over, Happening.FAIL, in_force=False, verified=Verified.MISMATCH))
    queued = await succeeded(ledger, "queued")
    item = an_item("q1", action=queued.id)
    await ledger.commit(Change(queue=(item, an_item("q2", action="fine", closed_at=NOW)), tenant="acme"))
    assert await ids(ledger, needs_attention=True) == ["queued", "odd", "lost", "asked"]
    await ledger.commit(Change(queue=(replace(item, version=2, closed_at=NOW),), tenant="acme"))
    assert await ids(ledger, needs_attention=True) == ["odd", "lost", "asked"]


async def test_pages_are_stable_while_actions_arrive(ledger: SqlLedger) -> None:
    for n in range(10):
        await write(ledger, first(f"a{n}"))
    seen: list[str] = []
    cursor: str | None = None
    for arriving in range(100):
        page = await ledger.history(HistoryQuery(tenant="acme", limit=3, cursor=cursor))
        seen += [action.id for action in page.actions]
        await write(ledger, first(f"new{arriving}"))
        if (cursor := page.cursor) is None:
            break
    assert seen == [f"a{n}" for n in reversed(range(10))]


async def test_the_last_page_says_so(ledger: SqlLedger) -> None:
    for n in range(4):
        await write(ledger, first(f"a{n}"))
    page = await ledger.history(HistoryQuery(tenant="acme", limit=2))
    assert page.cursor is not None
    last = await ledger.history(HistoryQuery(tenant="acme", limit=2, cursor=page.cursor))
    assert ([action.id for action in last.actions], last.cursor) == (["a1", "a0"], None)
    assert len((await ledger.history(HistoryQuery(tenant="acme", limit=-5))).actions) == 1


async def test_a_cursor_that_is_none_is_refused(ledger: SqlLedger) -> None:
    for cursor in ("", "x", "aDE_", "!!", "ä", "aA", "MTIz", "aDk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"):
        with pytest.raises(LedgerFailure, match="cursor"):
            await ledger.history(HistoryQuery(tenant="acme", cursor=cursor))


async def test_the_order_of_the_history_is_the_order_of_beginning(ledger: SqlLedger) -> None:
    await asyncio.gather(*(write(ledger, first(f"a{n}")) for n in range(30)))
    numbers = [int(found[1:]) for found in await ids(ledger, limit=100)]
    assert all(newer > older for newer, older in pairwise(numbers))
