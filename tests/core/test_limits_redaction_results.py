"""Limits, redaction, and reading what tools answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.expressions import Expression
from takeback.core.images import Presence
from takeback.core.limits import LoopWatch, counters_for, exceeded
from takeback.core.policy.schema import Limits
from takeback.core.redaction import is_redacted, redact, scrub
from takeback.core.results import answer_of, part_of, record
from takeback.core.vocabulary import Does
from tests.core.examples import NOW

KEY = b"k" * 32


def test_a_limit_is_the_last_call_that_runs() -> None:
    wanted = counters_for(
        Limits(writes_per_run=2), run="r1", principal="agent", tool="desk.x", does=Does.UPDATE, at=NOW
    )
    assert exceeded(wanted, {"run:r1:writes": 1}) is None
    stopped = exceeded(wanted, {"run:r1:writes": 2})
    assert stopped is not None
    assert (stopped.limit, stopped.allowed) == ("writes_per_run", 2)


def test_deletes_are_counted_apart() -> None:
    def names(does: Does) -> set[str]:
        limits = Limits(deletes_per_principal=1)
        return set(counters_for(limits, run="r", principal="p", tool="t", does=does, at=NOW))

    assert names(Does.DELETE) - names(Does.UPDATE) == {"run:r:deletes", "principal:p:2026-11-23:deletes"}


def test_a_loop_is_equal_calls_with_equal_outcomes() -> None:
    watch = LoopWatch()
    for _ in range(5):
        watch.saw("r", "get", "same")
    assert watch.count("r", "get") == 5
    watch.saw("r", "get", "other")
    assert watch.count("r", "get") == 1
    watch.progress("r")
    assert watch.count("r", "get") == 0


def test_two_calls_in_turn_are_a_loop_and_many_different_ones_are_none() -> None:
    watch = LoopWatch()
    for _ in range(4):
        watch.saw("r", "a", "x")
        watch.saw("r", "b", "y")
    assert watch.count("r", "a") == 4
    for other in "cdefg":
        watch.saw("r", other, "z")
    assert watch.count("r", "a") == 0


def test_the_watch_is_bounded() -> None:
    watch = LoopWatch()
    for run in range(1000):
        watch.saw(str(run), "a", "x")
    assert watch.count("0", "a") == 0
    assert watch.count("999", "a") == 1


@given(st.text(min_size=1), st.text(min_size=1))
def test_redaction_keeps_nothing_and_still_compares(one: str, other: str) -> None:
    marks = [redact({"ssn": value, "n": 1}, fields=("ssn",), key=KEY) for value in (one, other)]
    assert (marks[0] == marks[1]) == (one == other)
    assert is_redacted(marks[0])
    assert marks[0]["n"] == 1
    if len(one) > 10:
        assert one not in str(marks[0])


@pytest.mark.parametrize("name", ["password", "api_key", "access_token", "client_secret"])
def test_secrets_are_known_by_name_at_any_depth(name: str) -> None:
    assert is_redacted(redact({"a": [{"b": {name: "x"}}]}, fields=(), key=KEY))


def test_a_dotted_path_redacts_one_place() -> None:
    found = redact({"a": {"note": 1}, "note": 2}, fields=("a.note",), key=KEY)
    assert is_redacted(found["a"])
    assert found["note"] == 2


def test_texts_are_scrubbed_of_secrets() -> None:
    assert scrub("refused: Bearer hunter22", frozenset({"hunter22"})) == "refused: Bearer [secret]"


TEXT = {"type": "text", "text": '{"id": 1180591620717411303424}'}


@pytest.mark.parametrize(
    ("result", "data"),
    [
        ({"structuredContent": {"a": 1}, "content": [TEXT]}, {"a": 1}),
        ({"content": [TEXT]}, {"id": 2**70}),
        ({"content": [{"type": "text", "text": "plain"}]}, "plain"),
        ({"content": [{"type": "text", "text": "{broken"}]}, "{broken"),
        ({"content": [{"type": "text", "text": "1"}, {"type": "text", "text": "b"}]}, [1, "b"]),
        ({"content": [{"type": "image", "data": ""}]}, None),
        ({}, None),
    ],
)
def test_the_data_of_a_result(result: dict[str, Any], data: object) -> None:
    assert record(result) == data


def part(result: dict[str, Any] | None, error: str | None = None, **how: Any) -> Any:
    return part_of("t", answer_of(result, error), select=how.get("select"), absent=how.get("absent"), variables={})


def said(text: str) -> dict[str, Any]:
    return {"isError": True, "content": [{"type": "text", "text": text}]}


@pytest.mark.parametrize(
    "text", ["ticket T-9 not found", "ENOENT: no such file or directory", "HTTP 404", "it does not exist"]
)
def test_not_found_is_an_absent_target(text: str) -> None:
    assert part(said(text)).presence is Presence.ABSENT
    assert part(None, text).presence is Presence.ABSENT


@pytest.mark.parametrize(
    "text",
    [
        "403 forbidden: record not found or no permission",
        "unauthorized",
        "timeout",
        "Access denied - path outside allowed: not found",
        "",
    ],
)
def test_an_authorisation_error_or_any_other_is_not_absence(text: str) -> None:
    assert part(said(text)).presence is Presence.UNREADABLE
    assert part(None, text).presence is Presence.UNREADABLE


def test_select_and_absent() -> None:
    listing = {"structuredContent": {"items": [{"id": 1}, {"id": 2}]}}
    one = Expression("result.items.filter(i, i.id == 2)[0]")
    gone = Expression("error == null && !result.items.exists(i, i.id == 3)")
    assert part(listing, select=one).value == {"id": 2}
    assert part(listing, absent=gone).presence is Presence.ABSENT
    assert part(listing, select=Expression("result.colour")).presence is Presence.UNREADABLE


def test_json_in_the_wrapping_of_a_framework_is_read_as_what_it_is() -> None:
    assert record({"structuredContent": {"result": '{"id": 7}'}}) == {"id": 7}
    assert record({"structuredContent": {"result": "[1, 2]"}}) == [1, 2]
    assert record({"structuredContent": {"result": "7"}}) == {"result": "7"}
    assert record({"structuredContent": {"result": '{"id": 7}', "more": 1}}) == {"result": '{"id": 7}', "more": 1}


@pytest.mark.parametrize("number", [401, 403, 404, 410])
def test_a_number_in_an_id_is_no_status(number: int) -> None:
    gone, locked = (
        part_of("t", answer_of(None, problem), select=None, absent=None, variables={})
        for problem in (f"there is no ticket T-{number}: not found", f"ticket T-{number} is locked")
    )
    assert (gone.presence, locked.presence) == (Presence.ABSENT, Presence.UNREADABLE)
