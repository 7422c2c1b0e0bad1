"""The canonical form of a JSON value, and digests over it.

RFC 8785 (JSON Canonicalization Scheme), extended in one point: integers beyond 2**53 keep all their digits, since
identifiers of that size must not collide. Everything else is the RFC: keys sorted by UTF-16 code units, numbers as
ECMAScript prints them.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Final

import orjson
import rfc8785

from takeback.core.jsontext import JSON

_SAFE: Final = 2**53 - 1


class NotCanonical(ValueError):
    """The value has no canonical form (a float that is not finite, a lone surrogate, a key that is no string)."""


def canonical(value: JSON) -> bytes:
    """The canonical form as UTF-8 bytes.

    Raises:
        NotCanonical: the value has none.
    """
    try:
        if _plain(value):
            with suppress(orjson.JSONEncodeError):  # nested deeper than it goes
                return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return b"".join(_pieces(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(f"no canonical form: {type(error).__name__}") from None


def digest(value: JSON) -> str:
    """SHA-256 over the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _plain(value: JSON) -> bool:
    """Whether `orjson` with sorted keys gives the canonical form: ASCII keys, no floats, no big integers.

    It sorts keys by UTF-8 bytes, which for ASCII is also the order of UTF-16 code units.
    """
    kind = type(value)
    if kind is str:
        ascii_only: bool = value.isascii()
        return ascii_only
    if value is None or kind is bool:
        return True
    if kind is int:
        safe: bool = -_SAFE <= value <= _SAFE
        return safe
    if kind is dict:
        return all(type(key) is str and key.isascii() and _plain(item) for key, item in value.items())
    return kind is list and all(map(_plain, value))


def _pieces(value: JSON) -> list[bytes]:
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return [rfc8785.dumps(value)]
    if isinstance(value, int):
        return [str(value).encode("ascii")]
    if isinstance(value, list | tuple):
        return [b"[", *_joined([b"".join(_pieces(item)) for item in value]), b"]"]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise NotCanonical("no canonical form: an object's key is not a string")
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return [b"{", *_joined([rfc8785.dumps(key) + b":" + b"".join(_pieces(value[key])) for key in keys]), b"}"]
    raise NotCanonical(f"no canonical form: {type(value).__name__} is not JSON")


def _joined(pieces: list[bytes]) -> list[bytes]:
    return [b",".join(pieces)]
