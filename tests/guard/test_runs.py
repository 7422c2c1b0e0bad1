"""Runs that go on from one that broke off: they recognise their own retries, and inherit nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from takeback.core.vocabulary import Status
from takeback.guard.runs import BROKEN_OFF_WITHIN, presence
from takeback.ports import OutcomeUnknown
from takeback.testing import GuardForTests, ManualClock, NamedProcesses, guarded
from tests.guard.test_life import HIGH, actions, said
from tests.guard.test_taking_up import Others
from tests.guard.world import POLICY, Desk

CHARGE = {"id": "T-1"}
SLOW = POLICY.replace('lands_within = "1s"', 'lands_within = "1h"')


class Lives:
    """Guards one after another (or side by side) on one ledger; a guard is a process of that name."""

    def __init__(self, folder: Path, stack: AsyncExitStack, policy: str) -> None:
        self.desk, self.gone = Desk(), set[str]()
        self._folder, self._stack, self._policy, self._clock = folder, stack, policy, ManualClock()
        self._count = 0

    async def guard(self, *, client: str = "claude", principal: str = "agent") -> GuardForTests:
        """One more guard, with a connection of that client."""
        self._count += 1
        name = f"life{self._count}"
        guard = await self._stack.enter_async_context(
            guarded(
                self._policy,
                [self.desk.tools],
                self._folder,
                clock=self._clock,
                processes=NamedProcesses(name, self.gone),
            )
        )
        object.__setattr__(guard.use_cases.services, "ids", Others(name))
        guard.caller = replace(guard.caller, run=f"r-{name}", client=client, principal=principal, connected=True)
        return guard

    def dies(self, guard: GuardForTests) -> None:
        self.gone.add(guard.use_cases.services.instance)

    def move(self, span: timedelta) -> None:
        self._clock.move(span)


@asynccontextmanager
async def lives(folder: Path, policy: str = POLICY) -> AsyncIterator[Lives]:
    async with AsyncExitStack() as stack:
        yield Lives(folder, stack, policy)


async def test_a_client_that_comes_back_after_a_crash_recognises_its_retry(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        first = await one.call("charge", CHARGE)
        world.dies(one)
        two = await world.guard()
        again = await two.call("charge", CHARGE)
        assert first.action is not None
        assert again.action is not None
        assert again.action.id == first.action.id
        assert world.desk.charges == ["T-1"]
        assert (await two.ledger.run("acme", two.caller.run)).predecessor == one.caller.run


async def test_what_had_gone_on_after_an_answer_is_not_inherited(tmp_path: Path) -> None:
    """The client asked for something else after it, so it had the answer: the same again is meant anew."""
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("charge", CHARGE)
        await one.call("set", HIGH)
        world.dies(one)
        two = await world.guard()
        await two.call("charge", CHARGE)
        assert world.desk.charges == ["T-1", "T-1"]


async def test_a_read_after_an_answer_proves_that_it_was_taken(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("charge", CHARGE)
        await one.call("get", {"id": "T-1"})
        await one.ledger._access.close()
        world.dies(one)
        two = await world.guard()
        await two.call("charge", CHARGE)
        assert world.desk.charges == ["T-1", "T-1"]


async def test_what_is_unsettled_is_joined(tmp_path: Path) -> None:
    async with lives(tmp_path, SLOW) as world:
        one = await world.guard()
        world.desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
        lost = await one.call("set", HIGH)
        await one.call("set", {"id": "T-2", "priority": "low"})
        world.dies(one)
        two = await world.guard()
        again = await two.call("set", HIGH)
        assert lost.action is not None
        assert again.action is not None
        assert (again.action.id, again.action.status) == (lost.action.id, Status.IN_DOUBT)
        assert world.desk.effects == 1


async def test_a_guard_that_lives_is_nobodys_predecessor(tmp_path: Path) -> None:
    """Two agents of one principal, side by side, do not swallow each other's calls."""
    async with lives(tmp_path) as world:
        one = await world.guard()
        services = one.use_cases.services
        with services.keeper.keeping((await presence(services, "acme")).leases):
            await one.call("charge", CHARGE)
            two = await world.guard()
            await two.call("charge", CHARGE)
            assert world.desk.charges == ["T-1", "T-1"]
            assert (await two.ledger.run("acme", two.caller.run)).predecessor is None


async def test_a_guard_elsewhere_that_gives_no_sign_of_life_any_more_broke_off(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("charge", CHARGE)
        two = await world.guard()  # `one` never said that it was there, and is not known to be gone
        await two.call("charge", CHARGE)
        assert world.desk.charges == ["T-1"]


async def test_a_connection_that_ended_in_good_order_had_its_answers(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("charge", CHARGE)
        await one.ledger.end_runs("acme", one.use_cases.services.instance, one.clock.now())
        two = await world.guard()
        await two.call("charge", CHARGE)
        assert world.desk.charges == ["T-1", "T-1"]


async def test_another_client_or_principal_inherits_nothing(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("charge", CHARGE)
        world.dies(one)
        for who in ({"client": "cursor"}, {"principal": "bob"}):
            other = await world.guard(**who)
            await other.call("charge", CHARGE)
        assert len(world.desk.charges) == 3


async def test_what_broke_off_long_ago_is_over(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("charge", CHARGE)
        world.dies(one)
        world.move(BROKEN_OFF_WITHIN + timedelta(seconds=1))
        two = await world.guard()
        await two.call("charge", CHARGE)
        assert world.desk.charges == ["T-1", "T-1"]


async def test_one_run_goes_on_from_a_broken_one_and_no_second(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("charge", CHARGE)
        world.dies(one)
        two, three = await world.guard(), await world.guard()
        await two.call("set", HIGH)
        await three.call("charge", CHARGE)
        assert (await two.ledger.run("acme", two.caller.run)).predecessor == one.caller.run
        assert (await three.ledger.run("acme", three.caller.run)).predecessor != one.caller.run
        assert world.desk.charges == ["T-1", "T-1"]


async def test_what_failed_before_is_a_new_operation_of_the_new_run(tmp_path: Path) -> None:
    async with lives(tmp_path) as world:
        one = await world.guard()
        await one.call("set", {"id": "none", "priority": "high"})
        world.dies(one)
        two = await world.guard()
        await two.call("set", {"id": "none", "priority": "high"})
        assert {action.run for action in await actions(two)} <= {one.caller.run, two.caller.run}


async def test_callers_without_a_connection_share_a_run_until_it_is_idle(tmp_path: Path) -> None:
    idle = timedelta(minutes=30)
    async with lives(tmp_path) as world:
        one, two = await world.guard(), await world.guard()
        now = one.clock.now()
        assert await one.ledger.shared_run("acme", "s", "r1", now, idle) == "r1"
        assert await two.ledger.shared_run("acme", "s", "r2", now + idle, idle) == "r1"
        assert await two.ledger.shared_run("acme", "other", "r3", now, idle) == "r3"
        assert await one.ledger.shared_run("globex", "s", "r4", now, idle) == "r4"
        assert await one.ledger.shared_run("acme", "s", "r5", now + 2 * idle + timedelta(seconds=1), idle) == "r5"
        assert "Already" not in said(await one.call("set", HIGH))
