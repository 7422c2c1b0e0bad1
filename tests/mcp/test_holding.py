"""Requests of stateless clients that wait for an answer: what goes on with them, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from takeback.mcp import holding
from takeback.mcp.exchange import Exchange
from takeback.mcp.holding import Holding, Identity
from takeback.ports import Answered, Caller, Downstream

CAPABILITIES: dict[str, Any] = {"elicitation": {}, "sampling": {}}
FORM = {"method": "elicitation/create", "params": {"message": "Sure?"}}
SAMPLE = {"method": "sampling/createMessage", "params": {}}
YES = {"action": "accept", "content": {}}


def exchange(state: str | None = None, **answers: Any) -> Exchange:
    caller = Caller(tenant="acme", principal="agent", run="r1")
    return Exchange(
        caller=caller,
        version="2026-07-28",
        capabilities=CAPABILITIES,
        request_state=state,
        input_responses=answers,
    )


def identity(*, principal: str = "agent", writes: bool = False, params: str = "{}", run: str = "r1") -> Identity:
    return Identity("acme", principal, run, "tools/call", params, writes=writes, joins=writes)


class Tool:
    """Work that asks what it is told to, one after the other, and remembers what it was answered."""

    def __init__(self, *questions: Mapping[str, Any]) -> None:
        self.questions, self.answers, self.runs = questions, list[Any](), 0
        self.ended = asyncio.Event()

    async def __call__(self, seen: Exchange, downstream: Downstream) -> dict[str, Any]:
        self.runs += 1
        assert downstream.ask is not None
        try:
            for asked in self.questions:
                self.answers.append(await downstream.ask(asked))
        except Answered as refusal:
            self.answers.append(refusal)
        finally:
            self.ended.set()
        return {"done": len(self.answers)}


async def test_each_round_is_answered_by_its_own_state() -> None:
    holds, tool = Holding(), Tool({"one": FORM}, {"two": SAMPLE})
    first = await holds.run(exchange(), identity(), tool)
    second = await holds.run(exchange(first["requestState"], one=YES), identity(), tool)
    stale = await holds.run(exchange(first["requestState"], one=YES, two={"stale": 1}), identity(), tool)
    last = await holds.run(exchange(second["requestState"], two={"model": "m"}), identity(), tool)
    assert (first["inputRequests"], second["inputRequests"]) == ({"one": FORM}, {"two": SAMPLE})
    assert stale == second  # the reply was lost; what was answered then is not taken for an answer now
    assert tool.answers == [{"one": YES}, {"two": {"model": "m"}}]
    assert (last, tool.runs) == ({"done": 2}, 1)


@pytest.mark.parametrize(
    "other", [{"principal": "somebody else"}, {"params": '{"other": 1}'}], ids=["another principal", "another call"]
)
async def test_nobody_else_goes_on_with_it(other: dict[str, Any]) -> None:
    holds, tool = Holding(), Tool({"one": FORM})
    first = await holds.run(exchange(), identity(), tool)
    with pytest.raises(MCPError, match="no call that waits"):
        await holds.run(exchange(first["requestState"], one=YES), identity(**other), tool)
    assert tool.answers == []
    await holds.close()


@pytest.mark.parametrize("change", [lambda s: s + "0", lambda s: s[:-1] + "2", lambda s: "x" + s, lambda s: ""])
async def test_a_state_that_was_not_given_goes_on_with_nothing(change: Any) -> None:
    holds, tool = Holding(), Tool({"one": FORM})
    first = await holds.run(exchange(), identity(), tool)
    with pytest.raises(MCPError):
        await holds.run(exchange(change(first["requestState"]), one=YES), identity(), tool)
    assert tool.answers == []
    await holds.close()


async def test_two_questions_at_a_time_get_names_of_their_own() -> None:
    holds = Holding()

    async def both(seen: Exchange, downstream: Downstream) -> dict[str, Any]:
        assert downstream.ask is not None
        one, two = await asyncio.gather(downstream.ask({"it": FORM}), downstream.ask({"it": SAMPLE}))
        return {"one": one, "two": two}

    first = await holds.run(exchange(), identity(), both)
    if len(first["inputRequests"]) == 1:
        first = await holds.run(exchange(first["requestState"]), identity(), both)
    assert first["inputRequests"] == {"it": FORM, "it-2": SAMPLE}
    result = await holds.run(exchange(first["requestState"], **{"it": YES, "it-2": {"n": 2}}), identity(), both)
    assert result == {"one": {"it": YES}, "two": {"it": {"n": 2}}}


async def test_a_question_is_never_named_like_an_approval() -> None:
    holds, tool = Holding(), Tool({"pabc23": FORM})
    first = await holds.run(exchange(), identity(), tool)
    assert list(first["inputRequests"]) == ["pabc23-2"]
    await holds.run(exchange(first["requestState"], **{"pabc23-2": YES}), identity(), tool)
    assert tool.answers == [{"pabc23": YES}]


async def test_what_nobody_answers_in_time_was_put_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "ANSWERED_WITHIN", 0.01)
    holds, form, sample = Holding(), Tool({"one": FORM}), Tool({"one": SAMPLE})
    await holds.run(exchange(), identity(), form)
    await holds.run(exchange(), identity(params="2"), sample)
    await asyncio.wait_for(asyncio.gather(form.ended.wait(), sample.ended.wait()), 5)
    assert form.answers == [{"one": {"action": "cancel"}}]
    assert isinstance(sample.answers[0], Answered)


async def test_only_so_many_wait_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST", 2)
    holds = Holding()
    tools = [Tool({"one": FORM}) for _ in range(3)]
    results = [await holds.run(exchange(), identity(params=str(n)), tool) for n, tool in enumerate(tools)]
    assert [result.get("resultType") for result in results] == ["input_required", "input_required", None]
    assert isinstance(tools[2].answers[0], Answered)
    await holds.close()


async def test_a_client_is_not_asked_what_it_did_not_declare() -> None:
    holds, tool = Holding(), Tool({"one": {"method": "roots/list"}})
    assert await holds.run(exchange(), identity(), tool) == {"done": 1}
    assert isinstance(tool.answers[0], Answered)


async def test_a_read_ends_with_its_client_and_a_write_goes_on() -> None:
    gate, ended = asyncio.Event(), list[str]()

    async def work(seen: Exchange, downstream: Downstream) -> dict[str, Any]:
        try:
            await gate.wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("done")
        return {}

    for writes in (False, True):
        holds = Holding()
        waiting = asyncio.create_task(holds.run(exchange(), identity(writes=writes), work))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        gate.set()
        await asyncio.sleep(0.01)
        gate.clear()
    assert ended == ["cancelled", "done"]


async def test_an_equal_write_is_asked_the_same_and_an_equal_read_is_another_one() -> None:
    holds = Holding()
    for writes, runs in ((True, 1), (False, 2)):
        tool = Tool({"one": FORM})
        asked = [await holds.run(exchange(), identity(writes=writes, params=str(writes)), tool) for _ in range(2)]
        assert (asked[0] == asked[1], tool.runs) == (writes, runs)
    await holds.close()


async def test_another_run_does_not_meet_the_write_of_this_one() -> None:
    holds, tool = Holding(), Tool({"one": FORM})
    await holds.run(exchange(), identity(writes=True), tool)
    await holds.run(exchange(), identity(writes=True, run="r2"), tool)
    assert tool.runs == 2
    await holds.close()


async def test_what_waits_at_the_end_is_put_away() -> None:
    holds, tool = Holding(), Tool({"one": FORM})
    await holds.run(exchange(), identity(writes=True), tool)
    await holds.close()
    await asyncio.wait_for(tool.ended.wait(), 5)
    assert tool.answers == [{"one": {"action": "cancel"}}]
