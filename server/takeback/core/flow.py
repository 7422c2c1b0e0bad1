"""The flow of data between actions, as it was recorded: what one call returned and a later one passed on.

A value counts only where it can tell one thing from another (an id, a key, a number under such a name), so that two
calls that happen to say "open" do not seem to depend on each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from takeback.core.jsontext import JSON
from takeback.core.redaction import is_redacted

_NAMING: Final = re.compile(r"(^|_|-)(id|ids|uid|uuid|guid|key|number|no|ref|reference|handle|token|slug|sha|url|uri)$")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TELLING: Final = re.compile(r"(?=.*\d)[\w.:/@+-]{6,200}")
_LONGEST: Final = 200


def produced(result: JSON, arguments: JSON) -> frozenset[str]:
    """What a call returned that it had not been given and that names something."""
    given = frozenset(_texts(arguments))
    return frozenset(text for text in naming(result) if text not in given)


def naming(value: JSON) -> Iterator[str]:
    """The values that name something, wherever they stand."""
    for name, leaf in _leaves("", value):
        if isinstance(leaf, bool) or not isinstance(leaf, str | int):
            continue
        text = str(leaf)
        if not 0 < len(text) <= _LONGEST:
            continue
        named = _NAMING.search(_CAMEL.sub("_", name).lower()) is not None
        if named or (isinstance(leaf, str) and _TELLING.fullmatch(text)):
            yield text


def _texts(value: JSON) -> Iterator[str]:
    return (str(leaf) for _, leaf in _leaves("", value) if isinstance(leaf, str | int) and not isinstance(leaf, bool))


def _leaves(name: str, value: JSON) -> Iterator[tuple[str, JSON]]:
    if isinstance(value, Mapping):
        if not is_redacted(value):
            for key, item in value.items():
                yield from _leaves(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(name, item)
    else:
        yield name, value


def passed_on(made: Iterable[str], arguments: JSON) -> bool:
    """Whether arguments hold a value that an earlier call made: exactly, or as a part of a path or an address."""
    known = frozenset(made)
    if not known:
        return False
    return any(text in known or not known.isdisjoint(_PARTS.split(text)) for text in _texts(arguments))


_PARTS: Final = re.compile(r"[/?&=#\s]+")
