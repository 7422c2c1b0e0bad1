"""The file as data: parsed, and free of what no key of a policy may hold."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, time
from typing import Any, Final

from takeback.core.policy.mistakes import Keys, Mistake

DEEPEST: Final = 24
"""How deep tables and lists may be nested: far deeper than policies are, far from where recursion ends."""

LONGEST: Final = 8_000
"""Characters in one string: the expression parser is recursive, too."""

_AT: Final = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)


class Unreadable(Exception):
    """There is no document to look at further; `mistake` says why."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


def parse(text: str | bytes) -> dict[str, Any]:
    """The file as tables.

    Raises:
        Unreadable: it is not UTF-8, not TOML (with line and column), or nested beyond reason.
    """
    try:
        decoded = (text if isinstance(text, bytes) else text.encode()).decode("utf-8-sig")
    except UnicodeError:
        raise Unreadable(Mistake((), "the file is not UTF-8 text", "save it as UTF-8")) from None
    try:
        document = tomllib.loads(decoded)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(Mistake((), _syntax(str(error)))) from None
    except ValueError:
        raise Unreadable(Mistake((), "not TOML: a number has too many digits")) from None
    except RecursionError:
        raise _too_deep() from None
    if _depth_exceeds(document):
        raise _too_deep()
    return document


def shape(document: Mapping[str, Any]) -> list[Mistake]:
    """Values that TOML has and a policy has no use for: dates, numbers that are not finite, endless strings."""
    return [Mistake(keys, problem) for keys, value in leaves(document) if (problem := _misshapen(value))]


def leaves(here: Any, keys: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every value that is neither a table nor a list, with the keys that lead to it."""
    if isinstance(here, Mapping):
        for key, value in here.items():
            yield from leaves(value, (*keys, key))
    elif isinstance(here, list):
        for index, value in enumerate(here):
            yield from leaves(value, (*keys, index))
    else:
        yield keys, here


def without(document: dict[str, Any], keys: Keys) -> dict[str, Any]:
    """A copy without what stands at `keys`; an element of a list becomes an empty table, so that places stay."""
    copy: dict[str, Any] = _without(document, keys)
    return copy


def _without(here: Any, keys: Keys) -> Any:
    first, *rest = keys
    if isinstance(here, dict) and first in here:
        if rest:
            return {**here, first: _without(here[first], tuple(rest))}
        return {key: value for key, value in here.items() if key != first}
    if isinstance(here, list) and isinstance(first, int) and first < len(here):
        return [*here[:first], _without(here[first], tuple(rest)) if rest else {}, *here[first + 1 :]]
    return here


def _misshapen(value: object) -> str:
    if isinstance(value, date | time):
        return "no key takes a date or a time; write it as a string"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    return f"is longer than {LONGEST} characters" if isinstance(value, str) and len(value) > LONGEST else ""


def _depth_exceeds(document: object) -> bool:
    layer: list[Any] = [document]
    for _ in range(DEEPEST):
        layer = [item for here in layer for item in _inside(here)]
        if not layer:
            return False
    return True


def _inside(here: object) -> list[Any]:
    if isinstance(here, Mapping):
        return list(here.values())
    return here if isinstance(here, list) else []


def _too_deep() -> Unreadable:
    return Unreadable(Mistake((), f"tables and lists are nested more than {DEEPEST} deep"))


def _syntax(message: str) -> str:
    found = _AT.fullmatch(message)
    if found is None:
        return f"not TOML: {message}"
    what = found["what"][:1].lower() + found["what"][1:]
    where = f"line {found['line']}, column {found['column']}" if found["line"] else "end of the file"
    return f"{where}: not TOML: {what}"
