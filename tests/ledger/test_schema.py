"""The constraints of the tables repeat the core's invariants: the database refuses by itself what must not be."""

from __future__ import annotations

from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy.exc import IntegrityError

from takeback.core.policy.schema import Retention
from takeback.core.queue import Cause
from takeback.core.vocabulary import Origin
from takeback.ledger import SqlLedger
from takeback.ledger.schema import metadata
from takeback.ports import Change

from .raw import sql
from .stories import (
    NOW,
    a_checkpoint,
    a_comment,
    a_freeze,
    a_read,
    a_run,
    an_approval,
    an_item,
    an_unwinding,
    first,
    image,
    sha,
    succeeded,
    write,
)

TENANTED = sorted(table.name for table in metadata.tables.values() if "tenant" in table.c)
NAMED = sorted(
    {
        "actions",
        "runs",
        "approvals",
        "recovery_items",
        "recovery_comments",
        "checkpoints",
        "counters",
        "access_log",
        "sightings",
        "unwindings",
        "scopes",
        "freezes",
        "tombstones",
    }
)


@pytest_asyncio.fixture
async def rows(ledger: SqlLedger, url: str) -> str:
    """The address of a database with a row in every table that has a tenant; two actions."""
    later = NOW + timedelta(days=900)
    await succeeded(ledger, "a1", client_key="mine", origin=Origin.REPEAT, original="a0")
    await succeeded(ledger, "a2", client_key="other", origin=Origin.REPEAT, original="a9")
    everything = Change(
        runs=(a_run(),),
        approvals=(an_approval("p1"),),
        queue=(an_item("q1"),),
        comments=(a_comment("n1"),),
        checkpoints=(a_checkpoint("c1"),),
        unwindings=(an_unwinding("u1"),),
        images=dict([image({"n": 1})]),
        counters={"writes": 1},
        tenant="acme",
    )
    await ledger.commit(everything)
    await ledger.log_access(a_read("x", NOW + timedelta(days=900)))
    await succeeded(ledger, "a3", run="r0")
    await ledger.open_run(a_run("r0"))
    await ledger.commit(Change(queue=(an_item("q2", cause=Cause.LATE),), tenant="acme"))
    await ledger.prune(Retention(runs=timedelta(days=800)), later)
    await ledger.shared_run("acme", "a scope", "r1", NOW, timedelta(minutes=30))
    await ledger.freeze(a_freeze("z1"))
    await ledger.freeze(a_freeze("z2", name="desk"))
    await ledger.close()
    return url


COPY = "INSERT INTO events (action, seq, happening, at, actor, changes, detail, leaf)"
REST = "happening, at, actor, changes, detail, leaf FROM events"
SECRET = "SELECT 's', content FROM images"
REFUSED = {
    "a status that is none": "UPDATE actions SET status = 'done'",
    "no status": "UPDATE actions SET status = NULL",
    "a version below one": "UPDATE actions SET version = 0",
    "a generation below zero": "UPDATE actions SET generation = -1",
    "one id twice": "UPDATE actions SET id = 'a1' WHERE id = 'a2'",
    "one key twice": f"UPDATE actions SET key = '{sha('key a1')}'",
    "one generation twice": f"UPDATE actions SET operation = '{sha('operation a1')}'",
    "a second successor": "UPDATE actions SET original = 'a0'",
    "a client's key twice": "UPDATE actions SET client_key = 'mine'",
    "a forked event": f"{COPY} SELECT action, seq, {REST}",
    "an event before the first": f"{COPY} SELECT action, 0, {REST} WHERE seq = 1",
    "an event of no action": f"{COPY} SELECT 'none', seq, {REST} WHERE action = 'a1'",
    "a target of no action": "UPDATE action_targets SET action = 'none' WHERE action = 'a1'",
    "one leaf twice": "UPDATE events SET leaf = 7",
    "an action gone from under its events": "DELETE FROM actions WHERE id = 'a1'",
    "a run's status that is none": "UPDATE runs SET status = 'lost'",
    "an approval's status that is none": "UPDATE approvals SET status = 'maybe'",
    "a risk that is none": "UPDATE recovery_items SET risk = 'huge'",
    "two open entries for one action and cause": "UPDATE recovery_items SET cause = 'late'",
    "one thing frozen twice": "UPDATE freezes SET name = 'desk'",
    "a kind of freeze that is none": "UPDATE freezes SET kind = 'galaxy'",
    "a freeze of nothing": "UPDATE freezes SET name = ''",
    "one image twice": "INSERT INTO images (digest, content, size) SELECT digest, content, size FROM images",
    "one secret twice": f"INSERT INTO secrets (name, value) {SECRET} UNION ALL {SECRET}",
}
ALLOWED = {
    "a legal status": "UPDATE actions SET status = 'failed'",
    "a void second successor": "UPDATE actions SET original = 'a0', status = 'denied'",
    "a client's key of a void action": "UPDATE actions SET client_key = 'mine', status = 'cancelled'",
    "the key of another tenant": f"UPDATE actions SET key = '{sha('key a1')}', tenant = 'zeta' WHERE id = 'a2'",
    "a next event": f"{COPY} SELECT action, seq + 5, {REST}",
    "a second freeze once the first is lifted": "UPDATE freezes SET name = 'desk', lifted_at = 1 WHERE id = 'z1'",
    "a second entry for the cause once the first is closed": "UPDATE recovery_items SET closed_at = 1, cause = 'late'",
    "leaves": "UPDATE events SET leaf = seq WHERE action = 'a1'",
}


async def test_the_database_refuses(rows: str) -> None:
    accepted = [what for what, statement in REFUSED.items() if not await _refused(rows, statement)]
    assert accepted == []


async def _refused(url: str, statement: str) -> bool:
    try:
        await sql(url, statement)
    except IntegrityError:
        return True
    return False


@pytest.mark.parametrize("what", ALLOWED)
async def test_the_database_allows(rows: str, what: str) -> None:
    await sql(rows, ALLOWED[what])


async def test_no_row_is_without_a_tenant(rows: str) -> None:
    missing = [f"UPDATE {table} SET tenant = NULL" for table in TENANTED]
    empty = [f"UPDATE {table} SET tenant = ''" for table in NAMED]
    assert [statement for statement in missing + empty if not await _refused(rows, statement)] == []


def test_every_table_with_a_tenant_is_looked_at() -> None:
    """An action's targets carry its tenant only for their index."""
    assert sorted([*NAMED, "action_targets"]) == TENANTED


async def test_a_row_that_nobody_guards_against_is_still_found(ledger: SqlLedger) -> None:
    """The control of the fixture: what the statements above are run on is really there."""
    await write(ledger, first("a1"))
    assert (await ledger.action("acme", "a1")).key == sha("key a1")
