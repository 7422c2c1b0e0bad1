"""Any split of a stream gives the same lines, within a bound."""

from __future__ import annotations

import itertools
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from takeback.core.lines import HEAD, Lines

TEXT = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"."))


def cut(pieces: list[bytes], limit: int) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    lines = Lines(lambda line: found.append(("line", line)), lambda head: found.append(("over", head)), limit)
    for piece in pieces:
        lines.feed(piece)
    return found


def expected(lines: list[bytes], limit: int) -> list[tuple[str, bytes]]:
    head = min(HEAD, limit)
    return [("line", line) if len(line) <= limit else ("over", line[:head]) for line in lines]


def split(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(marks)]


@given(st.lists(TEXT), st.lists(st.integers(0, 10_000)), st.integers(0, 50))
def test_any_split_gives_the_same_lines(lines: list[bytes], places: list[int], limit: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    assert cut(split(data, places), limit) == expected(lines, limit)
    assert cut([data], limit) == expected(lines, limit)
    assert cut([data[i : i + 1] for i in range(len(data))], limit) == expected(lines, limit)


@given(st.lists(TEXT), TEXT, st.integers(0, 50))
def test_the_end_gives_a_last_line_without_its_end(lines: list[bytes], last: bytes, limit: int) -> None:
    found: list[tuple[str, bytes]] = []
    cutter = Lines(lambda line: found.append(("line", line)), lambda head: found.append(("over", head)), limit)
    cutter.feed(b"".join(line + b"\n" for line in lines) + last)
    cutter.finish()
    cutter.finish()
    assert found == expected([*lines, last] if last else lines, limit)


def test_an_overlong_line_is_skipped_and_its_head_reported() -> None:
    long = b"0123456789" * 100
    assert cut([b"a\n" + long + b"\nb\n"], 500) == [("line", b"a"), ("over", long[:HEAD]), ("line", b"b")]


def test_a_line_of_exactly_the_limit_is_a_line() -> None:
    assert cut([b"x" * 10 + b"\n"], 10) == [("line", b"x" * 10)]
    assert cut([b"x" * 5, b"x" * 5, b"\n"], 10) == [("line", b"x" * 10)]


def test_memory_is_bounded_however_the_bytes_come() -> None:
    limit = 100_000
    lines = Lines(lambda line: None, lambda head: None, limit)
    tracemalloc.start()
    try:
        for _ in range(limit - 1):
            lines.feed(b"x")
        single = tracemalloc.get_traced_memory()[1]
        for _ in range(1000):
            lines.feed(bytes(10_000))
        whole = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert single < 3 * limit
    assert whole < 3 * limit
