"""A database that goes away under a running guard, and comes back: nothing is lost, and nothing is done without it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.postgresql import Postgresql

from .kit import BOUND, Agent, Answer, Counter, agent, guards
from .policies import write_policy

SET = {"id": "A-1", "value": "one"}


async def until(wanted: Callable[[Answer], bool], ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again until the answer is as wanted."""
    async with asyncio.timeout(BOUND):
        while not wanted(answer := await ask()):
            await asyncio.sleep(0.1)
    return answer


async def read(caller: Agent) -> Answer:
    return await caller.call("get", {"id": "A-1"})


@pytest.mark.parametrize("how", ["stopped", "halted"])
async def test_without_the_ledger_nothing_is_written(
    tmp_path: Path, server: Postgresql, ledger: str, counter: Counter, how: str
) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 1) as (guard,), agent(guard.url) as caller:
        assert not (await caller.call("set", SET)).error
        if how == "stopped":
            server.stop()
            await without(caller, counter)
            server.start()
        else:
            with server.halted():
                await without(caller, counter)
        again = await until(lambda answer: not answer.error, lambda: caller.call("set", {"id": "A-1", "value": "two"}))
        assert (again.status, (await caller.call("get", {"id": "A-1"})).error) == ("succeeded", False)
    assert await counter.effects() == ["set A-1 one", "set A-1 two"]


async def without(caller: Agent, counter: Counter) -> None:
    """Reads are refused as soon as it is noticed; writes are, within the bounds of the ledger's time-outs."""
    refused = await until(lambda answer: answer.error, lambda: read(caller))
    assert "the ledger is out of reach" in refused.text
    written = await caller.call("set", {"id": "A-1", "value": "two"})
    assert "Not executed: the ledger cannot be used right now" in written.text
    assert await counter.effects() == ["set A-1 one"]


async def test_reads_go_on_without_the_ledger_where_the_policy_says_so(
    tmp_path: Path, server: Postgresql, ledger: str, counter: Counter
) -> None:
    policy = write_policy(tmp_path, ledger, counter.port, reads_without=True)
    async with guards(policy, 1) as (guard,), agent(guard.url) as caller:
        await caller.call("set", SET)
        server.stop()
        written = await caller.call("set", {"id": "A-1", "value": "two"})
        assert "the ledger cannot be used" in written.text
        assert not (await read(caller)).error
        server.start()
        await until(lambda answer: not answer.error, lambda: caller.call("set", {"id": "A-2", "value": "x"}))
    assert await counter.effects() == ["set A-1 one", "set A-2 x"]


@pytest.mark.parametrize(("name", "arguments", "wanted"), [
    ("set", SET, "succeeded"),
    ("note", {"text": "hello"}, "succeeded"),
    ("pay", {"account": "P-1", "amount": "5"}, "succeeded"),
    ("charge", {"account": "C-1", "amount": "5"}, "needs_operator"),
])  # fmt: skip
async def test_an_outcome_that_could_not_be_recorded_is_in_doubt_and_settled_afterwards(
    tmp_path: Path, server: Postgresql, ledger: str, counter: Counter, name: str, arguments: dict[str, str], wanted: str
) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 1) as (guard,), agent(guard.url) as caller:
        await counter.hold()
        first = asyncio.create_task(caller.call(name, arguments))
        await asyncio.wait_for(counter.held(), BOUND)
        server.stop()
        await counter.open()
        told = await first
        assert told.error
        assert "Nothing was changed" not in told.text
        server.start()
        settled = await until(lambda answer: answer.status == wanted, lambda: caller.call(name, arguments))
        assert settled.action
    assert len(await counter.effects()) == 1
