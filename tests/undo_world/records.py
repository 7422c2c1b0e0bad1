"""What a record is made of: the smallest parts that somebody can write by themselves, called units."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Literal

Record = Mapping[str, Any]
"""Never changed in place: a write puts another one in its place."""

Unit = tuple[str, ...]
"""A field, or a field and one of its elements: `("title",)`, `("tags", "x")`, `("body", "second line")`."""


class Nothing(Enum):
    """What a unit holds that is not there."""

    ABSENT = "absent"


ABSENT: Final = Nothing.ABSENT
Value = Any | Literal[Nothing.ABSENT]
EXISTS: Final[Unit] = ("exists",)
IGNORED: Final = "touched"
COUNTERS: Final = frozenset({"count"})
SETS: Final = frozenset({"tags", "members"})
KEYED: Final = frozenset({"items"})
TEXTS: Final = frozenset({"body"})
BY_ELEMENT: Final = SETS | KEYED | TEXTS
FIELDS: Final = ("title", "state", "note", "tags", "items", "steps", "body", "folder")
"""What an update or a PUT of a document may name."""


def document(record_id: str, **fields: Any) -> dict[str, Any]:
    """A document as it is made; `touched` changes with each write, whatever is written."""
    return {
        "id": record_id,
        "kind": "doc",
        "title": "a",
        "state": "a",
        "note": None,
        "count": 10,
        "tags": ["x"],
        "items": [{"id": "1", "qty": 1}],
        "steps": ["s"],
        "body": "one\ntwo\nthree\nfour\nfive\nsix\n",
        "folder": "in",
        **fields,
        IGNORED: 0,
    }


def group(record_id: str, *members: str) -> dict[str, Any]:
    """A group, whose members come and go one by one."""
    return {"id": record_id, "kind": "group", "members": list(members), IGNORED: 0}


def comment(record_id: str, doc: str, text: str) -> dict[str, Any]:
    """A comment on a document: it goes when the document goes."""
    return {"id": record_id, "kind": "comment", "doc": doc, "text": text, IGNORED: 0}


def units(record: Record | None) -> dict[Unit, Any]:
    """What can be written by itself, with what it holds. Of an absent record there is nothing."""
    if record is None:
        return {}
    found: dict[Unit, Any] = {EXISTS: True}
    for name, value in record.items():
        if name in {"id", "kind", IGNORED}:
            continue
        if name in SETS:
            found |= {(name, element): True for element in value}
        elif name in KEYED:
            found |= {(name, element["id"]): element["qty"] for element in value}
        elif name in TEXTS:
            found |= {(name, line): True for line in value.splitlines()}
        else:
            found[name,] = tuple(value) if isinstance(value, list) else value
    return found
