"""The shapes of JSON-RPC 2.0 messages, and what a response means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.ports import Answered, OutcomeUnknown

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
    raise OutcomeUnknown("malformed", "the answer is not a JSON-RPC response: it has neither a result object nor an error")


def _refusal(error: Mapping[str, Any]) -> Answered:
    code, text = error.get("code"), error.get("message")
    message = text if isinstance(text, str) else "the upstream gave no message"
    if type(code) is int:
        return Answered(code, message, error.get("data"))
    return Answered(INTERNAL_ERROR, message, dict(error))


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
