"""Keys that have their name already and their behaviour not yet: refused, since ignoring one would break a promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from takeback.core.policy.mistakes import Keys, Mistake

ANY: Final = "*"
"""Stands for every upstream's name and every rule's place."""

LATER: Final[Mapping[tuple[str, ...], str]] = {
    ("upstream", ANY, "stateful"): "know that a restart loses what the upstream remembered",
    ("rule", ANY, "confirm"): "ask a person to confirm what a call came to",
    ("tenants",): "hold several tenants in one guard",
    ("console",): "serve a web page for approvals and recovery",
}
"""What each of these keys will do."""


def later(document: Mapping[str, Any]) -> list[Mistake]:
    """One mistake for each key of the file that is not in this version."""
    return [
        Mistake(keys, f"is not in this version yet: {does}; take it out for now")
        for pattern, does in LATER.items()
        for keys in _matches(document, pattern)
    ]


def _matches(here: Any, pattern: tuple[str, ...]) -> Iterator[Keys]:
    first, *rest = pattern
    for key, value in _children(here):
        if first not in {key, ANY}:
            continue
        if not rest:
            yield (key,)
        yield from ((key, *below) for below in _matches(value, tuple(rest))) if rest else ()


def _children(here: Any) -> list[tuple[str | int, Any]]:
    if isinstance(here, Mapping):
        return list(here.items())
    return list(enumerate(here)) if isinstance(here, list) else []
