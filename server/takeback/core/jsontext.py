"""JSON as it travels: fast, and without losing what a careless codec loses.

`orjson` reads integers beyond 64 bits as floats; identifiers of that size are seen in the wild, so text that
contains a long run of digits takes the slower standard library, which keeps them. Numbers with a fraction or an
exponent are IEEE doubles, as in RFC 8259 section 6.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

import orjson

JSON: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict with string keys."""

_LONG_NUMBER = re.compile(rb"\d{19}")


class MalformedJSON(ValueError):
    """The text is not JSON that this program accepts; the message says why and quotes nothing of it."""


def loads(text: bytes | bytearray | memoryview | str) -> JSON:
    """Parse JSON text, keeping integers of any size.

    Raises:
        MalformedJSON: not JSON, or it contains NaN or an infinity.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else bytes(text)
    try:
        if _LONG_NUMBER.search(raw) is None:
            return orjson.loads(raw)
        return json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedJSON(f"not valid JSON: {_where(error)}") from None


def loads_strict(text: bytes | str) -> JSON:
    """Parse JSON text and refuse an object that names a key twice (RFC 8785 section 3.1 forbids it).

    Raises:
        MalformedJSON: not JSON, or a key stands twice in one object.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except MalformedJSON:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedJSON(f"not valid JSON: {_where(error)}") from None


def dumps(value: JSON) -> bytes:
    """Compact UTF-8 JSON without a line break, for the wire and for storage."""
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        # Integers beyond 64 bits and lone surrogates: the standard library writes both.
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise MalformedJSON(f"the key {key!r} stands twice in one object")
            seen.add(key)
    return found


def _refuse_constant(name: str) -> JSON:
    raise MalformedJSON(f"{name} is not a JSON number")


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
