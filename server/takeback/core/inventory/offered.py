"""A tool as it is offered, taken apart: the verb of its name, what the verb is said of, arguments, hints, HTTP."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
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

_COUNTS: Final = frozenset({"many", "one", "all", "multiple", "single"})
_SURE_IN_NAMES: Final = frozenset({"accept", "reject", "enable", "apply"})
_JOINERS: Final = frozenset({"and", "or", "then"})
_RUN_TOGETHER: Final = vocabulary(
    "delete remove create update insert publish execute destroy modify overwrite install revoke cancel approve archive "
    "assign disable enable rename replace submit upload purge"
)
"""Verbs that are found in names without any sign between the words: `deleteuser`."""

_OF_NOUNS: Final = (
    "ation",
    "ion",
    "er",
    "ers",
    "or",
    "ors",
    "ed",
    "ment",
    "ments",
    "able",
    "s",
    "d",
    "r",
    "al",
    "als",
    "ations",
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


def families_of(definitions: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Words with which several tools of a server begin, each before a verb: `git_add`, `git_show`."""
    names = [words(str(definition.get("name") or "")) for definition in definitions]
    first = Counter(
        parts[0] for parts in names if len(parts) > 1 and deed_of(parts[0]) is None and _is_verb_only(parts[1])
    )
    return frozenset(word for word, count in first.items() if count > 1)


def _is_verb_only(word: str) -> bool:
    return deed_of(word) is not None and not is_noun_too(word)


def taken_apart(definition: Mapping[str, Any], families: frozenset[str] = frozenset()) -> Offered:
    """A definition as the upstream sent it. Whatever has the wrong shape is taken for not there.

    `families` are the words that stand before the verbs of this server's tools.
    """
    name = str(definition.get("name") or "")
    hints = definition.get("annotations")
    hints = hints if isinstance(hints, Mapping) else {}
    parts = words(name)
    at = head(parts, families)
    family, rest = ((), parts) if at is None else (parts[:at], parts[at + 1 :])
    if at is not None and not rest and not set(family) <= set(families):
        family, rest = (), parts[:at]
    noun, place = phrase(rest)
    http = _http(definition.get("_meta"))
    family = tuple(word for word in family if word not in _QUALIFIERS)
    return Offered(
        name=name,
        verb=None if at is None else parts[at],
        deed=None if at is None else _deed(parts, at),
        strays=_strays(parts, at),
        family=family,
        noun=noun,
        place=place,
        title=str(definition.get("title") or hints.get("title") or ""),
        description=_description(definition, http),
        arguments=arguments(definition.get("inputSchema")),
        hints=hints,
        http=http,
        output=_output(definition.get("outputSchema")),
    )


def _description(definition: Mapping[str, Any], http: Http | None) -> str:
    """What the upstream says. Where it says nothing, a connector names the request (`POST /notes`)."""
    said = str(definition.get("description") or "")
    return "" if http is not None and said.startswith(f"{http.method} /") else said


def head(parts: tuple[str, ...], families: Container[str] = frozenset()) -> int | None:
    """Where the verb of a name stands: one that leads, else the first that is nothing else."""
    verbs = [index for index, word in enumerate(parts) if deed_of(word) is not None]
    sure = [index for index in verbs if not is_noun_too(parts[index])]
    if 0 in verbs and (not sure or sure[0] != len(parts) - 1 or parts[0] not in THINGS):
        return 0
    if sure:
        return sure[0]
    last = len(parts) - 1
    of_a_family = last == 1 and parts[0] in families and parts[1] not in THINGS
    return next((index for index in verbs if index < last or of_a_family or deed_of(parts[index]) is Deed.LOOK), None)


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
    return kept or tuple(word for word in found if word not in _COUNTS)


def _deed(parts: tuple[str, ...], at: int) -> Deed | None:
    """What the verb of a name does. To return something, or to check an item, is to look only in prose."""
    following = parts[at + 1] if at + 1 < len(parts) else ""
    ticks_off = parts[at] == "check" and singular(parts[-1]) in {"item", "task", "todo", "box", "checkbox", "checklist"}
    acts = turns(parts[at], following) or parts[at] == "return" or ticks_off
    return Deed.UPDATE if acts else deed_of(parts[at])


def _strays(parts: tuple[str, ...], at: int | None) -> tuple[str, ...]:
    """Verbs of change beside the head: sure ones anywhere, others after `and`, and what is joined to the head by it."""
    found = []
    for index, word in enumerate(parts):
        joined = index > 0 and parts[index - 1] in _JOINERS
        sure = not is_noun_too(word) or word in _SURE_IN_NAMES
        changes = deed_of(word) not in {None, Deed.LOOK} and (joined or sure)
        beside_the_verb = joined and at is not None and index == at + 2 and deed_of(word) is not Deed.LOOK
        if index != at and (changes or beside_the_verb or _is_run_together(word)):
            found.append(word)
    return tuple(found)


def _is_run_together(word: str) -> bool:
    if deed_of(word) is not None:
        return False
    rest = next((word.removeprefix(verb) for verb in _RUN_TOGETHER if word.startswith(verb)), "")
    return len(rest) > len("ab") and rest not in _OF_NOUNS


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
