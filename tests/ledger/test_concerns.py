"""What may pause a run, and what else is going on in it, as the ledger finds it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from takeback.core.queue import Cause
from takeback.core.states import Happening
from takeback.core.vocabulary import Origin, Risk
from takeback.ledger import SqlLedger
from takeback.ports import AccessEntry, Change
from tests.ledger.stories import NOW, a_run, after, an_item, approach, first, settled, sha, succeeded, write


async def concerns(ledger: SqlLedger, run: str = "r1", tenant: str = "acme") -> list[tuple[str, Cause, str | None]]:
    """As each write of the run comes to know them; those who look at the run find the same."""
    standing = await ledger.approach(approach("h1", run=run, tenant=tenant))
    [facts] = await ledger.facts_of_runs((a_run(run, tenant=tenant),))
    assert set(facts.concerns) == set(standing.concerns)
    return sorted((one.action, one.cause, one.item) for one in standing.concerns)


async def wrong(ledger: SqlLedger, id_: str, cause: Cause, **given: Any) -> None:
    """An action that had an effect and did not verify, with its entry."""
    running = first(id_, risk=Risk.HIGH, **given)
    await write(ledger, running)
    queued = an_item(f"q{id_}", action=id_, cause=cause, risk=Risk.HIGH, run=running[1].run, tenant=running[1].tenant)
    await write(ledger, after(running, Happening.FAIL, in_force=True), queue=(queued,))


@pytest.mark.parametrize("cause", list(Cause))
async def test_an_open_entry_is_a_concern_where_the_world_may_not_be_as_believed(
    ledger: SqlLedger, cause: Cause
) -> None:
    await wrong(ledger, "a1", cause)
    worries = cause in {Cause.MISMATCH, Cause.PARTIAL, Cause.IN_DOUBT, Cause.UNDO_FAILED}
    assert await concerns(ledger) == ([("a1", cause, "qa1")] if worries else [])
    await ledger.commit(Change(settled=(settled("a1"),), tenant="acme"))
    assert await concerns(ledger) == []


async def test_what_is_in_doubt_is_a_concern_with_and_without_an_entry(ledger: SqlLedger) -> None:
    running = first("a1")
    await write(ledger, running)
    assert await concerns(ledger) == []
    lost = after(running, Happening.LOSE)
    await write(ledger, lost)
    assert await concerns(ledger) == [("a1", Cause.IN_DOUBT, None)]
    given_up = after(lost, Happening.GIVE_UP)
    await write(ledger, given_up, queue=(an_item("q1", cause=Cause.IN_DOUBT),))
    assert await concerns(ledger) == [("a1", Cause.IN_DOUBT, "q1")]
    await write(ledger, after(given_up, Happening.FAIL, in_force=False))
    assert await concerns(ledger) == []


async def test_what_was_in_doubt_and_took_effect_stays_one_until_its_entry_is_closed(ledger: SqlLedger) -> None:
    running = first("a1")
    lost = after(running, Happening.LOSE)
    await write(ledger, running, lost, queue=(an_item("q1", cause=Cause.IN_DOUBT),))
    await write(ledger, after(lost, Happening.FAIL, in_force=True))
    assert await concerns(ledger) == [("a1", Cause.IN_DOUBT, "q1")]


async def test_each_run_and_tenant_has_its_own(ledger: SqlLedger) -> None:
    await wrong(ledger, "a1", Cause.MISMATCH)
    await wrong(ledger, "a2", Cause.MISMATCH, run="r2")
    await ledger.open_run(a_run(tenant="zeta"))
    await wrong(ledger, "a3", Cause.MISMATCH, tenant="zeta")
    assert [await concerns(ledger, run) for run in ("r1", "r2", "r3")] == [
        [("a1", Cause.MISMATCH, "qa1")], [("a2", Cause.MISMATCH, "qa2")], []
    ]  # fmt: skip
    assert await concerns(ledger, tenant="zeta") == [("a3", Cause.MISMATCH, "qa3")]
    one, two = await ledger.facts_of_runs((a_run("r2"), a_run("r1")))
    assert ([c.action for c in one.concerns], [c.action for c in two.concerns]) == (["a2"], ["a1"])


async def test_how_risky_it_is_and_since_when(ledger: SqlLedger) -> None:
    await wrong(ledger, "a1", Cause.MISMATCH)
    [found] = (await ledger.approach(approach("h1"))).concerns
    assert (found.risk, found.since) == (Risk.HIGH, NOW)


async def test_what_is_under_way_goes_back_or_waits_is_counted(ledger: SqlLedger) -> None:
    done = await succeeded(ledger, "a1")
    await write(ledger, after(done, Happening.COMPENSATE))
    await write(ledger, first("a2", origin=Origin.UNDO, original="a1"))
    await write(ledger, first("a3", Happening.ASK))
    await succeeded(ledger, "a4")
    await write(ledger, first("a5", run="r2"))
    [facts] = await ledger.facts_of_runs((a_run(),))
    assert (facts.unsettled, facts.going_back) == (3, 1)
    assert await ledger.facts_of_runs(()) == []


async def test_a_run_was_active_when_it_was_last_called_or_something_happened_to_a_call(
    ledger: SqlLedger, other: SqlLedger
) -> None:
    run = a_run()
    await ledger.open_run(run)
    [facts] = await ledger.facts_of_runs((run,))
    assert facts.active_at == run.active_at
    action = await succeeded(ledger, "a1")
    [facts] = await ledger.facts_of_runs((run,))
    assert facts.active_at == action.updated_at > run.active_at
    read = action.updated_at + timedelta(minutes=1)
    entry = AccessEntry("acme", "r1", "ann", "helpdesk", "get_ticket", read, ok=True, arguments_digest=sha("x"))
    await ledger.log_access(entry)
    await ledger.close()  # what was read is written a little later, and before the end
    [facts, second] = await other.facts_of_runs((run, replace(run, id="r2")))
    assert (facts.active_at, second.active_at) == (read, run.active_at)
