"""The shapes of JSON-RPC 2.0 messages, and what a response means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY

from takeback.core.jsontext import JSON, MalformedJSON, dumps, loads
from takeback.ports import Answered, NotSent, OutcomeUnknown

INTERNAL_ERROR: Final = -32603
_ID_DIGITS: Final = 18


def settled(message: Mapping[str, Any]) -> dict[str, Any]:
    """The result that a response holds.

    Raises:
        Answered: it holds an error.
        OutcomeUnknown: it is not a response as JSON-RPC wants it.
    """
    result, error = message.get("result"), message.get("error")
    if error is None and type(result) is dict:
        return result
    if type(error) is dict and "result" not in message:
        raise _refusal(error)
    raise OutcomeUnknown(
        "malformed", "the answer is not a JSON-RPC response: it has neither a result object nor an error"
    )


def _refusal(error: Mapping[str, Any]) -> Answered:
    code, text = error.get("code"), error.get("message")
    message = text if isinstance(text, str) else "the upstream gave no message"
    if type(code) is int:
        return Answered(code, message, error.get("data"))
    return Answered(INTERNAL_ERROR, message, dict(error))


def request_text(number: int, method: str, params: Mapping[str, Any] | None, *, with_progress: bool) -> bytes:
    """A request as JSON text. Its number is also its progress token.

    Raises:
        NotSent: the params are no JSON.
    """
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
    sent = tokened(params, number if with_progress else None)
    if sent is not None:
        message["params"] = sent
    try:
        return dumps(message)
    except (TypeError, ValueError) as error:
        raise NotSent(f"the request cannot be written as JSON: {error}") from None


def messages_in(text: bytes) -> list[Any]:
    """What a body or an event holds: one message, or a batch of them (2025-03-26).

    Raises:
        OutcomeUnknown: it is not JSON.
    """
    try:
        message = loads(text)
    except MalformedJSON as error:
        raise OutcomeUnknown("malformed", f"the answer is not JSON: {error}") from None
    return message if isinstance(message, list) else [message]


def answers(message: Mapping[str, Any], number: int) -> bool:
    """Whether a response is the one to request `number`. An error may lack the number, a result may not."""
    given = message.get("id")
    return number_of(given) == number or (given is None and "error" in message)


def notification(method: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
    """A notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = dict(params)
    return message


def unsubscribed(params: JSON) -> JSON:
    """The params of a notification without the mark of the subscription, which is of this hop."""
    meta = params.get("_meta") if isinstance(params, dict) else None
    if not isinstance(meta, dict) or SUBSCRIPTION_ID_META_KEY not in meta:
        return params
    rest = {key: value for key, value in meta.items() if key != SUBSCRIPTION_ID_META_KEY}
    bare = {key: value for key, value in params.items() if key != "_meta"}
    return {**bare, "_meta": rest} if rest else bare or None


def error_message(number: str | int, refusal: Answered) -> dict[str, Any]:
    """The response that refuses a request."""
    body: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.data is not None:
        body["data"] = refusal.data
    return {"jsonrpc": "2.0", "id": number, "error": body}


def tokened(params: Mapping[str, Any] | None, token: int | None) -> dict[str, Any] | None:
    """The params with our progress token, or with none: that of another hop could be taken for one of ours."""
    if token is not None:
        given = params or {}
        return {**given, "_meta": {**(given.get("_meta") or {}), "progressToken": token}}
    if params is None:
        return None
    meta = params.get("_meta")
    if not isinstance(meta, Mapping) or "progressToken" not in meta:
        return params if type(params) is dict else dict(params)
    return {**params, "_meta": {key: value for key, value in meta.items() if key != "progressToken"}}


def number_of(given: JSON) -> int | None:
    """A request's number from an id or token; some servers turn it into a string."""
    if type(given) is int:
        return given
    if isinstance(given, str) and given.isdecimal() and len(given) <= _ID_DIGITS:
        return int(given)
    return None
