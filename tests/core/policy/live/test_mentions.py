"""What an expression selects, read from its text; and that no text is too strange to be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.policy.live.mentions import literal_fields, mentions, selection

SELECTED = {
    "before.tenant == tenant": ["before.tenant", "tenant"],
    "before['a-b'].c[0].d": ["before.a-b.c.[].d"],
    "after.charges.size() > 0": ["after.charges"],
    "'args.no' + \"before.no\" + args.yes": ["args.yes"],
    "result.mails.exists(m, m.body == args.body)": [
        "result.mails", "result.mails.[]", "result.mails.[].body", "args.body",
    ],
    "result.a.filter(a, a.x)[0].b": ["result.a.[].b", "result.a.[]", "result.a.[].x"],
    "result.a.map(x, x.b).exists(y, y.c)": ["result.a", "result.a.[]", "result.a.[].b"],
    "result.a.all(x, result.b.all(x, x.c))": ["result.a", "result.a.[]", "result.b"],
    "(args.a ? before.b : after.c).d": ["args.a", "before.b", "after.c"],
    "{'k': result.v}.k": ["result.v"],
    "before[args.field]": ["before", "args.field"],
    "size(args.tags) + int(target.id)": ["args.tags", "target.id"],
}  # fmt: skip


@pytest.mark.parametrize("source", SELECTED)
def test_what_is_selected_is_read_from_the_text(source: str) -> None:
    assert sorted(".".join(path) for path in mentions(source).selected) == sorted(SELECTED[source])


@pytest.mark.parametrize(
    ("source", "asked"),
    [("has(args.x) && args.x > 1", ("args", "x")), ("!('x' in args) || args.x > 1", ("args", "x"))],
)
def test_what_is_only_asked_after_may_be_missing(source: str, asked: tuple[str, ...]) -> None:
    assert mentions(source).asked_after == {asked}


def test_a_selection_is_told_from_what_is_computed() -> None:
    assert selection("result.a.filter(c, c.b == 1)[0]") == ("result", "a", "[]")
    for computed in ("result.a.size()", "result.a + 1", "'x'", "size(result.a)", "result.a.map(x, x.b)", ""):
        assert selection(computed) is None


def test_the_fields_of_an_object_are_told_with_their_expressions() -> None:
    assert literal_fields("{'a': result.b, 'c': [1, 2], 'd': x in y}") == {"a": "result.b", "c": "[1,2]", "d": "x in y"}
    for other in ("{a: 1}", "{'a': 1}.b", "result", "{'a'}", ""):
        assert literal_fields(other) is None


@given(st.text(alphabet="argsbefore.[]{}()'\"\\,:0 ?!\n", max_size=40) | st.text(max_size=40))
def test_no_text_is_too_strange(source: str) -> None:
    mentions(source)
    selection(source)
    literal_fields(source)
