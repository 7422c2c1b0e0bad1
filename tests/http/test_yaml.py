"""YAML as JSON: what JSON can say comes back the same, and nothing in a text can exhaust the process."""

from __future__ import annotations

from typing import Any

import pytest
import yaml as library
from hypothesis import given
from hypothesis import strategies as st

from takeback_tools.http.yaml import MOST_NODES, UnreadableYaml, loads

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(min_size=1), below, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_what_another_program_wrote_is_read_as_it_was(value: Any) -> None:
    assert loads(library.safe_dump(value).encode()) == value


def test_nothing_is_guessed_beyond_json() -> None:
    text = b"{a: yes, b: 2020-01-01, c: 0o17, d: 0x1F, e: 1_000, f: .5, g: on, 200: ok, h: '1', i: 12:30, j: ~, k: =}"
    assert loads(text) == {
        "a": "yes", "b": "2020-01-01", "c": 15, "d": 31, "e": "1_000", "f": 0.5, "g": "on", "200": "ok", "h": "1",
        "i": "12:30", "j": None, "k": "=",
    }  # fmt: skip


def test_aliases_stand_for_what_they_name() -> None:
    found = loads(b"a: &x {b: [1]}\nc: *x\nd: &t text\ne: *t\n")
    assert found == {"a": {"b": [1]}, "c": {"b": [1]}, "d": "text", "e": "text"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[" * 100_000, "nested more than 200 deep"),
        ("".join(" " * n + "a:\n" for n in range(300)).encode(), "nested more than 200 deep"),
        (b"a: &a [*a]", "an alias stands for something that contains it"),
        (b"a: 1\n---\nb: 2\n", "more than one YAML document"),
        (b"? [a]\n: b\n", "a key is no text"),
        (b"a: [1,", "line 2, column 1"),
        (b"\xff\xff", "not valid YAML"),
        (b"a: !!python/object:os.system {}\nb: {", "not valid YAML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(text: bytes, why: str) -> None:
    with pytest.raises(UnreadableYaml, match=why):
        loads(text)


def test_aliases_of_aliases_do_not_grow_beyond_the_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(UnreadableYaml, match=str(MOST_NODES)):
        loads("\n".join(lines).encode())
