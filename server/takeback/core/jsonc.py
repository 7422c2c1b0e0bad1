"""JSON as people keep it in files (comments, trailing commas, a byte order mark): read with places, changed in place.

Nothing is ever written anew. A change replaces some characters of the text, and every other one stays as it was: order,
blanks, line endings, comments, and how a string or a number is spelled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from takeback.core.jsontext import JSON, MalformedJSON

DEEPEST: Final = 100
"""Objects and lists within each other that are read."""

_BLANKS: Final = " \t\r\n"
_ASIDE: Final = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_WORD: Final = re.compile(r"[\w.+-]")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands: `start` to `end`, in characters. `items` are a list's, `members` an object's."""

    start: int
    end: int
    value: JSON
    items: tuple[Item, ...] = ()
    members: tuple[Member, ...] = ()

    def member(self, name: str) -> Member | None:
        """The member of this name; the last one, as in every reader of JSON, where it stands several times."""
        return next((member for member in reversed(self.members) if member.name == name), None)

    def at(self, *names: str) -> Node | None:
        """What a path of names leads to."""
        node: Node | None = self
        for name in names:
            member = node.member(name) if node is not None else None
            node = member.value if member is not None else None
        return node


@dataclass(frozen=True, slots=True)
class Item:
    """An element of a list; `comma` is the place of the comma that follows it."""

    value: Node
    comma: int | None

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.value.start


@dataclass(frozen=True, slots=True)
class Member:
    """A name of an object with its value; `comma` is the place of the comma that follows it."""

    key: Node
    value: Node
    comma: int | None

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.key.value)

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.key.start


def read(text: str) -> Node:
    """The document of a text, with the place of everything in it.

    Raises:
        MalformedJSON: it is none; the message names line and column and quotes nothing.
    """
    reader = _Reader(text)
    node = reader.value(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.expected("the end of the file")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 1 if text.startswith("\ufeff") else 0

    def skip(self) -> None:
        found = _ASIDE.match(self._text, self.at)
        self.at = found.end() if found else self.at

    def expected(self, what: str) -> MalformedJSON:
        before = self._text[: self.at]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return MalformedJSON(f"line {line}, column {column}: {what} is expected")

    def value(self, depth: int) -> Node:
        self.skip()
        here = self._text[self.at : self.at + 1]
        if here in {"{", "["}:
            if depth == DEEPEST:
                raise self.expected(f"a depth of at most {DEEPEST}")
            return self._object(depth + 1) if here == "{" else self._list(depth + 1)
        return self._scalar(_STRING if here == '"' else _PLAIN, "a string" if here == '"' else "a value")

    def _scalar(self, pattern: re.Pattern[str], what: str) -> Node:
        found = pattern.match(self._text, self.at)
        if found is None or (pattern is _PLAIN and _WORD.match(self._text, found.end())):
            raise self.expected(what)
        try:
            value = json.loads(found[0])
        except ValueError:  # a bad escape, or a number that Python does not take
            raise self.expected(what) from None
        self.at = found.end()
        return Node(found.start(), found.end(), value)

    def _list(self, depth: int) -> Node:
        start, items = self.at, list[Item]()
        self.at += 1
        while not self._ended("]", bool(items) and items[-1].comma is None):
            value = self.value(depth)
            items.append(Item(value, self._comma()))
        return Node(start, self.at, [item.value.value for item in items], items=tuple(items))

    def _object(self, depth: int) -> Node:
        start, members = self.at, list[Member]()
        self.at += 1
        while not self._ended("}", bool(members) and members[-1].comma is None):
            key = self._scalar(_STRING, "a name in quotation marks")
            self.skip()
            if not self._text.startswith(":", self.at):
                raise self.expected("a colon")
            self.at += 1
            value = self.value(depth)
            members.append(Member(key, value, self._comma()))
        return Node(start, self.at, {m.name: m.value.value for m in members}, members=tuple(members))

    def _ended(self, bracket: str, must_end: bool) -> bool:
        self.skip()
        if self._text.startswith(bracket, self.at):
            self.at += 1
            return True
        if must_end:
            raise self.expected(f"a comma or {bracket}")
        return False

    def _comma(self) -> int | None:
        self.skip()
        if not self._text.startswith(",", self.at):
            return None
        self.at += 1
        return self.at - 1


# --- Changes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Characters `start` to `end` become `text`."""

    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they name places in the text as it was.

    Raises:
        ValueError: two of them want the same characters.
    """
    pieces, at = list[str](), 0
    for edit in sorted(edits):
        if edit.start < at:
            raise ValueError("two edits overlap")
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*pieces, text[at:]])


def spelled(value: str | list[str]) -> str:
    """A string, or a list of them, on one line."""
    return json.dumps(value, ensure_ascii=False)


def replaced(node: Node, text: str) -> Edit:
    """Another text in the place of this value (or name)."""
    return Edit(node.start, node.end, text)


def added(text: str, after: Member, name: str, value: str) -> Edit:
    """A new member behind another one, laid out as that is; `value` is its text."""
    gap = text[_blanks_before(text, after.start) : after.start] or " "
    between = text[after.key.end : after.value.start]
    colon = between if between.strip(_BLANKS) == ":" else ": "
    return Edit(after.value.end, after.value.end, f",{gap}{spelled(name)}{colon}{value}")


def removed(text: str, members: tuple[Member, ...], *names: str) -> list[Edit]:
    """Without the members of these names. Comments beside them stay, and so does the line break that ends one."""
    going = [member for member in members if member.name in names]
    staying = [member for member in members if member.name not in names]
    edits = []
    for member in going:
        before = _blanks_before(text, member.start)
        edits.append(Edit(before if text[before - 1] in "{," else member.start, member.value.end, ""))
    commas = [member.comma for member in going]
    if going and members[-1].comma is None and going[-1] is members[-1] and staying:
        commas.append(staying[-1].comma)  # nothing follows it any more
    return [*edits, *(Edit(comma, comma + 1, "") for comma in commas if comma is not None)]


def prefixed(node: Node, words: list[str]) -> Edit:
    """A list with these texts as its first elements."""
    if node.items:
        return Edit(node.items[0].start, node.items[0].start, "".join(f"{word}, " for word in words))
    return Edit(node.start + 1, node.start + 1, ", ".join(words))


def shortened(node: Node, count: int) -> list[Edit]:
    """A list without its first elements."""
    first, last = node.items[0], node.items[count - 1]
    if count < len(node.items):
        return [Edit(first.start, node.items[count].start, "")]
    edits = [Edit(first.start, last.value.end, "")]
    return [*edits, Edit(last.comma, last.comma + 1, "")] if last.comma is not None else edits


def _blanks_before(text: str, at: int) -> int:
    while at and text[at - 1] in _BLANKS:
        at -= 1
    return at
