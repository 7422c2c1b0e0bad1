"""The canonical form: RFC 8785, with integers of any size, and a codec that loses nothing."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.canonical import NotCanonical, canonical, digest
from takeback.core.jsontext import MalformedJSON, dumps, loads, loads_strict

SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | SAFE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ANY_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_it_is_the_rfc_wherever_the_rfc_has_a_form(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(st.integers(2**53, 2**200))
def test_big_integers_keep_their_digits_and_never_collide(number: int) -> None:
    assert canonical({"id": number}) == b'{"id":%d}' % number
    assert digest({"id": number}) != digest({"id": number + 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, "\ud800", {"a": {"\ud800": 1}}, object()])
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


@given(ANY_VALUES)
def test_the_codec_loses_nothing(value: object) -> None:
    assert loads(dumps(value)) == value
    assert loads_strict(dumps(value)) == value


def test_true_is_not_one() -> None:
    assert digest(True) != digest(1)
    assert digest([1]) == digest([1.0]), "one number, two spellings (RFC 8785 section 3.2.2.3)"


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '[{"b":{"c":1,"c":1}}]'])
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(MalformedJSON, match="stands twice"):
        loads_strict(text)


@pytest.mark.parametrize("text", ["", "{", "nul", "[NaN]", "[Infinity]", "[1234567890123456789012, NaN]", "\x00"])
def test_what_is_not_json_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(MalformedJSON, match=r"not (valid JSON|a JSON number)|is not a JSON number"):
        loads(text)


def test_compact_and_on_one_line() -> None:
    assert dumps({"a": "x\ny", "b": [2**70]}) == json.dumps({"a": "x\ny", "b": [2**70]}, separators=(",", ":")).encode()
