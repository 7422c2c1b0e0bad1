"""JSON as people write it, made at random: any layout, comments in every gap, trailing commas, any line ending."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

COMMENTS = st.sampled_from(['// a "comment" }', "/* ] , */", "/* two\nlines */", "// é", "/**/", "//"])
BLANKS = st.sampled_from(["", "", " ", "\n", "\n  ", "\t"])
WORDS = st.sampled_from(["a", "b c", "é", 'q"q', "back\\slash", "\n", "//", "${V}", "", "\U0001f9ea", ","])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)


@st.composite
def gaps(draw: st.DrawFn) -> str:
    """What may stand between two signs."""
    text = draw(BLANKS)
    if draw(st.integers(0, 5)) == 0:
        comment = draw(COMMENTS)
        text += comment + ("\n" if comment.startswith("//") else draw(BLANKS))
    return text


@st.composite
def strings(draw: st.DrawFn, text: str) -> str:
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """A text of this value."""
    gap = gaps()
    if isinstance(value, dict):
        members = [
            f"{draw(gap)}{draw(strings(k))}{draw(gap)}:{draw(gap)}{draw(written(v))}{draw(gap)}"
            for k, v in value.items()
        ]
        return "{" + ",".join(members) + (draw(_ending()) if members else draw(gap)) + "}"
    if isinstance(value, list):
        items = [f"{draw(gap)}{draw(written(item))}{draw(gap)}" for item in value]
        return "[" + ",".join(items) + (draw(_ending()) if items else draw(gap)) + "]"
    return draw(strings(value)) if isinstance(value, str) else json.dumps(value)


def _ending() -> st.SearchStrategy[str]:
    return st.just("") | gaps().map(lambda gap: f",{gap}")


@st.composite
def documents(draw: st.DrawFn, value: Any) -> str:
    """A whole file."""
    text = draw(gaps()) + draw(written(value)) + draw(gaps())
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return ("\ufeff" if draw(st.booleans()) else "") + text
