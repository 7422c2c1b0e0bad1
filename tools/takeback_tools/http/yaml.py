"""YAML as its version 1.2 reads JSON: no dates, no `yes` for true, no classes; bounded in depth and size.

Built from the parser's events, without recursion: composing deep nesting in libyaml's loader ends the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from takeback.core.jsontext import JSON

DEEPEST: Final = 200
"""How deep a document may be nested."""

MOST_NODES: Final = 3_000_000
"""Values in a document, those that aliases repeat counted each time they are repeated."""

_INT: Final = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class UnreadableYaml(ValueError):
    """It is no YAML, or beyond the bounds; the message says which."""


def loads(text: bytes) -> JSON:
    """The one document of a YAML text, as JSON values.

    Raises:
        UnreadableYaml: not YAML, more than one document, keys that are no texts, or beyond the bounds.
    """
    try:
        return _Building().built(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise UnreadableYaml(f"not valid YAML: {_where(error)}") from None
    except UnicodeError:
        raise UnreadableYaml("not valid YAML: not UTF-8") from None


class _Building:
    def __init__(self) -> None:
        self._open: list[tuple[Any, str | None]] = []
        self._keys: list[str | None] = []
        self._anchors: dict[str, tuple[JSON, int]] = {}
        self._starts: list[int] = []
        self._nodes = 0
        self._root: list[JSON] = []

    def built(self, events: Iterator[Any]) -> JSON:
        for event in events:
            match event:
                case yaml.MappingStartEvent():
                    self._begin({}, event.anchor)
                case yaml.SequenceStartEvent():
                    self._begin([], event.anchor)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.AliasEvent():
                    self._alias(event.anchor)
                case _:
                    continue
        if len(self._root) > 1:
            raise UnreadableYaml("more than one YAML document")
        return self._root[0] if self._root else None

    def _begin(self, value: Any, anchor: str | None) -> None:
        if len(self._open) >= DEEPEST:
            raise UnreadableYaml(f"nested more than {DEEPEST} deep")
        self._count(1)
        self._open.append((value, anchor))
        self._keys.append(None)
        self._starts.append(self._nodes)

    def _end(self) -> None:
        value, anchor = self._open.pop()
        self._keys.pop()
        size = self._nodes - self._starts.pop() + 1
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        self._put(value)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._count(1)
        is_key = bool(self._open) and isinstance(self._open[-1][0], dict) and self._keys[-1] is None
        value = event.value if is_key or not event.implicit[0] else _resolved(event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(value)

    def _alias(self, anchor: str | None) -> None:
        if anchor is None or anchor not in self._anchors:
            raise UnreadableYaml("an alias stands for something that contains it, or for nothing")
        value, size = self._anchors[anchor]
        self._count(size)
        self._put(value)

    def _put(self, value: JSON) -> None:
        if not self._open:
            self._root.append(value)
            return
        holder = self._open[-1][0]
        if isinstance(holder, list):
            holder.append(value)
        elif self._keys[-1] is None:
            if not isinstance(value, str):
                raise UnreadableYaml("a key is no text")
            self._keys[-1] = value
        else:
            holder[self._keys[-1]] = value
            self._keys[-1] = None

    def _count(self, more: int) -> None:
        self._nodes += more
        if self._nodes > MOST_NODES:
            raise UnreadableYaml(f"more than {MOST_NODES} values")


def _resolved(text: str) -> JSON:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0 if text[:2] in {"0o", "0x"} else 10)
    return float(text) if _FLOAT.fullmatch(text) else text


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "it cannot be parsed")
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else problem
