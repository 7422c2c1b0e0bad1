"""A tool as it is offered, taken apart: the verb of its name, what the verb is said of, arguments, hints, HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.inventory.arguments import Argument, arguments, branches, json_type
from takeback.core.inventory.verbs import THINGS, Deed, deed_of, is_noun_too, turns
from takeback.core.inventory.words import singular, vocabulary, words

HTTP_META: Final = "io.takeback/http"
"""Where a connector says by which request a tool is carried out: `method`, `path`."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:-]+")
_PREPOSITIONS: Final = vocabulary("by for from in with via to on of at into using per as within under")
_QUALIFIERS: Final = vocabulary(
    "detail info information content data metadata list all my the a an text current single multiple many one "
    "recent latest batch bulk more new existing specific full"
)


@dataclass(frozen=True, slots=True)
class Http:
    """The request behind a tool: `GET`, and the segments of its path with `{}` for each parameter."""

    method: str
    segments: tuple[str, ...]

    @property
    def is_safe(self) -> bool:
        """Whether the method only asks, by the standard."""
        return self.method in {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool, taken apart. `verb` is None where the name has none; `strays` are further verbs of change in the name."""

    name: str
    verb: str | None
    deed: Deed | None
    strays: tuple[str, ...]
    family: tuple[str, ...]
    noun: tuple[str, ...]
    place: tuple[str, ...]
    title: str
    description: str
    arguments: tuple[Argument, ...]
    hints: Mapping[str, Any]
    http: Http | None
    output: Mapping[str, Any] | None

    @property
    def is_plain(self) -> bool:
        """Whether a rule can spell the name. In any other, something might be a pattern."""
        return _PLAIN.fullmatch(self.name) is not None

    @property
    def required(self) -> tuple[Argument, ...]:
        """The arguments that it cannot do without."""
        return tuple(argument for argument in self.arguments if argument.required)

    def argument(self, key: str) -> Argument | None:
        """The argument with this key."""
        return next((argument for argument in self.arguments if argument.key == key), None)


def taken_apart(definition: Mapping[str, Any]) -> Offered:
    """A definition as the upstream sent it. Whatever has the wrong shape is taken for not there."""
    name = str(definition.get("name") or "")
    hints = definition.get("annotations")
    hints = hints if isinstance(hints, Mapping) else {}
    parts = words(name)
    at = head(parts)
    family, rest = ((), parts) if at is None else (parts[:at], parts[at + 1 :])
    if at is not None and not rest:
        family, rest = (), parts[:at]
    noun, place = phrase(rest)
    return Offered(
        name=name,
        verb=None if at is None else parts[at],
        deed=None if at is None else _deed(parts, at),
        strays=_strays(parts, at),
        family=family,
        noun=noun,
        place=place,
        title=str(definition.get("title") or hints.get("title") or ""),
        description=str(definition.get("description") or ""),
        arguments=arguments(definition.get("inputSchema")),
        hints=hints,
        http=_http(definition.get("_meta")),
        output=_output(definition.get("outputSchema")),
    )


def head(parts: tuple[str, ...]) -> int | None:
    """Where the verb of a name stands: one that leads, else the first that is nothing else."""
    verbs = [index for index, word in enumerate(parts) if deed_of(word) is not None]
    sure = [index for index in verbs if not is_noun_too(parts[index])]
    if 0 in verbs and (not sure or sure[0] != len(parts) - 1 or parts[0] not in THINGS):
        return 0
    if sure:
        return sure[0]
    last = len(parts) - 1
    return next((index for index in verbs if index < last or deed_of(parts[index]) is Deed.LOOK), None)


def phrase(rest: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a verb is said of, and where: `issue` and `sprint` of "issues to sprint", without what only qualifies."""
    cut = next((index for index, word in enumerate(rest) if word in _PREPOSITIONS and index), len(rest))
    noun, place = rest[:cut], rest[cut + 1 :]
    if noun[:1] and noun[0] in _PREPOSITIONS:
        noun = noun[1:]
    return _unqualified(noun), _unqualified(place)


def _unqualified(parts: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(map(singular, parts))
    kept = tuple(word for word in found if word not in _QUALIFIERS)
    return kept or found


def _deed(parts: tuple[str, ...], at: int) -> Deed | None:
    following = parts[at + 1] if at + 1 < len(parts) else ""
    return Deed.UPDATE if turns(parts[at], following) else deed_of(parts[at])


def _strays(parts: tuple[str, ...], at: int | None) -> tuple[str, ...]:
    """Verbs of change beside the head: sure ones anywhere, others after `and` and `or`."""
    return tuple(
        word
        for index, word in enumerate(parts)
        if index != at
        and deed_of(word) not in {None, Deed.LOOK}
        and (not is_noun_too(word) or (index > 0 and parts[index - 1] in {"and", "or", "then"}))
    )


def _http(meta: Any) -> Http | None:
    given = meta.get(HTTP_META) if isinstance(meta, Mapping) else None
    if not isinstance(given, Mapping):
        return None
    segments = [segment for segment in str(given.get("path") or "").split("/") if segment]
    return Http(
        str(given.get("method") or "").upper(), tuple("{}" if "{" in segment else segment for segment in segments)
    )


def _output(schema: Any) -> Mapping[str, Any] | None:
    """The fields of what a tool answers, each with its schema; None where that is not known."""
    if not isinstance(schema, Mapping):
        return None
    found: dict[str, Any] = {}
    for branch in branches(schema):
        properties = branch.get("properties")
        if isinstance(properties, Mapping):
            found |= {str(name): each if isinstance(each, Mapping) else {} for name, each in properties.items()}
    is_wrapped_text = set(found) == {"result"} and json_type(found["result"]) in {"string", ""}
    return None if not found or is_wrapped_text else found
