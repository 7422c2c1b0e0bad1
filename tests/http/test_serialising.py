"""Values as text: what a server reads back out of a request is what went in, and nothing leaves its place."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback_tools.http.bodies import FORM, Part, encode
from takeback_tools.http.operations import Unfit
from takeback_tools.http.serialising import Parameter, bare, in_cookie, in_header, in_path, in_query

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SCALAR = st.one_of(TEXT, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
SEGMENT = TEXT.filter(lambda text: not {".", ".."} & set(text.replace("\\", "/").split("/")))


def query(style: str = "form", *, explode: bool = True, **more: Any) -> Parameter:
    return Parameter("the name", "query", "name", style, explode, **more)


def read(pieces: list[str]) -> list[tuple[str, str]]:
    """The pairs as a server reads them, after the client library wrote them into a request."""
    url = httpx2.URL("http://h/p?" + "&".join(pieces))
    return parse_qsl(
        url.raw_path.partition(b"?")[2].decode("ascii"), keep_blank_values=True, strict_parsing=bool(pieces)
    )


@given(SCALAR)
def test_a_value_of_a_query_comes_back(value: Any) -> None:
    assert read(in_query(query(), value)) == [("the name", bare(value))]


@given(st.lists(SCALAR, min_size=1))
def test_a_list_comes_back_as_repeated_names(values: list[Any]) -> None:
    assert read(in_query(query(), values)) == [("the name", bare(one)) for one in values]


@pytest.mark.parametrize(("style", "joint"), [("form", ","), ("spaceDelimited", "%20"), ("pipeDelimited", "%7C")])
@given(values=st.lists(TEXT, min_size=1))
def test_a_list_in_one_value_comes_back_by_its_separator(style: str, joint: str, values: list[str]) -> None:
    (piece,) = in_query(query(style, explode=False), values)
    name, _, joined = piece.partition("=")
    assert unquote(name) == "the name"
    if joint == ",":
        assert [unquote(one) for one in joined.split(",")] == values
    else:
        assert unquote(joined) == unquote(joint).join(values)


@given(st.dictionaries(TEXT, SCALAR, min_size=1))
def test_an_object_comes_back_as_its_fields(value: dict[str, Any]) -> None:
    assert read(in_query(query(), value)) == [(key, bare(one)) for key, one in value.items()]
    deep = read(in_query(query("deepObject"), value))
    assert deep == [(f"the name[{key}]", bare(one)) for key, one in value.items()]


def test_deep_objects_nest() -> None:
    value = {"range": {"from": 1, "to": None}, "tags": ["a", "b"]}
    assert read(in_query(query("deepObject"), value)) == [
        ("the name[range][from]", "1"),
        ("the name[tags]", "a"),
        ("the name[tags]", "b"),
    ]


@pytest.mark.parametrize("value", [None, [], {}])
def test_nothing_is_sent_for_nothing(value: Any) -> None:
    assert in_query(query(), value) == []


def test_reserved_characters_stay_where_the_document_allows_it_but_never_end_the_value() -> None:
    assert in_query(query(reserved=True), "/a?b=c&d#e+f") == ["the%20name=/a?b%3Dc%26d%23e%2Bf"]


def test_a_parameter_with_content_is_json() -> None:
    assert read(in_query(query(as_json=True), {"a": [1, 2**70]})) == [("the name", f'{{"a":[1,{2**70}]}}')]


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        ("simple", False, 5, "5"),
        ("simple", False, [3, 4], "3,4"),
        ("simple", False, {"a": 1, "b": 2}, "a,1,b,2"),
        ("simple", True, {"a": 1, "b": 2}, "a=1,b=2"),
        ("label", False, 5, ".5"),
        ("label", False, [3, 4], ".3,4"),
        ("label", True, [3, 4], ".3.4"),
        ("label", True, {"a": 1, "b": 2}, ".a=1.b=2"),
        ("matrix", False, 5, ";id=5"),
        ("matrix", False, [3, 4], ";id=3,4"),
        ("matrix", True, [3, 4], ";id=3;id=4"),
        ("matrix", False, {"a": 1, "b": 2}, ";id=a,1,b,2"),
        ("matrix", True, {"a": 1, "b": 2}, ";a=1;b=2"),
        ("simple", False, True, "true"),
        ("simple", False, 2**80, str(2**80)),
    ],
)
def test_the_styles_of_a_path_are_those_of_the_specification(
    style: str, explode: bool, value: Any, expected: str
) -> None:
    assert in_path(Parameter("id", "path", "id", style, explode), value) == expected


@given(SEGMENT)
def test_a_value_stays_within_its_place_in_the_path(text: str) -> None:
    encoded = in_path(Parameter("id", "path", "id", "simple", explode=False), text)
    raw = httpx2.URL(f"http://h/a/{encoded}/b").raw_path.decode("ascii")
    assert raw == f"/a/{encoded}/b"
    assert unquote(raw.split("/")[2]) == text


@pytest.mark.parametrize(
    "value", ["", None, [], {}, ".", "..", "../x", "a/../b", "a\\..\\b", "..\\", ["a", ".."], {"a": ".."}]
)
@pytest.mark.parametrize("style", ["simple", "label", "matrix"])
def test_a_value_that_would_lead_elsewhere_is_refused(value: Any, style: str) -> None:
    with pytest.raises(Unfit, match="id stands in the path and must not"):
        in_path(Parameter("id", "path", "id", style, explode=False), value)


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x7f"])
def test_a_header_cannot_be_ended_by_a_value(text: str) -> None:
    header = Parameter("X-Note", "header", "note", "simple", explode=False)
    for value in (text, [text], {"a": text}):
        with pytest.raises(Unfit, match="note is sent in a header"):
            in_header(header, value)
    with pytest.raises(Unfit, match="note is sent in a cookie"):
        in_cookie(Parameter("note", "cookie", "note", "form", explode=False), text)


@given(st.dictionaries(TEXT, SCALAR, min_size=1))
def test_a_form_comes_back(fields: dict[str, Any]) -> None:
    content, kind = encode(FORM, fields, {})
    assert kind == FORM
    assert parse_qsl(content.decode("ascii"), keep_blank_values=True) == [(k, bare(v)) for k, v in fields.items()]


def test_a_form_is_written_as_its_encoding_says() -> None:
    content, _ = encode(FORM, {"a": {"b": 1}, "c": [1, 2]}, {"a": Part(style="deepObject"), "c": Part(explode=False)})
    assert content == b"a%5Bb%5D=1&c=1,2"
