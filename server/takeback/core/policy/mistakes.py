"""Mistakes in a policy file: where, what, and what was probably meant. All of them are told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

Keys = tuple[str | int, ...]
"""The way to a value: keys of tables, and places in lists counted from 0 (people are shown them counted from 1)."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: the keys that lead to it, what is wrong, what to do.

    `tool` tells which rule it stands in, `file` in which file, where that is not the one that was loaded.
    """

    keys: Keys
    message: str
    suggestion: str = ""
    tool: str = ""
    file: str = ""

    @property
    def path(self) -> str:
        """The key path as the file spells it; `rule[3]` is the third `[[rule]]`."""
        return spelled(self.keys)

    def __str__(self) -> str:
        where = f"{self.path} ({self.tool})" if self.tool else self.path
        where = f"{self.file}: {where}" if self.file else where
        told = f"{self.message}; {self.suggestion}" if self.suggestion else self.message
        return _printable(f"{where}: {told}" if where else told)


class PolicyMistakes(Exception):
    """The policy cannot be used. `mistakes` are all that were found; as a string, one line each."""

    def __init__(self, mistakes: Iterable[Mistake], source: str) -> None:
        self.mistakes = tuple(mistakes)
        self.source = source
        count = "a mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__("\n".join([f"{source} has {count}:", *map(str, self.mistakes)]))


def spelled(keys: Keys) -> str:
    """A key path as the file spells it, places in lists counted from 1."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key + 1}]"
        else:
            text += ("." if text else "") + (key if _BARE.fullmatch(key) else f'"{key}"')
    return text


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`did you mean ...?` for a word that is close to one of `words`, else nothing."""
    found = get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else ""


def listed(words: Iterable[str], last: str = "or") -> str:
    """`"a", "b" or "c"`."""
    quoted = [f'"{word}"' for word in words]
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def at(document: Any, keys: Keys) -> Any:
    """What stands at `keys`; None where nothing does."""
    here = document
    for key in keys:
        if isinstance(here, Mapping) and isinstance(key, str):
            here = here.get(key)
        elif isinstance(here, list) and isinstance(key, int) and key < len(here):
            here = here[key]
        else:
            return None
    return here


def told(document: Mapping[str, Any], *phases: Iterable[Mistake]) -> list[Mistake]:
    """Mistakes for people: in the order of the file, each with its rule's tool.

    Phases look one after the other; what a later one says about a place that is wrong already would only be noise.
    """
    kept: list[Mistake] = []
    for phase in phases:
        fresh = [mistake for mistake in dict.fromkeys(phase) if not any(_covers(known, mistake) for known in kept)]
        kept += fresh
    named = [replace(mistake, tool=_tool(document, mistake.keys)) for mistake in kept]
    return sorted(named, key=lambda mistake: _position(document, mistake.keys))


def _covers(known: Mistake, mistake: Mistake) -> bool:
    """Whether one stands above the other. A whole rule or upstream is not wrong for a key of it that is."""
    shared = min(len(known.keys), len(mistake.keys))
    enough = shared if len(known.keys) <= len(mistake.keys) else len(("rule", 0, "key"))
    return 0 < enough <= shared and known.keys[:shared] == mistake.keys[:shared]


def _tool(document: Mapping[str, Any], keys: Keys) -> str:
    tool = at(document, (*keys[:2], "tool")) if keys[:1] == ("rule",) and len(keys) > 1 else None
    return tool[:80] if isinstance(tool, str) else ""


def _position(document: Any, keys: Keys) -> tuple[int, ...]:
    found: list[int] = []
    here = document
    for key in keys:
        if isinstance(key, int):
            found.append(key)
        else:
            known = list(here) if isinstance(here, Mapping) else []
            found.append(known.index(key) if key in known else len(known))
        here = at(here, (key,))
    return tuple(found)


def _printable(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)
