"""Names taken apart into words: camelCase, PascalCase, snake_case, kebab-case, dotted, and mixtures of them."""

from __future__ import annotations

import re
from typing import Final

_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_UNCHANGED: Final = frozenset(
    {"status", "alias", "address", "access", "process", "progress", "business", "news", "this"}
)
_ENDINGS: Final = (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ses", "se"))


def vocabulary(text: str) -> frozenset[str]:
    """The words of a list that is written as a text."""
    return frozenset(text.split())


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: `getOrCreate_user2` is get, or, create, user, 2."""
    return tuple(part.lower() for part in _PARTS.findall(name))


def singular(word: str) -> str:
    """One of several: `tickets` is ticket, `entries` is entry. A guess, the same for both words that are compared."""
    if word in _UNCHANGED or len(word) <= len("abc") or word.endswith(("ss", "us", "is")):
        return word
    for ending, one in _ENDINGS:
        if word.endswith(ending):
            return word.removesuffix(ending) + one
    return word.removesuffix("s")


def is_plural(word: str) -> bool:
    """Whether a word names several."""
    return singular(word) != word


def key(name: str) -> str:
    """A name without its spelling: `issueKey`, `issue_key` and `issue-keys` are one argument."""
    return "_".join(singular(word) for word in words(name))
