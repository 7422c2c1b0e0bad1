"""What an HTTP answer means: a result, an error that the tool reports, or one of the port's failures."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from takeback.core.jsontext import JSON, MalformedJSON, loads
from takeback.ports import HTTP, VERSION, Busy, Changed, OutcomeUnknown
from takeback_tools.http.bodies import essence, is_json
from takeback_tools.http.exchange import Reply

LONGEST_ERROR: Final = 8_192
"""Characters of an error's body that are passed on."""

LARGEST_BINARY: Final = 4 * 1024 * 1024
"""Bytes of content that is no text and is handed over."""

_CHANGED: Final = 412
_TOO_EARLY, _TOO_MANY, _UNAVAILABLE = 425, 429, 503
_NEVER_DONE: Final = frozenset({501, 505})
_GAVE_UP_WAITING: Final = frozenset({408, 502, 504})
_SERVER_ERROR: Final = 500
_ERROR: Final = 300


def understood(reply: Reply, *, safe: bool, structured: bool, address: str) -> dict[str, Any]:
    """The tool's result for an answer.

    `safe`: the request changes nothing. `structured`: the tool has an output schema. `address` names what was asked,
    without its query.

    Raises:
        Busy, Changed, OutcomeUnknown: as the port says.
    """
    if reply.status < _ERROR:
        return _success(reply, structured=structured, address=address)
    _raise_if_not_an_answer(reply, safe=safe)
    return failure(reply)


def _raise_if_not_an_answer(reply: Reply, *, safe: bool) -> None:
    status = reply.status
    if status == _CHANGED:
        raise Changed(f"{_words(reply)}. Nothing was changed by this request.")
    if status in {_TOO_EARLY, _TOO_MANY} or (status == _UNAVAILABLE and safe):
        raise Busy(_words(reply), retry_after(reply))
    if safe or status in _NEVER_DONE:
        return
    if status in _GAVE_UP_WAITING:
        raise OutcomeUnknown("error", f"{_words(reply)}: it may still take effect")
    if status >= _SERVER_ERROR:
        raise OutcomeUnknown("error", f"{_words(reply)}: it may have taken effect", over=True)


def failure(reply: Reply, note: str = "") -> dict[str, Any]:
    """The result of a request that was refused for certain."""
    text = "\n".join(part for part in (_words(reply, LONGEST_ERROR), note) if part)
    return {"content": [{"type": "text", "text": text}], "isError": True, "_meta": _meta(reply)}


def _words(reply: Reply, longest: int = 500) -> str:
    """The status, and what the body says about it."""
    text = _text(reply)
    body = "" if text is None else text.strip()
    if len(body) > longest:
        body = body[: longest - 1] + "…"
    return f"{reply.said}\n{body}" if body else reply.said


def _meta(reply: Reply) -> dict[str, Any]:
    about: dict[str, Any] = {"status": reply.status}
    if "location" in reply.headers:
        about["location"] = reply.headers["location"]
    return {HTTP: about}


def _success(reply: Reply, *, structured: bool, address: str) -> dict[str, Any]:
    meta = _meta(reply)
    version = strong(reply.headers.get("etag"))
    if version is not None:
        meta[VERSION] = version
    result: dict[str, Any] = {"content": [], "_meta": meta}
    value = _NOTHING
    if reply.content:
        result["content"], value = _content(reply, address, promised=structured)
    if isinstance(value, dict):
        result["structuredContent"] = value
    elif structured:
        # The document promised an object; a client that checks must not throw away what came instead.
        result["structuredContent"] = {} if value is _NOTHING else {"body": value}
    return result


_NOTHING: Final = object()


def strong(etag: str | None) -> str | None:
    """The entity tag as it is, if it is strong: a weak one does not tell two versions apart."""
    return etag if etag and etag.startswith('"') and etag.endswith('"') and len(etag) > 1 else None


def _content(reply: Reply, address: str, *, promised: bool) -> tuple[list[dict[str, Any]], Any]:
    """The content blocks, and the value where the body is JSON, as the document may have promised."""
    kind = reply.headers.get("content-type", "")
    if promised and essence(kind) == "text/html":
        # A page where data was promised is somebody else's word: a portal's, a login's, a proxy's.
        raise OutcomeUnknown("malformed", f"{reply.said}, but the answer is a web page instead of data")
    text = _text(reply)
    if text is None:
        return [_binary(reply, essence(kind), address)], _NOTHING
    value: Any = text
    if is_json(kind):
        value = _parsed(text, reply)
    elif not kind and text.lstrip()[:1] in {"{", "["}:
        value = _parsed_if_json(text)
    return [{"type": "text", "text": text}], value


def _parsed(text: str, reply: Reply) -> JSON:
    try:
        return loads(text)
    except MalformedJSON as error:
        raise OutcomeUnknown("malformed", f"{reply.said}, but the answer is {error}") from None


def _parsed_if_json(text: str) -> JSON:
    try:
        return loads(text)
    except MalformedJSON:
        return text


def _text(reply: Reply) -> str | None:
    """The body as text; null where it is none, so that nothing is lost by a guess."""
    kind = reply.headers.get("content-type", "")
    charset = reply_charset(kind) or "utf-8"
    if essence(kind).startswith(("image/", "audio/", "video/", "font/")) and "xml" not in kind:
        return None
    try:
        text = reply.content.decode(charset)
    except (UnicodeError, LookupError):
        return None
    return None if "\x00" in text else text


def reply_charset(content_type: str) -> str | None:
    """The `charset` of a content type."""
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"') or None
    return None


def _binary(reply: Reply, kind: str, address: str) -> dict[str, Any]:
    kind = kind or "application/octet-stream"
    size = len(reply.content)
    if size > LARGEST_BINARY:
        return {"type": "text", "text": f"{size} bytes of {kind}, too many to hand over"}
    blob = base64.b64encode(reply.content).decode("ascii")
    return {"type": "resource", "resource": {"uri": address, "mimeType": kind, "blob": blob}}


def retry_after(reply: Reply) -> float | None:
    """Seconds until the server wants to be asked again; null where it does not say."""
    said = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(said) if said[:1].isdigit() else _seconds_until(said, reply.headers)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str, headers: Mapping[str, str]) -> float:
    # By the server's own clock where it tells the time, since ours may differ.
    now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
    return (parsedate_to_datetime(date) - now).total_seconds()
