"""A tenant sees, and changes, nothing of another's. Every read of the port has its line here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Does, Origin
from takeback.ledger import SqlLedger
from takeback.ports import (
    AccessLedger,
    Change,
    HistoryQuery,
    Ledger,
    LedgerFailure,
    NotFound,
    QueueLedger,
    QueueQuery,
)

from .stories import (
    NOW,
    a_checkpoint,
    a_comment,
    a_freeze,
    a_read,
    a_run,
    after,
    an_approval,
    an_item,
    an_unwinding,
    approach,
    first,
    image,
    settled,
    sha,
    succeeded,
    write,
)


@pytest_asyncio.fixture
async def inhabited(ledger: SqlLedger) -> SqlLedger:
    """A ledger in which one tenant, acme, has everything."""
    await succeeded(ledger, "a1", client_key="mine")
    await succeeded(ledger, "a2", targets=first("a1")[1].targets, origin=Origin.REPEAT, original="a1")
    await succeeded(ledger, "a3", origin=Origin.UNDO, original="a1")
    await write(ledger, first("a4", targets=first("a1")[1].targets))
    await ledger.commit(
        Change(
            runs=(a_run(owner="g1"),),
            approvals=(an_approval("p1"),),
            queue=(an_item("q1"),),
            comments=(a_comment("n1"),),
            checkpoints=(a_checkpoint("c1"),),
            unwindings=(an_unwinding("u1"),),
            counters={"writes": 3},
            tenant="acme",
        )
    )
    shared = {"targets": first("a1")[1].targets, "sent_at": NOW}
    await succeeded(ledger, "a5", does=Does.CREATE, **shared)
    gone = await succeeded(ledger, "a6", does=Does.DELETE, **shared)
    await ledger.freeze(a_freeze("z1"))
    await ledger.log_access(a_read("x"))
    undoing = after(gone, Happening.COMPENSATE)
    await write(ledger, undoing, after(undoing, Happening.RESTORE, in_force=False))
    await succeeded(ledger, "a8", origin=Origin.PLAN, original="w1")
    agreed = first("w1", Happening.ASK, action_class=ActionClass.WORKFLOW, upstream="takeback", tool="plan", targets=())
    await write(ledger, agreed)
    await write(ledger, after(agreed, Happening.APPROVE))
    digest, content = image({"n": 1})
    read_back = await succeeded(ledger, "a7", **shared)
    await write(ledger, after(read_back, Happening.NOTE, after=digest), images={digest: content})
    return ledger


async def _history(ledger: SqlLedger, tenant: str, **query: Any) -> Any:
    return (await ledger.history(HistoryQuery(tenant=tenant, **query))).actions


async def worried(ledger: SqlLedger, tenant: str) -> Any:
    [facts] = await ledger.facts_of_runs((a_run("r1", tenant=tenant),))
    return facts.concerns or facts.unsettled


async def entries(ledger: SqlLedger, tenant: str, **query: Any) -> Any:
    return (await ledger.entries(QueueQuery(tenant=tenant, **query), NOW)).entries


SHARED: dict[str, Any] = {"targets": first("a1")[1].targets}
Read = Callable[[SqlLedger, str], Awaitable[Any]]
EMPTY: dict[str, Read] = {
    "history": _history,
    "history by text": lambda ledger, tenant: _history(ledger, tenant, text="T-a1"),
    "history by target": lambda ledger, tenant: _history(ledger, tenant, target="T-a1"),
    "runs": lambda ledger, tenant: ledger.runs(tenant),
    "facts of runs": worried,
    "approvals": lambda ledger, tenant: ledger.approvals(tenant, pending_only=False),
    "queue": lambda ledger, tenant: ledger.queue(tenant, open_only=False),
    "entries": lambda ledger, tenant: entries(ledger, tenant, open_only=False),
    "entries by text": lambda ledger, tenant: entries(ledger, tenant, text="in doubt"),
    "entries by a target": lambda ledger, tenant: entries(ledger, tenant, text="T-a1"),
    "entries by a comment": lambda ledger, tenant: entries(ledger, tenant, text="bank"),
    "items of": lambda ledger, tenant: ledger.items_of(tenant, "a1", open_only=False),
    "comments": lambda ledger, tenant: ledger.comments(tenant, "q1"),
    "checkpoints": lambda ledger, tenant: ledger.checkpoints(tenant, "r1"),
    "named checkpoints": lambda ledger, tenant: ledger.named_checkpoints(tenant, "r1", limit=5),
    "successor": lambda ledger, tenant: ledger.successor(tenant, "a1"),
    "compensations": lambda ledger, tenant: ledger.compensations(tenant, "a1"),
    "later writes": lambda ledger, tenant: ledger.later_writes(replace(first("a1")[1], tenant=tenant)),
    "newest write": lambda ledger, tenant: ledger.newest_write(replace(first("a1")[1], tenant=tenant)),
    "standing after": lambda ledger, tenant: ledger.standing_after(replace(first("a1")[1], tenant=tenant)),
    "deletions taken back": lambda ledger, tenant: ledger.deletions_taken_back(replace(first("a1")[1], tenant=tenant)),
    "earlier writes": lambda ledger, tenant: ledger.earlier_writes(replace(first("a7")[1], tenant=tenant, **SHARED)),
    "creations": lambda ledger, tenant: ledger.creations(tenant, "ticket", ["T-a1"]),
    "freezes": lambda ledger, tenant: ledger.freezes(tenant),
    "frozen": lambda ledger, tenant: ledger.frozen(tenant),
    "sighting": lambda ledger, tenant: ledger.sighting(tenant, "r1", sha("x")),
    "steps": lambda ledger, tenant: ledger.steps(tenant, "w1"),
    "unverified": lambda ledger, tenant: ledger.unverified(tenant),
    "agreed plans": lambda ledger, tenant: ledger.agreed_plans(tenant, NOW + timedelta(days=1)),
    "unwindings": lambda ledger, tenant: ledger.unwindings(tenant, "r1"),
    "unattended": lambda ledger, tenant: ledger.unattended(tenant, NOW + timedelta(days=1)),
    "went on": lambda ledger, tenant: ledger.went_on(tenant, "r1", NOW - timedelta(seconds=1)),
    "broken off": lambda ledger, tenant: ledger.broken_off(tenant, "ann", "", owner="g2", since=NOW),
}
MISSING: dict[str, Read] = {
    "action": lambda ledger, tenant: ledger.action(tenant, "a1"),
    "events": lambda ledger, tenant: ledger.events(tenant, "a1"),
    "run": lambda ledger, tenant: ledger.run(tenant, "r1"),
    "approval": lambda ledger, tenant: ledger.approval(tenant, "p1"),
    "entry": lambda ledger, tenant: ledger.entry(tenant, "q1", NOW),
    "checkpoint": lambda ledger, tenant: ledger.checkpoint(tenant, "c1"),
}


async def test_another_tenant_finds_nothing(inhabited: SqlLedger) -> None:
    assert [name for name, read in EMPTY.items() if not await read(inhabited, "acme")] == []
    for stranger in ("zeta", "", "ACME", "acme "):
        assert [name for name, read in EMPTY.items() if await read(inhabited, stranger)] == []


async def test_for_another_tenant_it_is_not_there(inhabited: SqlLedger) -> None:
    for read in MISSING.values():
        assert await read(inhabited, "acme")
        for stranger in ("zeta", "", "ACME"):
            with pytest.raises(NotFound):
                await read(inhabited, stranger)


def test_every_read_of_the_port_has_its_line() -> None:
    own = {"approach", "commit", "release", "renew", "log_access", "open_run", "image", "secret", "wait_for_change"}
    own |= {"holders", "is_held", "let_go", "shared_run", "end_runs", "prune", "wait_for_any", "available"}
    own |= {"freeze", "lift"}
    reads = {
        name for name in (*vars(Ledger), *vars(QueueLedger), *vars(AccessLedger)) if not name.startswith("_")
    } - own
    assert {name.replace(" ", "_") for name in [*EMPTY, *MISSING]} >= reads


async def test_an_approach_stands_in_its_own_tenant(inhabited: SqlLedger) -> None:
    given: dict[str, Any] = {
        "operation": first("a1")[1].operation, "client_key": "mine", "principal": "ann", "counters": ("writes",)
    }  # fmt: skip
    own = await inhabited.approach(approach("h1", "acme/ticket:T-a1", **given))
    assert all(found is not None for found in (own.earlier, own.by_client_key, own.run_status))
    assert ([action.id for action in own.occupants], own.counters, own.newest_generation) == (["a4"], {"writes": 3}, 0)
    for name in ("zeta/ticket:T-a1", "ticket:T-a1"):
        strange = await inhabited.approach(approach("h2", name, tenant="zeta", **given))
        assert strange.refused_by is None
        assert (strange.earlier, strange.by_client_key, strange.run_status) == (None, None, None)
        assert (strange.occupants, strange.counters, strange.newest_generation) == ((), {"writes": 0}, -1)


async def test_approaches_of_two_tenants_in_one_batch_are_kept_apart(inhabited: SqlLedger) -> None:
    own, strange = await asyncio.gather(
        inhabited.approach(approach("h1", "ticket:T-a1", "x")),
        inhabited.approach(approach("h2", "ticket:T-a1", tenant="zeta")),
    )
    assert [action.id for action in own.occupants] == ["a4"]
    assert strange.occupants == ()


async def test_the_same_ids_in_two_tenants_are_two_things(inhabited: SqlLedger) -> None:
    theirs = Change(
        runs=(a_run(tenant="zeta", request="theirs"),),
        approvals=(an_approval("p1", tenant="zeta", reason="theirs"),),
        queue=(an_item("q1", tenant="zeta", why="theirs"),),
        checkpoints=(a_checkpoint("c1", tenant="zeta", name="theirs"),),
        counters={"writes": 10},
        tenant="zeta",
    )
    await inhabited.commit(theirs)
    await inhabited.open_run(a_run(tenant="zeta", request="again"))
    assert await inhabited.runs("acme") == [a_run(owner="g1")]
    assert await inhabited.runs("zeta") == list(theirs.runs)
    assert await inhabited.approval("acme", "p1") == an_approval("p1")
    assert await inhabited.queue("acme") == [an_item("q1")]
    assert await inhabited.checkpoints("acme", "r1") == [a_checkpoint("c1")]
    assert (await inhabited.approach(approach("h1", counters=("writes",)))).counters == {"writes": 3}


async def test_a_tenant_cannot_move_another_tenants_action(inhabited: SqlLedger) -> None:
    standing = await inhabited.action("acme", "a4")
    event, action = after(standing, Happening.SUCCEED)
    with pytest.raises(LedgerFailure):
        await inhabited.commit(Change(actions=((event, replace(action, tenant="zeta")),), tenant="zeta"))
    with pytest.raises(LedgerFailure):
        await inhabited.commit(Change(actions=((event, action),), tenant="zeta"))
    with pytest.raises(LedgerFailure):  # not even by beginning it anew
        await write(inhabited, first("a4", tenant="zeta"))
    assert await inhabited.action("acme", "a4") == standing


@pytest.mark.parametrize(
    "strange",
    [
        {"runs": (a_run(tenant="zeta"),)},
        {"approvals": (an_approval("p1", tenant="zeta"),)},
        {"queue": (an_item("q1", tenant="zeta"),)},
        {"queue": (an_item("q1", tenant="zeta", version=2),)},
        {"settled": (settled("a1", tenant="zeta"),)},
        {"comments": (a_comment("n1", tenant="zeta"),)},
        {"checkpoints": (a_checkpoint("c1", tenant="zeta"),)},
        {"actions": (first("a1", tenant="zeta"),)},
        {"runs": (a_run(tenant=""),), "tenant": ""},
        {"counters": {"writes": 1}, "tenant": ""},
    ],
    ids=[
        "run",
        "approval",
        "queue",
        "a moved entry",
        "settled",
        "comment",
        "checkpoint",
        "action",
        "nobody's run",
        "nobody's counter",
    ],
)
async def test_a_change_does_not_reach_into_another_tenant(ledger: SqlLedger, strange: dict[str, Any]) -> None:
    with pytest.raises(LedgerFailure, match="tenant"):
        await ledger.commit(Change(**({"tenant": "acme"} | strange)))
    assert [*await ledger.runs("zeta"), *await ledger.queue("zeta"), *await ledger.approvals("zeta")] == []
