"""Reading JSON as people write it, and changing it in place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.jsonc import Edit, Node, added, edited, prefixed, read, removed, shortened, spelled
from takeback.core.jsontext import MalformedJSON

from .texts import VALUES, WORDS, documents

NAMED = st.dictionaries(WORDS, VALUES, min_size=1, max_size=4)


def nodes(node: Node) -> list[Node]:
    inner = [*(item.value for item in node.items), *(member.value for member in node.members)]
    return [node, *(deep for each in inner for deep in nodes(each))]


@given(st.data())
def test_any_layout_is_read_as_its_value_and_every_place_is_right(data: st.DataObject) -> None:
    value = data.draw(VALUES)
    text = data.draw(documents(value))
    root = read(text)
    assert json.dumps(root.value) == json.dumps(value)
    for node in nodes(root):
        assert json.dumps(read(text[node.start : node.end]).value) == json.dumps(node.value)
        assert [item.value.value for item in node.items] == (node.value if node.items else [])
        assert {member.name: member.value.value for member in node.members} == (node.value if node.members else {})


@given(st.text(alphabet='{}[],:"/*\\ \n0e-+.truefalsn1x\ufeff', max_size=12))
def test_what_python_reads_is_read_alike_and_nothing_else_raises(text: str) -> None:
    try:
        strict = json.loads(text)
    except ValueError:
        strict = MalformedJSON
    try:
        lenient: Any = read(text).value
    except MalformedJSON:
        lenient = MalformedJSON
    if strict is not MalformedJSON:
        assert json.dumps(lenient) == json.dumps(strict)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "// only", "{", "[1", '{"a"}', '{"a":}', '{"a" 1}', "{a: 1}", "{'a': 1}", "[1 2]", '{"a":1 "b":2}',
        "[,]", "[1,,2]", "{,}", "1 2", '"\\x"', '"a\nb"', "01", "1.", ".5", "+1", "NaN", "Infinity", "truex", "nul",
        "/* ", "/", "[" * 101 + "]" * 101, "# c\n1", '"', "1" * 5000,
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_its_place_and_not_quoted(text: str) -> None:
    with pytest.raises(MalformedJSON, match=r"^line \d+, column \d+: .+ is expected$") as caught:
        read(text)
    assert len(str(caught.value)) < 100


def test_the_place_of_a_mistake_is_counted_as_editors_count() -> None:
    with pytest.raises(MalformedJSON, match="line 3, column 8: a value is expected"):
        read('{\r\n  "a": 1,\r\n  "b": x}')


@given(st.data())
def test_adding_and_removing_a_member_changes_nothing_else(data: st.DataObject) -> None:
    value = data.draw(NAMED)
    text = data.draw(documents(value))
    root = read(text)
    after = root.members[data.draw(st.integers(0, len(root.members) - 1))]
    longer = edited(text, [added(text, after, "new name", spelled(["x", "y"]))])
    place = list(value).index(after.name) + 1
    items = list(value.items())
    expected = [*items[:place], ("new name", ["x", "y"]), *items[place:]]
    assert json.dumps(list(read(longer).value.items())) == json.dumps(expected)
    again = edited(longer, removed(longer, read(longer).members, "new name"))
    assert again.replace(",", "") == text.replace(",", "")  # a comma may stand on the other side of a comment now
    assert json.dumps(read(again).value) == json.dumps(value)


@given(st.data())
def test_members_go_and_the_others_and_all_comments_stay(data: st.DataObject) -> None:
    value = data.draw(NAMED)
    text = data.draw(documents(value))
    going = data.draw(st.sets(st.sampled_from(list(value))))
    shorter = edited(text, removed(text, read(text).members, *going))
    assert json.dumps(read(shorter).value) == json.dumps({k: v for k, v in value.items() if k not in going})


def test_a_comment_does_not_swallow_what_follows_a_member_that_goes() -> None:
    text = '{"a": 1, // one\n  "b": 2}'
    assert edited(text, removed(text, read(text).members, "b")) == '{"a": 1 // one\n  }'


@given(st.data())
def test_a_list_takes_words_in_front_and_loses_them_again(data: st.DataObject) -> None:
    value = data.draw(st.lists(VALUES, max_size=4))
    text = data.draw(documents(value))
    longer = edited(text, [prefixed(read(text), [spelled("one"), spelled("two")])])
    assert json.dumps(read(longer).value) == json.dumps(["one", "two", *value])
    assert edited(longer, shortened(read(longer), 2)) == text


def test_edits_that_meet_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        edited("abc", [Edit(0, 2, "x"), Edit(1, 3, "y")])
