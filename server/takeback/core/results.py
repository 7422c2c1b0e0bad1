"""Reading what tools answer: the JSON inside a result, and whether a target is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.expressions import Expression, ExpressionError
from takeback.core.images import Part, Presence
from takeback.core.jsontext import JSON, MalformedJSON, loads

VERSION: Final = "io.takeback/version"
"""In the `_meta` of a read's result: the version of what was read (a strong ETag, a revision), as a text."""

HTTP: Final = "io.takeback/http"
"""In the `_meta` of an HTTP tool's definition: `method`, `path`, `conditional` (whether the document says that the
operation takes `If-Match`). In the `_meta` of its results: `status`, and `location` where the answer has one."""

_ABSENT: Final = re.compile(
    r"\b(not found|no such|does ?n[o']t exist|doesn't exist|unknown (?:id|key|record|entity|ticket)"
    r"|enoent|is gone|(?:http|status|code)\W{0,3}(?:404|410))\b",
    re.IGNORECASE,
)
_LONGEST_VERSION: Final = 1024
_FORBIDDEN: Final = re.compile(
    r"\b(unauthori[sz]ed|unauthenticated|forbidden|permission|access denied|not allowed|denied|credential"
    r"|(?:http|status|code)\W{0,3}40[13]\b)",
    re.IGNORECASE,
)


def record(result: Mapping[str, Any]) -> JSON:
    """The data of a tool's result: its structured content, else the JSON in its text, else the text itself.

    Frameworks that wrap what is no object as `{"result": ...}` also wrap JSON that a tool returned as a text: that is
    read as what it is.

    Several text blocks give a list. A result without text or structure gives null.
    """
    if "structuredContent" in result:
        return _unwrapped(result["structuredContent"])
    content = result.get("content")
    blocks = content if isinstance(content, list) else []
    texts = [block["text"] for block in blocks if isinstance(block, Mapping) and isinstance(block.get("text"), str)]
    values = [_parsed(text) for text in texts]
    return values[0] if len(values) == 1 else (values or None)


def text_of(result: Mapping[str, Any]) -> str:
    """All text blocks of a result, one after the other."""
    content = result.get("content")
    blocks = content if isinstance(content, list) else []
    return "\n".join(b["text"] for b in blocks if isinstance(b, Mapping) and isinstance(b.get("text"), str))


def is_error(result: Mapping[str, Any]) -> bool:
    """Whether the tool itself says that it failed."""
    return result.get("isError") is True


def version_of(result: Mapping[str, Any]) -> str | None:
    """The version of what a read answered with, where its connector or its server names one."""
    meta = result.get("_meta")
    found = meta.get(VERSION) if isinstance(meta, Mapping) else None
    return found if isinstance(found, str) and 0 < len(found) <= _LONGEST_VERSION and found.isprintable() else None


def http_status(result: Mapping[str, Any]) -> int | None:
    """The HTTP status that a result came with, where it came over HTTP from an API."""
    meta = result.get("_meta")
    found = meta.get(HTTP) if isinstance(meta, Mapping) else None
    status = found.get("status") if isinstance(found, Mapping) else None
    return status if isinstance(status, int) else None


def means_absent(text: str) -> bool:
    """Whether an error text says that the thing is not there. An authorisation error never says that."""
    return _ABSENT.search(text) is not None and _FORBIDDEN.search(text) is None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a read was answered: its `data`, or the `problem`. `version` is the upstream's own name for the state."""

    data: JSON
    problem: str | None = None
    version: str | None = None


def answer_of(result: Mapping[str, Any] | None, error: str | None) -> Answer:
    """The answer in a tool's result; `result` is null, with `error`, when the read itself failed."""
    problem = error if result is None else (text_of(result) or "the read failed") if is_error(result) else None
    if result is None or problem is not None:
        return Answer(None, problem)
    return Answer(record(result), None, version_of(result))


def part_of(
    name: str, answer: Answer, *, select: Expression | None, absent: Expression | None, variables: Mapping[str, JSON]
) -> Part:
    """What an answer says of one target: present with its value, absent, or unreadable with the problem."""
    data, problem = answer.data, answer.problem
    seen = {**variables, "result": data, "error": problem}
    try:
        if absent is not None and absent.truth(seen):
            return Part(name, Presence.ABSENT)
        if problem is not None:
            is_absent = absent is None and means_absent(problem)
            return Part(
                name, Presence.ABSENT if is_absent else Presence.UNREADABLE, None, None if is_absent else problem
            )
        value = data if select is None else select.value(seen)
    except ExpressionError as failure:
        return Part(name, Presence.UNREADABLE, None, str(failure))
    version = answer.version if value is not None else None
    return Part(name, Presence.ABSENT if value is None else Presence.PRESENT, value, version=version)


def _unwrapped(structured: JSON) -> JSON:
    if not isinstance(structured, dict) or structured.keys() != {"result"} or not isinstance(structured["result"], str):
        return structured
    inner = _parsed(structured["result"])
    return inner if isinstance(inner, dict | list) else structured


def _parsed(text: str) -> JSON:
    stripped = text.strip()
    if not stripped or stripped[0] not in '{["-0123456789tfn':
        return text
    try:
        return loads(stripped)
    except MalformedJSON:
        return text
