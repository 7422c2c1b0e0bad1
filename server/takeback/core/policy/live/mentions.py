"""Which fields an expression selects, as far as its text shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from takeback.core.expressions import VARIABLES
from takeback.core.policy.live.schemas import ITEM

Path = tuple[str, ...]
"""A variable and the fields that are selected of it; `ITEM` steps into a list."""

_TOKEN: Final = re.compile(
    r"""[rRbB]{0,2}(?P<text>'''(?:.|\n)*?'''|\"\"\"(?:.|\n)*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"|(?P<name>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<sign>[^\s\w])"
)
_MACROS: Final = frozenset({"exists", "all", "exists_one", "filter", "map"})
_SAME: Final = frozenset({"filter"})
"""Macros whose value is a list of the same elements."""

_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word of an expression. `kind` is `text`, `name`, `number` or `sign`."""

    kind: str
    word: str

    def is_sign(self, sign: str) -> bool:
        """Whether it is this punctuation mark."""
        return self.kind == "sign" and self.word == sign


@dataclass(frozen=True, slots=True)
class Mentions:
    """What is selected, and what is only asked after (`has(args.x)`, `'x' in args`): that one may be missing."""

    selected: tuple[Path, ...]
    asked_after: frozenset[Path]


@dataclass(slots=True)
class _Scan:
    tokens: Sequence[Token]
    bound: dict[str, Path | None] = field(default_factory=dict)
    selected: list[Path] = field(default_factory=list)
    asked: set[Path] = field(default_factory=set)

    def run(self) -> None:
        for place, token in enumerate(self.tokens):
            if token.kind == "text" and self._word(place + 1) == "in":
                self._asked_in(token, place + 2)
            if token.kind != "name" or self._sign(place - 1, ".") or self._sign(place + 1, "("):
                continue
            path, _ = self.chain(place)
            if path is not None and self._is_in_has(place):
                self.asked.add(path)
            elif path is not None:
                self.selected.append(path)

    def chain(self, place: int) -> tuple[Path | None, int]:
        """The path that begins at a name, and the place after it. None: it begins with nothing known."""
        path = self._root(self.tokens[place].word)
        here = place + 1
        while True:
            step, after = self._next(path, here)
            if step is None:
                return path, after
            path, here = (None if path is None else (*path, *step)), after

    def _next(self, path: Path | None, here: int) -> tuple[Path | None, int]:
        """One more step at `here` (empty: the value stays the same list), or None where the path ends."""
        if self._sign(here, ".") and self._kind(here + 1) == "name":
            if not self._sign(here + 2, "("):
                return (self.tokens[here + 1].word,), here + 2
            return self._method(path, here)
        if self._sign(here, "[") and self._sign(here + 2, "]"):
            inner = self.tokens[here + 1]
            if inner.kind in {"text", "number"}:
                return (unquoted(inner.word) if inner.kind == "text" else ITEM,), here + 3
        return None, here

    def _method(self, path: Path | None, here: int) -> tuple[Path | None, int]:
        method, end = self.tokens[here + 1].word, closing(self.tokens, here + 2)
        if method in _MACROS and self._kind(here + 3) == "name" and self._sign(here + 4, ","):
            variable = self.tokens[here + 3].word
            element = None if path is None else (*path, ITEM)
            self.bound[variable] = element if self.bound.get(variable, element) == element else None
            if method in _SAME:
                return (), end + 1
        return None, end + 1

    def _root(self, name: str) -> Path | None:
        if name in self.bound:
            return self.bound[name]
        return (name,) if name in VARIABLES else None

    def _asked_in(self, text: Token, place: int) -> None:
        if self._kind(place) == "name":
            path, _ = self.chain(place)
            if path is not None:
                self.asked.add((*path, unquoted(text.word)))

    def _is_in_has(self, place: int) -> bool:
        return self._sign(place - 1, "(") and self._word(place - 2) == "has"

    def _sign(self, place: int, sign: str) -> bool:
        return 0 <= place < len(self.tokens) and self.tokens[place].is_sign(sign)

    def _kind(self, place: int) -> str:
        return self.tokens[place].kind if 0 <= place < len(self.tokens) else ""

    def _word(self, place: int) -> str:
        return self.tokens[place].word if self._kind(place) == "name" else ""


def mentions(source: str) -> Mentions:
    """Everything that an expression selects of its variables. What is computed first cannot be followed."""
    scan = _Scan(tokens_of(source))
    scan.run()
    return Mentions(tuple(dict.fromkeys(scan.selected)), frozenset(scan.asked))


def selection(source: str) -> Path | None:
    """The path, where an expression is nothing but one."""
    tokens = tokens_of(source)
    if not tokens or tokens[0].kind != "name":
        return None
    path, after = _Scan(tokens).chain(0)
    return path if after == len(tokens) and not _ends_in_a_call(tokens) else None


def literal_fields(source: str) -> dict[str, str] | None:
    """The fields of an expression that makes an object (`{'a': result.b}`), each with its own expression."""
    tokens = tokens_of(source)
    if not tokens or not tokens[0].is_sign("{") or closing(tokens, 0) != len(tokens) - 1:
        return None
    found: dict[str, str] = {}
    for entry in _split(tokens[1:-1]):
        if [token.kind for token in entry[:2]] != ["text", "sign"] or not entry[1].is_sign(":"):
            return None
        found[unquoted(entry[0].word)] = "".join(token.word for token in _spaced(entry[2:]))
    return found


def tokens_of(source: str) -> list[Token]:
    """The words of an expression."""
    return [Token(str(match.lastgroup), match[str(match.lastgroup)]) for match in _TOKEN.finditer(source)]


def closing(tokens: Sequence[Token], opening: int) -> int:
    """The place of the bracket that closes the one at `opening`; the last place where none does."""
    depth = 0
    for place in range(opening, len(tokens)):
        if tokens[place].kind == "sign":
            depth += (tokens[place].word in _CLOSING) - (tokens[place].word in _CLOSING.values())
        if depth == 0:
            return place
    return len(tokens) - 1


def unquoted(text: str) -> str:
    """What a string literal says, but for its escapes."""
    return text[3:-3] if text[:3] in {"'''", '"""'} else text[1:-1]


def _ends_in_a_call(tokens: Sequence[Token]) -> bool:
    """Whether the last step is a method: its value is not the list that it was called on, unless it keeps the list."""
    if not tokens[-1].is_sign(")"):
        return False
    opening = next(place for place in range(len(tokens)) if closing(tokens, place) == len(tokens) - 1)
    return tokens[opening - 1].word not in _SAME


def _split(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The entries between commas that stand in no further bracket."""
    begin = place = 0
    while place < len(tokens):
        if tokens[place].kind == "sign" and tokens[place].word in _CLOSING:
            place = closing(tokens, place)
        elif tokens[place].is_sign(","):
            yield tokens[begin:place]
            begin = place + 1
        place += 1
    if begin < len(tokens):
        yield tokens[begin:]


def _spaced(tokens: Sequence[Token]) -> Iterator[Token]:
    """The same words; two names that follow each other stay apart."""
    for place, token in enumerate(tokens):
        if place and token.kind in {"name", "number"} and tokens[place - 1].kind in {"name", "number"}:
            yield Token("sign", " ")
        yield token
