"""The stop switch with several guards on one PostgreSQL: used beside them, on the command line, and heeded by all."""

from __future__ import annotations

import asyncio
from pathlib import Path

from .kit import BOUND, Agent, Answer, Counter, Guard, agent, guards
from .policies import write_policy
from .test_guards import takeback


def patient(folder: Path, ledger: str, port: int) -> Path:
    """The policy, with time enough for a command line to start while a call is held."""
    path = write_policy(folder, ledger, port)
    text = path.read_text().replace('join_within = "5s"', 'join_within = "60s"')
    path.write_text(text.replace('timeout = "10s"', 'timeout = "60s"'))
    return path


async def at_both(caller: Agent, found: list[Guard], name: str, arguments: dict[str, str]) -> list[Answer]:
    return list(await asyncio.gather(*(caller.call(name, arguments, at=guard.url) for guard in found)))


async def test_both_guards_stop_at_once_and_what_was_sent_is_finished(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    policy = patient(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as found, agent(found[0].url) as caller:
        one, two = found
        await counter.hold()
        sent = asyncio.create_task(caller.call("charge", {"account": "C-1", "amount": "5"}, at=one.url))
        await asyncio.wait_for(counter.held(), BOUND)
        waits = asyncio.create_task(caller.call("charge", {"account": "C-1", "amount": "7"}, at=two.url))
        await takeback(policy, "freeze", "--upstream", "desk", "--reason", "odd charges")
        refused = await at_both(caller, found, "charge", {"account": "C-2", "amount": "1"})
        assert [(answer.error, answer.action) for answer in refused] == [(True, "")] * 2
        assert [answer for answer in refused if "odd charges" not in answer.text] == []
        assert not sent.done()
        await counter.open()
        first, second = await asyncio.gather(sent, waits)
        assert (first.status, first.error) == ("succeeded", False)
        assert (second.status, second.error, "odd charges" in second.text) == ("", True, True)
        assert await counter.effects() == ["charge C-1 5"]
        again = await at_both(caller, found, "charge", {"account": "C-1", "amount": "5"})
        assert [(answer.action, answer.replayed) for answer in again] == [(first.action, True)] * 2
        await takeback(policy, "thaw", "--upstream", "desk", "--reason", "they were right")
        thawed = await caller.call("charge", {"account": "C-1", "amount": "7"}, at=two.url)
        assert thawed.status == "succeeded"
    assert await counter.effects() == ["charge C-1 5", "charge C-1 7"]


async def test_reads_stop_at_both_guards_and_go_on_after_the_thaw(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as found, agent(found[0].url) as caller:
        before = await at_both(caller, found, "get", {"id": "x"})
        await takeback(policy, "freeze", "--tool", "desk.get", "--reads", "--reason", "it leaks")
        frozen = await at_both(caller, found, "get", {"id": "x"})
        others = await at_both(caller, found, "find", {"text": "x"})
        await takeback(policy, "thaw", "--tool", "desk.get", "--reason", "mended")
        after = await at_both(caller, found, "get", {"id": "x"})
    assert [answer.error for answer in [*before, *others, *after]] == [False] * 6
    assert [(answer.error, "it leaks" in answer.text) for answer in frozen] == [(True, True)] * 2
