"""What runs saw at reads: the newest counts, each run and tenant has its own, and retention takes it with its image."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from takeback.core.policy.schema import Retention
from takeback.ledger import SqlLedger, access
from takeback.ledger.images import SLACK
from takeback.ledger.prune import BATCH
from takeback.ports import AccessEntry, LedgerFailure

from .raw import sql
from .stories import NOW, a_read, first, image, sha, write

DAY = timedelta(days=1)
KEPT = Retention(images=DAY)


async def saw(ledger: SqlLedger, place: str = "x", run: str = "r1", tenant: str = "acme") -> bytes | None:
    found = await ledger.sighting(tenant, run, sha(place))
    return None if found is None else found.content


async def test_what_was_logged_is_known_at_once(ledger: SqlLedger) -> None:
    await ledger.log_access(a_read("one"))
    assert await ledger.sighting("acme", "r1", sha("x")) == a_read("one").seen


async def test_what_is_being_written_at_that_moment_is_waited_for(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, going = asyncio.Event(), asyncio.Event()
    plain = ledger._access._write

    async def held(entries: list[AccessEntry]) -> None:
        begun.set()
        await going.wait()
        await plain(entries)

    monkeypatch.setattr(ledger._access, "_write", held)
    await ledger.log_access(a_read("one"))
    async with asyncio.timeout(10):
        await begun.wait()
        asking = asyncio.create_task(saw(ledger))
        await asyncio.sleep(0)
        going.set()
        assert await asking == b'"one"'


async def test_the_newest_counts_in_whatever_order_it_comes(ledger: SqlLedger, other: SqlLedger) -> None:
    newer = NOW + timedelta(seconds=1)
    await ledger.log_access(a_read("new", newer))
    assert await saw(ledger) == b'"new"'
    for value, at in (("old", NOW), ("older", NOW - DAY)):
        await other.log_access(a_read(value, at))
    assert await saw(other) == b'"new"'
    for value, at in (("newest", newer + DAY), ("in between", newer + timedelta(hours=1))):  # in one batch
        await other.log_access(a_read(value, at))
    assert await saw(other) == b'"newest"'
    assert await saw(ledger) == b'"newest"'


async def test_each_place_run_and_tenant_has_its_own(ledger: SqlLedger) -> None:
    for entry in (a_read("a"), a_read("b", place="y"), a_read("c", run="r2"), a_read("d", tenant="zeta")):
        await ledger.log_access(entry)
    assert [await saw(ledger), await saw(ledger, "y"), await saw(ledger, run="r2")] == [b'"a"', b'"b"', b'"c"']
    assert await saw(ledger, tenant="zeta") == b'"d"'
    assert [await saw(ledger, "z"), await saw(ledger, "y", run="r2"), await saw(ledger, tenant="")] == [None] * 3


async def test_a_read_that_nobody_asks_about_leaves_its_line_only(ledger: SqlLedger, url: str) -> None:
    await ledger.log_access(replace(a_read("one"), seen=None))
    assert await saw(ledger) is None
    assert await sql(url, "SELECT count(*) FROM access_log") == [(1,)]
    assert await sql(url, "SELECT count(*) FROM images") == [(0,)]


async def test_it_goes_when_its_image_does(ledger: SqlLedger, other: SqlLedger, url: str) -> None:
    await ledger.log_access(a_read("old"))
    await ledger.log_access(a_read("young", NOW + 2 * DAY, "y"))
    assert await saw(ledger) == b'"old"'
    await other.prune(KEPT, NOW + DAY + SLACK - timedelta(seconds=1))
    assert await saw(ledger) is None, "it goes no later than its image"
    await other.prune(KEPT, NOW + DAY + SLACK + timedelta(seconds=1))
    assert await saw(ledger, "y") == b'"young"'
    assert await sql(url, f"SELECT length(content) FROM images WHERE digest = '{image('old')[0]}'") == [(0,)]
    assert await sql(url, "SELECT count(*) FROM sightings") == [(1,)]


async def test_what_was_seen_is_unknown_without_its_image(ledger: SqlLedger, url: str) -> None:
    await ledger.log_access(a_read("one"))
    assert await saw(ledger) is not None
    await sql(url, "UPDATE images SET pruned_at = 1, content = substr(content, 1, 0)")
    assert await saw(ledger) is None


async def test_a_pruned_image_comes_back_when_the_same_is_seen_again(ledger: SqlLedger) -> None:
    await ledger.log_access(a_read("same"))
    assert await saw(ledger) is not None
    await ledger.prune(KEPT, NOW + 3 * DAY)
    await ledger.log_access(a_read("same", NOW + 3 * DAY))
    assert await saw(ledger) == b'"same"'


async def test_an_image_that_an_action_needs_stays_when_what_was_seen_goes(ledger: SqlLedger) -> None:
    digest, content = image("both")
    await write(ledger, first("a1", before=digest), images={digest: content})  # running
    await ledger.log_access(a_read("both"))
    assert await saw(ledger) == content
    await ledger.prune(KEPT, NOW + 3 * DAY)
    assert await saw(ledger) is None
    assert await ledger.image(digest) == content


async def test_many_go_bit_by_bit_and_without_retention_none(ledger: SqlLedger, url: str) -> None:
    for number in range(BATCH + 5):
        await ledger.log_access(a_read("same", place=f"p{number}"))
    assert await saw(ledger, "p0") is not None
    await ledger.prune(Retention(), NOW + 99 * DAY)
    await ledger.prune(KEPT, NOW + 99 * DAY, dry_run=True)
    assert await sql(url, "SELECT count(*) FROM sightings") == [(BATCH + 5,)]
    await ledger.prune(KEPT, NOW + 99 * DAY, batches=1)
    assert await sql(url, "SELECT count(*) FROM sightings") == [(5,)]
    await ledger.prune(KEPT, NOW + 99 * DAY)
    assert await sql(url, "SELECT count(*) FROM sightings") == [(0,)]


async def test_a_damaged_one_is_not_returned(ledger: SqlLedger, url: str) -> None:
    await ledger.log_access(a_read("one"))
    assert await saw(ledger) is not None
    await sql(url, "UPDATE images SET size = 3000")
    with pytest.raises(LedgerFailure, match="damaged"):
        await saw(ledger)


async def test_while_the_database_fails_what_was_seen_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[AccessEntry] = []
    fails = True

    async def write_(entries: Sequence[AccessEntry]) -> None:
        if fails:
            raise LedgerFailure("the database does not answer")
        written.extend(entries)

    monkeypatch.setattr(access, "_MOST_BYTES", 25)
    log = access.AccessLog(write_)
    for number in range(4):
        log.add(a_read("x" * 8, place=f"p{number}"))  # ten bytes each
    await log.flush()
    fails = False
    await log.close()
    assert [entry.seen is not None for entry in written] == [False, False, True, True]
