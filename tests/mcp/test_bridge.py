"""What upstreams ask in the middle of a call, in each era, reaches clients of each era; and its answer goes back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from typing import Any

import pytest

from .conftest import ASKING_POLICY, World
from .raw import RawClient, text_of
from .test_http import HttpClient, serving

FORMS: dict[str, Any] = {"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {"listChanged": True}}
YES = {"action": "accept", "content": {"sure": True}, "x-unknown": 2**70}

Asking = Callable[..., AbstractAsyncContextManager[RawClient]]


@pytest.fixture(params=["handshake upstream", "stateless upstream"])
def upstream(request: pytest.FixtureRequest, world: World) -> str:
    flag = '"--stateless", ' if request.param == "stateless upstream" else ""
    world.write(ASKING_POLICY.replace("FLAG", flag))
    return str(request.param)


@pytest.fixture
def asking(world: World, era: str, upstream: str) -> Asking:
    """The guard before an upstream that asks, with a client that can answer: all four pairs of eras."""
    return lambda capabilities=FORMS: world.guard(stateless=era == "stateless", capabilities=capabilities)


async def answered(
    client: RawClient, method: str, params: dict[str, Any], answer: Any, *, delay: float = 0.0
) -> tuple[Any, Any]:
    """The whole response of a request that is answered by a question, and the question itself."""
    if client.stateless:
        first = (await client.send(method, params))["result"]
        assert first["resultType"] == "input_required", first
        ((name, question),) = first["inputRequests"].items()
        await asyncio.sleep(delay)
        again = {**params, "inputResponses": {name: answer}, "requestState": first["requestState"]}
        return await client.send(method, again), question
    waiting = client.begin(method, params)
    count = len(client.asked)
    await client.until(lambda: len(client.asked) > count)
    question = client.asked[-1]
    await asyncio.sleep(delay)
    client.write({"jsonrpc": "2.0", "id": question["id"], "result": answer})
    return await asyncio.wait_for(waiting, 30), question


NEEDED = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
ASKED = [
    ("elicitation/create", {"message": "Sure?", "requestedSchema": {"type": "object"}, "x-unknown": 2**70}, YES),
    ("elicitation/create", {"mode": "url", "message": "Go", "url": "https://example.org", "elicitationId": "e1"}, YES),
    ("sampling/createMessage", {"messages": [], "maxTokens": 5}, {"role": "assistant", "model": "m", "content": {}}),
    ("roots/list", None, {"roots": [{"uri": "file:///work", "x-unknown": 2**70}]}),
]


@pytest.mark.parametrize(("method", "params", "answer"), ASKED)
async def test_a_question_reaches_the_client_and_its_answer_the_upstream(
    asking: Asking, method: str, params: Any, answer: Any
) -> None:
    capabilities = {name: FORMS[name] for name in FORMS if name == NEEDED[method]}
    async with asking(capabilities) as client:
        await first_roots(client)
        arguments = {"method": method} if params is None else {"method": method, "params": params}
        response, question = await answered(client, "tools/call", {"name": "ask", "arguments": arguments}, answer)
    assert (question["method"], question.get("params")) == (method, params)
    assert json.loads(text_of(response["result"]))["result"] == answer


async def first_roots(client: RawClient) -> None:
    """An upstream of the handshake era asks for the roots as soon as it is initialized: be done with it."""
    client.answer = lambda request: {"roots": []}
    await client.call("saw")
    client.answer = lambda request: None


def rows(world: World, query: str) -> list[Any]:
    """The first column, read from the ledger past the guard."""
    with closing(sqlite3.connect(world.folder / "takeback.db")) as ledger:
        return [row[0] for row in ledger.execute(query)]


WRITE: dict[str, Any] = {"name": "write", "arguments": {"key": "a"}}


async def test_a_write_that_asks_is_one_attempt_of_one_action(world: World, asking: Asking) -> None:
    async with asking({"elicitation": {}}) as client:
        response, question = await answered(client, "tools/call", WRITE, YES)
        again = (await client.send("tools/call", WRITE))["result"]
    assert question["params"]["x-unknown"] == 2**70
    assert response["result"]["_meta"]["io.takeback/status"] == "succeeded"
    assert again["_meta"]["io.takeback/replayed"] is True
    assert world.effects() == [["write", {"key": "a"}, YES]]
    assert rows(world, "select happening from events order by seq") == ["claim", "note", "note", "succeed"]


async def test_a_form_that_was_declined_is_told_as_the_client_put_it(world: World, asking: Asking) -> None:
    async with asking({"elicitation": {}}) as client:
        response, _ = await answered(client, "tools/call", WRITE, {"action": "decline"})
    assert text_of(response["result"]).startswith("not written: decline")
    assert response["result"]["isError"] is True
    assert world.effects() == []


async def test_prompts_may_ask_too(asking: Asking) -> None:
    async with asking({"elicitation": {}}) as client:
        response, _ = await answered(client, "prompts/get", {"name": "greet"}, YES)
    assert response["result"]["x"]["result"] == YES


async def test_a_server_is_told_what_the_client_can_do_and_offers_its_tools_for_it(
    world: World, asking: Asking
) -> None:
    capabilities = {"elicitation": {}, "sampling": {"x-unknown": 1}, "experimental": {"x": {}}, "tasks": {}}
    async with asking(capabilities) as client:
        names = [tool["name"] for tool in (await client.send("tools/list"))["result"]["tools"]]
        saw = json.loads(text_of(await client.call("saw")))
        called = await client.call("with_sampling")
    expected = {name: value for name, value in capabilities.items() if name != "tasks"}
    assert saw["capabilities"] == expected
    assert saw["info"] == {"name": "raw", "version": "1"}
    assert [name for name in names if name.startswith("with_")] == [f"with_{name}" for name in sorted(expected)]
    assert json.loads(text_of(called).splitlines()[0])["pid"] == saw["pid"]


async def test_a_client_that_can_nothing_is_asked_nothing(asking: Asking) -> None:
    async with asking({"experimental": {"x": {}}}) as client:
        client.answer = lambda request: {}
        response = await client.send("tools/call", {"name": "ask", "arguments": {"method": "roots/list"}})
    if client.stateless:
        assert client.asked == []
        assert "cannot be asked roots/list" in json.dumps(response)
    else:
        assert [request["method"] for request in client.asked] == ["roots/list"]  # the client itself refuses, or not


async def test_the_time_limit_of_a_call_stands_still_while_the_client_is_asked(world: World, asking: Asking) -> None:
    world.policy.write_text(world.policy.read_text().replace('timeout = "5s"', 'timeout = "600ms"'))
    async with asking({"elicitation": {}}) as client:
        # Longer than the limit: that is what is being tested.
        response, _ = await answered(client, "tools/call", WRITE, YES, delay=1.0)
    assert response["result"]["_meta"]["io.takeback/status"] == "succeeded"
    assert len(world.effects()) == 1


class TestStatelessClient:
    """What only a client that is answered by a question can do wrong."""

    @pytest.fixture
    def era(self) -> str:
        return "stateless"

    async def test_only_the_state_that_was_given_goes_on_with_a_call(self, world: World, asking: Asking) -> None:
        async with asking({"elicitation": {}}) as client:
            first = (await client.send("tools/call", WRITE))["result"]
            ((name, _),) = first["inputRequests"].items()
            state, responses = first["requestState"], {name: YES}
            bad = [
                {**WRITE, "inputResponses": responses, "requestState": state + "x"},
                {**WRITE, "inputResponses": responses, "requestState": "what only this server may read"},
                {**WRITE, "arguments": {"key": "b"}, "inputResponses": responses, "requestState": state},
                {**WRITE, "name": "ask", "inputResponses": responses, "requestState": state},
            ]
            refused = [(await client.send("tools/call", params))["error"]["code"] for params in bad]
            unanswered = (await client.send("tools/call", {**WRITE, "requestState": state}))["result"]
            assert world.effects() == []
            done = await client.send("tools/call", {**WRITE, "inputResponses": responses, "requestState": state})
            lost = await client.send("tools/call", {**WRITE, "inputResponses": responses, "requestState": state})
        assert refused == [-32602] * 4
        assert unanswered["inputRequests"] == first["inputRequests"]
        assert done["result"]["_meta"]["io.takeback/status"] == "succeeded"
        assert lost["result"] == done["result"]  # the reply was lost, and the same answers bring it again
        assert len(world.effects()) == 1

    async def test_an_equal_write_meets_the_same_question_and_is_one_action(self, world: World, asking: Asking) -> None:
        async with asking({"elicitation": {}}) as client:
            first = (await client.send("tools/call", WRITE))["result"]
            second = (await client.send("tools/call", WRITE))["result"]
            ((name, _),) = second["inputRequests"].items()
            again = {**WRITE, "inputResponses": {name: YES}, "requestState": second["requestState"]}
            done = (await client.send("tools/call", again))["result"]
        assert second["inputRequests"] == first["inputRequests"]
        assert done["_meta"]["io.takeback/status"] == "succeeded"
        assert len(world.effects()) == 1

    async def test_nobody_takes_the_action_for_abandoned_while_the_client_is_asked(
        self, world: World, asking: Asking
    ) -> None:
        async with asking({"elicitation": {}}) as client:
            await client.send("tools/call", WRITE)
            (lease,) = rows(world, "select expires_at from leases where name not like 'guard:%'")
            (deadline,) = rows(world, "select deadline from actions")
            assert rows(world, "select status from actions") == ["running"]
        assert lease > time.time() * 1e6
        assert deadline > (time.time() + 14 * 60) * 1e6

    async def test_an_upstream_never_sees_a_state_of_the_client(self, asking: Asking) -> None:
        async with asking({"elicitation": {}}) as client:
            answer = await client.send("tools/call", {**WRITE, "requestState": "mine"})
        assert answer["error"]["code"] == -32602

    async def test_the_guard_puts_questions_away_when_it_ends(self, world: World, asking: Asking) -> None:
        async with asking({"elicitation": {}}) as client:
            await client.send("tools/call", WRITE)
            assert await client.close() == 0
        assert world.effects() == []

    async def test_approval_and_question_come_one_after_the_other(self, world: World, asking: Asking) -> None:
        policy = world.policy.read_text().replace('effect = "once"', 'effect = "once"\napproval = "always"')
        world.policy.write_text(policy)
        async with asking({"elicitation": {}}) as client:
            approval = (await client.send("tools/call", WRITE))["result"]
            ((name, form),) = approval["inputRequests"].items()
            agreed = {"action": "accept", "content": {"decision": "approve"}}
            question = (await client.send("tools/call", {**WRITE, "inputResponses": {name: agreed}}))["result"]
            ((asked, _),) = question["inputRequests"].items()
            again = {**WRITE, "inputResponses": {asked: YES}, "requestState": question["requestState"]}
            done = (await client.send("tools/call", again))["result"]
        assert "Approve asking.write" in form["params"]["message"]
        assert done["_meta"]["io.takeback/status"] == "succeeded"
        assert len(world.effects()) == 1

    async def test_log_messages_come_with_the_call_that_wants_them(self, asking: Asking) -> None:
        async with asking({"elicitation": {}}) as client:
            await client.call("log")
            quiet = [message for message in client.told if message.get("method") == "notifications/message"]
            await client.call("log", _meta={"io.modelcontextprotocol/logLevel": "warning"})
            saw = json.loads(text_of(await client.call("saw", _meta={"io.modelcontextprotocol/logLevel": "error"})))
        assert quiet == []
        assert [message["params"]["level"] for message in client.told if "method" in message] == ["warning", "error"]
        assert client.told[-1]["params"]["x-unknown"] == 2**70
        assert "error" in {saw["level"], saw["meta"].get("logLevel")}


class TestHandshakeClient:
    """What only a client that is sent requests can do."""

    @pytest.fixture
    def era(self) -> str:
        return "handshake"

    async def test_a_log_level_that_was_set_reaches_the_server_in_its_era(self, asking: Asking) -> None:
        async with asking({"elicitation": {}}) as client:
            await client.send("logging/setLevel", {"level": "error"})
            saw = json.loads(text_of(await client.call("saw")))
            await client.call("log")
        assert "error" in {saw["level"], saw["meta"].get("logLevel")}
        levels = [m["params"]["level"] for m in client.told if m.get("method") == "notifications/message"]
        assert "error" in levels

    async def test_what_the_client_refuses_is_told_with_code_and_data(self, asking: Asking) -> None:
        async with asking({"sampling": {}}) as client:
            waiting = client.begin(
                "tools/call", {"name": "ask", "arguments": {"method": "sampling/createMessage", "params": {}}}
            )
            await client.until(lambda: bool(client.asked))
            error = {"code": -1, "message": "User rejected sampling request", "data": {"why": [1]}}
            client.write({"jsonrpc": "2.0", "id": client.asked[-1]["id"], "error": error})
            response = await asyncio.wait_for(waiting, 30)
        assert json.dumps(error["data"]) in json.dumps(response).replace("\\", "")

    async def test_cancelling_a_read_that_asks_is_told_to_the_server(self, asking: Asking, upstream: str) -> None:
        if upstream == "stateless upstream":
            return  # its call has been answered, by the question
        async with asking({"sampling": {}}) as client:
            params = {"name": "ask", "arguments": {"method": "sampling/createMessage", "params": {}}}
            waiting = client.begin("tools/call", params, number="one")
            await client.until(lambda: bool(client.asked))
            client.notify("notifications/cancelled", {"requestId": "one"})
            saw = json.loads(text_of(await client.call("saw")))
        assert len(saw["cancelled"]) == 1
        assert not waiting.done() or waiting.exception() is not None  # nothing more is said of what was cancelled

    async def test_roots_are_asked_for_at_the_start_and_when_they_change(self, asking: Asking, upstream: str) -> None:
        if upstream == "stateless upstream":
            return  # it asks for them when it needs them
        roots = {"roots": [{"uri": "file:///work"}]}
        async with asking({"roots": {"listChanged": True}}) as client:
            client.answer = lambda request: roots
            await client.until(lambda: len(client.asked) == 1)
            client.notify("notifications/roots/list_changed")
            await client.until(lambda: len(client.asked) == 2)
            saw = json.loads(text_of(await client.call("saw")))
        assert saw["roots"] == [roots["roots"]] * 2


async def test_over_http_each_kind_of_client_has_its_own_tools_and_is_asked_itself(world: World, upstream: str) -> None:
    async with serving(world) as (url, _):
        forms = HttpClient(url, stateless=True, capabilities={"elicitation": {}})
        plain = HttpClient(url, stateless=False, capabilities={"sampling": {}})
        try:
            await plain.handshake()
            listed = [(await client.send("tools/list"))["result"]["tools"] for client in (forms, plain, forms)]
            asked = (await forms.send("tools/call", WRITE))["result"]
            read = await plain.call("saw")  # while the other client is asked
            ((name, _),) = asked["inputRequests"].items()
            again = {**WRITE, "inputResponses": {name: YES}, "requestState": asked["requestState"]}
            done = (await forms.send("tools/call", again))["result"]
        finally:
            await forms.http.aclose()
            await plain.http.aclose()
    names = [{tool["name"] for tool in tools if tool["name"].startswith("with_")} for tools in listed]
    assert names == [{"with_elicitation"}, {"with_sampling"}, {"with_elicitation"}]
    assert json.loads(text_of(read))["capabilities"] == {"sampling": {}}
    assert done["_meta"]["io.takeback/status"] == "succeeded"
    assert len(world.effects()) == 1
