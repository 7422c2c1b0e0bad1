"""What upstreams ask in the middle of a call, in each era, reaches clients of each era; and its answer goes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from .conftest import ASKING_POLICY, World
from .raw import RawClient, text_of

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


async def answered(client: RawClient, method: str, params: dict[str, Any], answer: Any) -> tuple[Any, Any]:
    """The whole response of a request that is answered by a question, and the question itself."""
    if client.stateless:
        first = (await client.send(method, params))["result"]
        assert first["resultType"] == "input_required", first
        ((name, question),) = first["inputRequests"].items()
        again = {**params, "inputResponses": {name: answer}, "requestState": first["requestState"]}
        return await client.send(method, again), question
    waiting = client.begin(method, params)
    count = len(client.asked)
    await client.until(lambda: len(client.asked) > count)
    question = client.asked[-1]
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
