"""What an agent and a person are told when retention has taken what a call had left, and that nothing is done twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from takeback.core.policy.schema import Retention
from takeback.core.vocabulary import Status
from takeback.guard.worker import Worker
from takeback.testing import GuardForTests, guarded
from tests.guard.test_life import HIGH, failed, said
from tests.guard.world import POLICY, Desk

DAY = timedelta(days=1)
KEPT = Retention(images=DAY, runs=30 * DAY)
PRUNED = POLICY.replace("[upstream.desk]", '[retention]\nimages = "1d"\nruns = "30d"\n\n[upstream.desk]')


async def pruned(guard: GuardForTests, after: timedelta) -> None:
    guard.clock.move(after)
    await guard.ledger.prune(KEPT, guard.clock.now())


async def test_a_call_whose_run_was_pruned_is_refused_and_told_the_way_on(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("charge", {"id": "T-1"})
    await pruned(guard, 31 * DAY)
    again = await guard.call("charge", {"id": "T-1"})
    assert failed(again)
    assert reply.action is not None
    assert f"{reply.action.id} was pruned" in said(again)
    assert "in a new run" in said(again)
    assert desk.charges == ["T-1"]


async def test_a_clients_key_is_held_for_ever(guard: GuardForTests, desk: Desk) -> None:
    key = {"io.takeback/idempotencyKey": "k1"}
    await guard.call("charge", {"id": "T-1"}, meta=key)
    await pruned(guard, 31 * DAY)
    again = await guard.call("charge", {"id": "T-1"}, meta=key)
    assert "another idempotency key" in said(again)
    assert desk.charges == ["T-1"]
    assert not failed(await guard.call("charge", {"id": "T-1"}, meta={"io.takeback/idempotencyKey": "k2"}))


async def test_what_was_pruned_is_neither_undone_nor_repeated_nor_explained(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    await pruned(guard, 31 * DAY)
    undo = await guard.undo(reply.action.id)
    assert not undo.ok
    assert "pruned" in undo.text
    assert desk.effects == 1


async def test_an_undo_without_its_image_says_why(guard: GuardForTests, desk: Desk) -> None:
    reply = await guard.call("set", HIGH)
    assert reply.action is not None
    await pruned(guard, 3 * DAY)
    undo = await guard.undo(reply.action.id)
    assert (undo.ok, undo.outcome) == (False, "refused")
    assert "pruned" in undo.text
    assert desk.effects == 1
    trail = " ".join(one.text for one in await guard.use_cases.explain("acme", reply.action.id))
    assert "pruned" in trail


async def test_a_replay_without_its_result_says_so(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("charge", {"id": "T-1"})
    await pruned(guard, 3 * DAY)
    again = said(await guard.call("charge", {"id": "T-1"}))
    assert "Already done" in again
    assert "pruned" in again
    assert desk.charges == ["T-1"]


async def test_a_set_that_cannot_be_compared_any_more_is_not_done_again(guard: GuardForTests, desk: Desk) -> None:
    await guard.call("set", HIGH)
    await pruned(guard, 3 * DAY)
    again = await guard.call("set", HIGH)
    assert failed(again)
    assert "takeback_repeat" in said(again)
    assert desk.effects == 1


async def test_the_worker_prunes_by_the_policy(tmp_path: Path) -> None:
    desk = Desk()
    async with guarded(PRUNED, [desk.tools], tmp_path) as guard:
        await guard.call("charge", {"id": "T-1"})
        worker = Worker(guard.use_cases.services, "acme")
        assert (await worker.sweep()).pruned.runs == 0
        guard.clock.move(31 * DAY)
        assert (await worker.sweep()).pruned.runs == 1


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["T-1", "T-2"]), st.sampled_from([0, 1, 2, 20, 40])), max_size=8))
def test_whenever_it_is_pruned_nothing_is_done_twice(steps: list[tuple[str, int]]) -> None:
    async def play(folder: Path) -> None:
        desk = Desk()
        async with guarded(PRUNED, [desk.tools], folder) as guard:
            for target, days in steps:
                reply = await guard.call("charge", {"id": target})
                assert reply.action is None or reply.action.status is Status.SUCCEEDED
                await pruned(guard, days * DAY)
            assert all(times == 1 for times in Counter(desk.charges).values())
            assert set(desk.charges) == {target for target, _ in steps}

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
