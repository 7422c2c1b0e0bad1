"""Words of others inside sentences of the guard: on one line, bounded, and told apart from what the guard says."""

from __future__ import annotations

import re
from typing import Final

from takeback.core.jsontext import JSON, dumps

LONGEST_REASON: Final = 500

_PLAIN: Final = re.compile(r"[^\s\[\]{}()\"'`<>]+")
"""What needs no quotation marks: one word that cannot be taken for the guard's own line."""


def one_line(text: str, most: int) -> str:
    """A text without line breaks and invisible characters, cut to `most` characters."""
    shortened = text[: most * 4]  # enough to fill the line, however much white space there is
    flat = " ".join("".join(c if c.isprintable() else " " for c in shortened).split())
    return flat if len(flat) <= most and len(shortened) == len(text) else flat[: most - 1] + "…"


def quoted(value: JSON, most: int) -> str:
    """A value as JSON on one line, cut to `most` characters; a string that is one plain word goes without marks."""
    if not isinstance(value, str):
        return one_line(dumps(value).decode(), most)
    text = one_line(value, most)
    return text if _PLAIN.fullmatch(text) else dumps(text).decode()


def with_the_rest(lines: list[str], left: int) -> list[str]:
    """Lines for people, and how many more there are that are not shown."""
    return [*lines, f"... and {left} more"] if left > 0 else lines
