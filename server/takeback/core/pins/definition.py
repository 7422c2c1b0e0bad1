"""The part of a tool's definition that is pinned, its digest, and the difference between two of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from takeback.core.canonical import NotCanonical, canonical, digest
from takeback.core.images import same
from takeback.core.jsontext import JSON

LONGEST_NAME: Final = 256
"""Characters of a tool's name. The protocol allows 128."""

LARGEST: Final = 256 * 1024
"""Bytes of the canonical form of a definition."""

LONGEST_SHOWN: Final = 4000
"""Characters of one value that a person is shown."""

_LEFT_OUT: Final = frozenset({"icons"})
_PROTOCOL: Final = "io.modelcontextprotocol/"
_PLAIN: Final = re.compile(r"[\w$./-]+", re.ASCII)
_DEEPEST: Final = 12
_CONTEXT: Final = 30


class NotPinnable(ValueError):
    """A definition that cannot be pinned; the message says why, for a sentence that has named the tool."""


def pinned_part(raw: Mapping[str, Any]) -> dict[str, JSON]:
    """What of a definition is pinned: all of it that a model, a client or the guard acts upon.

    Left out are `icons` (pictures, whose addresses change with every release and which no model reads) and the keys of
    `_meta` that the protocol reserves for the hop.
    """
    kept = {key: value for key, value in raw.items() if key not in _LEFT_OUT}
    meta = kept.get("_meta")
    if isinstance(meta, Mapping):
        ours = {key: value for key, value in meta.items() if not str(key).startswith(_PROTOCOL)}
        kept = {key: value for key, value in kept.items() if key != "_meta"} | ({"_meta": ours} if ours else {})
    return kept


def definition_digest(raw: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical form of the pinned part.

    Raises:
        NotPinnable: it has none, or it is too large to be kept.
    """
    part = pinned_part(raw)
    if len(str(raw.get("name", ""))) > LONGEST_NAME:
        raise NotPinnable(f"its name has more than {LONGEST_NAME} characters")
    try:
        size = len(canonical(part))
        if size > LARGEST:
            raise NotPinnable(f"its definition has {size} bytes, and more than {LARGEST} are not kept")
        return digest(part)
    except NotCanonical:
        raise NotPinnable("its definition is not plain JSON") from None


@dataclass(frozen=True, slots=True)
class Edit:
    """One field of a definition that differs. `path` are the keys that lead there; `kind` is `+`, `-` or `~`.

    What is not there (before an addition, after a removal) is null.
    """

    path: tuple[str, ...]
    kind: Literal["+", "-", "~"]
    before: JSON
    after: JSON

    @property
    def field(self) -> str:
        """The path for people: what is not plain ASCII is escaped."""
        return ".".join(key if _PLAIN.fullmatch(key) else _escaped(key) for key in self.path)


def edits(before: JSON, after: JSON) -> tuple[Edit, ...]:
    """What differs, field by field; a list is one value."""
    return tuple(_edits(before, after, ()))


def _edits(before: JSON, after: JSON, path: tuple[str, ...]) -> Iterator[Edit]:
    if isinstance(before, Mapping) and isinstance(after, Mapping) and len(path) < _DEEPEST:
        for key in dict.fromkeys([*before, *after]):
            here = (*path, key)
            if key not in after:
                yield Edit(here, "-", before[key], None)
            elif key not in before:
                yield Edit(here, "+", None, after[key])
            else:
                yield from _edits(before[key], after[key], here)
    elif not same(before, after):
        yield Edit(path, "~", before, after)


def told(edit: Edit) -> str:
    """One edit on one line, for the person who decides.

    What an upstream wrote stands in quotation marks, with everything beyond printable ASCII escaped, so that letters
    that only look alike, and characters that nobody sees, are seen.
    """
    before, after = _excerpts(edit.before, edit.after)
    values = {"+": [after], "-": [before], "~": [before, after]}[edit.kind]
    return f"{edit.kind} {edit.field}: {' -> '.join(map(_bounded, values))}"


def _excerpts(before: JSON, after: JSON) -> tuple[str, str]:
    """Two values; of two texts only from a little before their first difference to a little after the last one."""
    if not isinstance(before, str) or not isinstance(after, str):
        return _escaped(before), _escaped(after)
    start = _shared(before, after)
    end = min(_shared(before[::-1], after[::-1]), min(len(before), len(after)) - start)
    return _cut(before, start, len(before) - end), _cut(after, start, len(after) - end)


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cut(text: str, start: int, end: int) -> str:
    first, last = max(0, start - _CONTEXT), min(len(text), end + _CONTEXT)
    return ("…" if first else "") + _escaped(text[first:last]) + ("…" if last < len(text) else "")


def _escaped(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=True)


def _bounded(text: str) -> str:
    left = len(text) - LONGEST_SHOWN
    return text if left <= 0 else f"{text[:LONGEST_SHOWN]}… ({left} more characters are not shown)"
