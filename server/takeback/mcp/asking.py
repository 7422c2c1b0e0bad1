"""Asking a client what an upstream wants to know, and telling it what an upstream says in the course of its request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from mcp.shared.exceptions import MCPError
from mcp.types import METHOD_NOT_FOUND, LoggingLevel

from takeback.core.jsontext import JSON
from takeback.mcp.exchange import AskOne
from takeback.ports import Answered, Ask, Questions, Tell

UNANSWERED: Final = -32003
"""Code of a question that got no answer."""

CANCELLED: Final[Mapping[str, Any]] = {"action": "cancel"}
"""The answer to a form that nobody filled in."""

NEEDS: Final = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
"""What a client of the stateless era can be asked, and the capability that it declares for it."""

_LEVELS: Final[tuple[str, ...]] = get_args(LoggingLevel)
"""From the least severe to the most."""


def by_requests(ask_one: AskOne) -> Ask:
    """A client of the handshake era is sent one request after the other: a person reads one form at a time."""

    async def ask(questions: Questions) -> Mapping[str, Any]:
        return {name: await _asked(ask_one, question) for name, question in questions.items()}

    return ask


async def _asked(ask_one: AskOne, question: Mapping[str, Any]) -> Mapping[str, Any]:
    method, params = str(question.get("method")), question.get("params")
    try:
        return await ask_one(method, params if isinstance(params, Mapping) else None)
    except MCPError as error:
        raise Answered(error.error.code, error.error.message, error.error.data) from None
    except TimeoutError:
        return no_answer(method)


def no_answer(method: str) -> Mapping[str, Any]:
    """What an upstream gets when nobody answered in time: a form that was put away, else a refusal.

    Raises:
        Answered: it was no form.
    """
    if method == "elicitation/create":
        return CANCELLED
    raise Answered(UNANSWERED, f"the client did not answer {method} in time")


def check_askable(questions: Questions, capabilities: Mapping[str, Any]) -> None:
    """What a client of the stateless era can be asked, by what it declared.

    Raises:
        Answered: it can not.
    """
    for question in questions.values():
        method = question.get("method")
        needed = NEEDS.get(method) if isinstance(method, str) else None
        if needed is None or not isinstance(capabilities.get(needed), Mapping):
            raise Answered(METHOD_NOT_FOUND, f"the client cannot be asked {method}", {"method": method})


def at_level(tell: Tell, level: str | None) -> Tell:
    """Tell only what is as severe as the client wants with this request; nothing, where it did not say."""

    async def telling(method: str, params: JSON) -> None:
        given = params.get("level") if isinstance(params, Mapping) else None
        if level in _LEVELS and given in _LEVELS and _LEVELS.index(given) >= _LEVELS.index(level):
            await tell(method, params)

    return telling
