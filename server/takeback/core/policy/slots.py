"""Templates of requests: `{name}` stands for an argument, `{{` and `}}` for the braces themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_SLOT: Final = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\}|[{}]")


class BadTemplate(ValueError):
    """A brace stands alone, or holds no name."""


def slots(template: Any) -> frozenset[str]:
    """The arguments that a template names; a table's are those of its strings, however deep.

    Raises:
        BadTemplate: a brace stands alone.
    """
    return frozenset(name for text in _texts(template) for name in _names(text))


def sole(template: str) -> str | None:
    """The argument for which the whole template stands, if it is nothing but `{name}`."""
    found = _SLOT.fullmatch(template)
    return found["name"] if found is not None else None


def filled(template: str, value: Callable[[str], str]) -> str:
    """The template with `value(name)` in each place."""

    def put(found: re.Match[str]) -> str:
        return value(found["name"]) if found["name"] is not None else found[0][:1]

    return _SLOT.sub(put, template)


def _names(text: str) -> Iterator[str]:
    for found in _SLOT.finditer(text):
        if found["name"] is not None:
            yield found["name"]
        elif found[0] in {"{", "}"}:
            raise BadTemplate(f"has a `{found[0]}` that stands alone; write `{found[0] * 2}` for the character itself")


def _texts(here: Any) -> Iterator[str]:
    if isinstance(here, str):
        yield here
    elif isinstance(here, Mapping):
        for value in here.values():
            yield from _texts(value)
    elif isinstance(here, list | tuple):
        for value in here:
            yield from _texts(value)
