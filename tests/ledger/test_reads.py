"""What belongs to actions: approvals, runs, the recovery queue, images, secrets, the access log; and waiting."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from takeback.core.run import ApprovalStatus
from takeback.core.states import Happening
from takeback.ledger import SqlLedger, store
from takeback.ledger.images import LARGEST
from takeback.ports import AccessEntry, Change, LedgerFailure, NotFound, Stale

from .raw import sql
from .stories import (
    NOW,
    a_run,
    after,
    an_approval,
    an_item,
    first,
    image,
    sha,
    succeeded,
    write,
)

# --- approvals, runs, the queue ---


async def test_an_approval_is_used_once(ledger: SqlLedger, other: SqlLedger) -> None:
    """It is consumed in the change that claims its action, and only one guard can claim."""
    for n in range(8):
        asked = first(f"a{n}", Happening.ASK, approval=f"p{n}")
        approved = after(asked, Happening.APPROVE)
        given = an_approval(f"p{n}", action=f"a{n}", status=ApprovalStatus.APPROVED, decided_at=NOW, decided_by="eve")
        await write(ledger, asked, approved, approvals=(given,))
        claimed = after(approved, Happening.CLAIM)
        uses = [replace(given, status=ApprovalStatus.CONSUMED, reason=word) for word in ("left", "right")]
        results = await asyncio.gather(
            write(ledger, claimed, approvals=uses[:1]),
            write(other, claimed, approvals=uses[1:]),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["NoneType", "Stale"]
        assert await ledger.approval("acme", f"p{n}") == uses[0 if results[0] is None else 1]


async def test_of_two_decisions_the_first_stands(ledger: SqlLedger, other: SqlLedger) -> None:
    asked = first("a1", Happening.ASK, approval="p1")
    await write(ledger, asked, approvals=(an_approval("p1"),))
    assert await ledger.approvals("acme") == [an_approval("p1")]
    denied = an_approval("p1", status=ApprovalStatus.DENIED, decided_at=NOW, decided_by="eve", reason="no")
    await write(other, after(asked, Happening.DENY), approvals=(denied,))
    with pytest.raises(Stale):
        await write(
            ledger, after(asked, Happening.APPROVE), approvals=(replace(denied, status=ApprovalStatus.APPROVED),)
        )
    assert await ledger.approval("acme", "p1") == denied


async def test_lists_are_in_order(ledger: SqlLedger) -> None:
    hours = [NOW + timedelta(hours=n) for n in (2, 0, 1)]
    asked = tuple(an_approval(f"p{n}", requested_at=at) for n, at in enumerate(hours))
    items = tuple(an_item(f"q{n}", action=f"a{n}", opened_at=at) for n, at in enumerate(hours))
    runs = tuple(a_run(f"r{n}", active_at=at) for n, at in enumerate(hours))
    await ledger.commit(Change(approvals=asked, queue=items, runs=runs, tenant="acme"))
    assert [approval.id for approval in await ledger.approvals("acme")] == ["p1", "p2", "p0"]
    assert [item.id for item in await ledger.queue("acme")] == ["q1", "q2", "q0"]
    assert [run.id for run in await ledger.runs("acme")] == ["r0", "r2", "r1"]
    assert [run.id for run in await ledger.runs("acme", limit=2)] == ["r0", "r2"]


# --- images, secrets, the access log ---


async def test_an_image_is_stored_once_and_compressed(ledger: SqlLedger, other: SqlLedger, url: str) -> None:
    digest, content = image({"text": "long " * 2000})
    stores = (ledger, other)
    await asyncio.gather(*(write(stores[n % 2], first(f"a{n}"), images={digest: content}) for n in range(6)))
    (row,) = await sql(url, "SELECT digest, size, length(content) FROM images")
    assert row[:2] == (digest, len(content))
    assert row[2] < len(content) / 20
    assert await other.image(digest) == content


async def test_an_image_has_a_bound(ledger: SqlLedger) -> None:
    digest, content = image("x" * LARGEST)
    with pytest.raises(LedgerFailure, match="larger"):
        await write(ledger, first("a1"), images={digest: content})
    digest, content = image("x" * (LARGEST - 2))
    await write(ledger, first("a1"), images={digest: content})
    assert await ledger.image(digest) == content


async def test_a_damaged_image_is_not_returned(ledger: SqlLedger, url: str) -> None:
    for damage in ("size = 3", "size = 300", "content = substr(content, 3)", "content = substr(content, 1, 4)"):
        digest, content = image(["one", "two", damage])
        await ledger.commit(Change(images={digest: content}))
        await sql(url, f"UPDATE images SET {damage} WHERE digest = '{digest}'")
        with pytest.raises(LedgerFailure, match="damaged"):
            await ledger.image(digest)


async def test_a_secret_is_the_same_for_everybody_and_for_ever(ledger: SqlLedger, other: SqlLedger) -> None:
    for n in range(8):
        made = await asyncio.gather(*(store.secret(f"s{n}") for store in (ledger, other, ledger, other)))
        assert len(set(made)) == 1
        assert len(made[0]) == 32
    assert len({await other.secret(f"s{n}") for n in range(8)}) == 8


async def test_reads_are_logged_in_batches(ledger: SqlLedger, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    written = asyncio.Event()
    plain = ledger._access._write

    async def counted(entries: list[AccessEntry]) -> None:
        await plain(entries)
        batches.append(len(entries))
        written.set()

    monkeypatch.setattr(ledger._access, "_write", counted)
    entry = AccessEntry("acme", "r1", "ann", "helpdesk", "get_ticket", NOW, ok=True, arguments_digest=sha("x"))
    begun = asyncio.get_running_loop().time()
    for n in range(50):
        await ledger.log_access(replace(entry, run=f"r{n}"))
    async with asyncio.timeout(10):
        await written.wait()
    assert batches == [50]
    assert asyncio.get_running_loop().time() - begun < 2
    rows = await sql(url, "SELECT tenant, run, principal, upstream, tool, ok FROM access_log ORDER BY ord")
    assert rows[3] == ("acme", "r3", "ann", "helpdesk", "get_ticket", 1)
    assert [row[1] for row in rows] == [f"r{n}" for n in range(50)]


async def test_what_was_logged_is_written_before_closing(ledger: SqlLedger, url: str) -> None:
    entry = AccessEntry("acme", "r1", "ann", "helpdesk", "get_ticket", NOW, ok=False, arguments_digest=sha("x"))
    await ledger.log_access(entry)
    await ledger.close()
    await ledger.log_access(entry)
    assert await sql(url, "SELECT ok FROM access_log") == [(0,)]
    assert [task.get_name() for task in asyncio.all_tasks() if "takeback" in task.get_name()] == []


async def test_what_is_not_there_is_not_found(ledger: SqlLedger) -> None:
    for missing in (
        ledger.action("acme", "a1"),
        ledger.events("acme", "a1"),
        ledger.image(sha("x")),
        ledger.run("acme", "r1"),
        ledger.approval("acme", "p1"),
    ):
        with pytest.raises(NotFound):
            await missing


# --- waiting ---


async def test_a_waiter_hears_of_a_commit_at_once(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_POLL_SECONDS", 60)
    begun = first("a1")
    await write(ledger, begun)
    waiter = asyncio.create_task(ledger.wait_for_change("acme", "a1", 1, timeout=60))
    await write(ledger, first("another"))
    assert not waiter.done()
    await write(ledger, after(begun, Happening.NOTE))
    async with asyncio.timeout(5):
        await waiter


async def test_a_waiter_hears_of_another_guards_commit(ledger: SqlLedger, other: SqlLedger) -> None:
    begun = first("a1")
    await write(ledger, begun)
    waiter = asyncio.create_task(ledger.wait_for_change("acme", "a1", 1, timeout=60))
    await write(other, after(begun, Happening.NOTE))
    async with asyncio.timeout(5):
        await waiter


async def test_a_waiter_does_not_wait_for_what_has_happened_nor_for_ever(ledger: SqlLedger) -> None:
    await succeeded(ledger, "a1")
    async with asyncio.timeout(5):
        await ledger.wait_for_change("acme", "a1", 1, timeout=60)
        for tenant, timeout in (("acme", 0), ("acme", -1), ("acme", 0.05), ("zeta", 0.05)):
            await ledger.wait_for_change(tenant, "a1", 2, timeout=timeout)
    assert ledger._watch._waiting == {}
