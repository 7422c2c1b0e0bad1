"""Column types that mean the same in both databases: instants, JSON documents, and text that may hold anything."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator

from takeback.core.jsontext import JSON, MalformedJSON, dumps, loads

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

# PostgreSQL has no place for NUL in text, and neither database for a lone surrogate. Labels come from upstreams.
_UNSTORABLE: Final = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED: Final = re.compile("\x1a([0-9a-f]{4})")


def to_micros(at: datetime) -> int:
    """An aware time as microseconds since 1970. Raises TypeError for a naive one."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The time, aware and in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def storable(text: str) -> str:
    """Text that both databases can hold; `restored` is its inverse."""
    return _UNSTORABLE.sub(lambda found: f"\x1a{ord(found[0]):04x}", text)


def restored(text: str) -> str:
    """What was given to `storable`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "\x1a" in text else text


class Instant(TypeDecorator[datetime]):
    """A time as microseconds since 1970: sorts alike in both databases, and is exact."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else from_micros(value)


class Document(TypeDecorator[JSON]):
    """JSON as text, so that integers of any size survive. None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JSON, dialect: Dialect) -> str | None:
        """To the database. NUL and surrogates are escapes within JSON, so they need no further care."""
        return None if value is None else dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """From the database."""
        if value is None:
            return None
        try:
            return loads(value)
        except MalformedJSON:
            # Upstreams do send lone surrogates. The fast reader refuses them, and what was written must be read again.
            return json.loads(value)


class FreeText(TypeDecorator[str]):
    """Text that somebody else wrote: any Python string."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else storable(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """From the database."""
        return None if value is None else restored(value)
