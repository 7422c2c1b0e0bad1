"""The stateless era's questions: a server answers that it needs input, and is called again with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from takeback.ports import Answered, Ask, Downstream

MOST_ROUNDS: Final = 50
"""Times that one call may be answered by a question; more, and the server asks for ever."""

PAUSE: Final = 0.2
"""Seconds before a server is called again that asked nothing and merely wants to be called again."""

UNANSWERED: Final = -32003
"""Code of a call that came to nothing because what its tool asked got no answer."""

Send = Callable[[Mapping[str, Any] | None], Awaitable[dict[str, Any]]]


async def until_complete(send: Send, params: Mapping[str, Any] | None, downstream: Downstream | None) -> dict[str, Any]:
    """Call, ask the client what the server asks, and call again with the answers, until the result is complete.

    What the server wants to have back (`requestState`) stays here: no client sees it.

    Raises:
        Answered: the client cannot answer, or the server asks for ever; it was not called again.
    """
    unasked = downstream.answers if downstream is not None else {}
    result = await send({**(params or {}), "inputResponses": unasked} if unasked else params)
    for _ in range(MOST_ROUNDS):
        if result.get("resultType") != "input_required":
            return result
        answers = await _answers(result.get("inputRequests"), downstream)
        again = {key: value for key, value in (params or {}).items() if key not in {"inputResponses", "requestState"}}
        if answers:
            again["inputResponses"] = answers
        if "requestState" in result:
            again["requestState"] = result["requestState"]
        result = await send(again)
    raise Answered(UNANSWERED, f"the tool asked {MOST_ROUNDS} times and was given up")


async def _answers(asked: object, downstream: Downstream | None) -> Mapping[str, Any]:
    questions = asked if isinstance(asked, Mapping) else {}
    if not all(isinstance(question, Mapping) for question in questions.values()):
        raise Answered(UNANSWERED, "the tool asks something that is no request")
    if not questions and (downstream is None or not downstream.stateless):
        await asyncio.sleep(PAUSE)
        return {}
    if downstream is None or downstream.ask is None:
        raise Answered(UNANSWERED, f"the tool asks ({_methods(questions)}), and nobody is there to answer")
    return await downstream.ask(questions)


async def one_answer(method: str, params: Any, ask: Ask) -> dict[str, Any]:
    """The client's answer to the single question that a server of the handshake era asks by a request.

    Raises:
        Answered: the client refuses, or gave none.
    """
    question: dict[str, Any] = {"method": method} if params is None else {"method": method, "params": params}
    for _ in range(MOST_ROUNDS):
        answer = (await ask({method: question})).get(method)
        if isinstance(answer, Mapping):
            return dict(answer)
    raise Answered(UNANSWERED, f"the client gave no answer to {method}")


def _methods(questions: Mapping[str, Any]) -> str:
    return ", ".join(sorted({str(q.get("method")) for q in questions.values()}))
