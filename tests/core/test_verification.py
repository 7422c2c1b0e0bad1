"""Verification compares what was read with what was expected, never with what the tool claimed."""

from __future__ import annotations

from typing import Any

import pytest

from takeback.core.expressions import Expression
from takeback.core.images import Image
from takeback.core.verification import Verification, agree, verify
from takeback.core.vocabulary import Does, Verified
from tests.core.examples import UNREADABLE, image

BEFORE = image({"ticket_id": "T-1", "priority": "normal"})
AFTER = image({"ticket_id": "T-1", "priority": "high"})


def check(after: Image | None, before: Image | None = BEFORE, **changes: Any) -> Verification:
    given: dict[str, Any] = {
        "rule": None,
        "does": Does.UPDATE,
        "arguments": {"ticket_id": "T-1", "priority": "high"},
        "writes": None,
        "variables": {"after": after.variable() if after else None, "args": {"priority": "high"}},
        "identity": frozenset({"ticket_id"}),
    }
    return verify(before=before, after=after, **(given | changes))


def test_the_named_fields_must_hold_what_was_asked() -> None:
    assert check(AFTER).verified is Verified.YES


def test_a_tool_that_changed_nothing_is_a_mismatch_with_that_reason() -> None:
    found = check(BEFORE)
    assert (found.verified, found.reason) == (Verified.MISMATCH, "unchanged")
    assert found.as_json() == {
        "reason": "unchanged",
        "expected": {"priority": "high"},
        "actual": {"priority": "normal"},
    }


def test_a_tool_that_set_something_else_is_a_mismatch() -> None:
    found = check(image({"ticket_id": "T-1", "priority": "urgent"}))
    assert (found.verified, found.reason, found.actual) == (Verified.MISMATCH, "different", {"priority": "urgent"})


def test_naming_the_target_alone_verifies_nothing() -> None:
    assert check(AFTER, arguments={"ticket_id": "T-1"}).verified is Verified.IMPOSSIBLE


@pytest.mark.parametrize("after", [None, UNREADABLE])
def test_what_cannot_be_read_is_never_verified(after: Image | None) -> None:
    assert check(after).verified is Verified.IMPOSSIBLE


def test_the_rule_decides_where_there_is_one() -> None:
    assert check(AFTER, rule=Expression("after.priority == args.priority")).verified is Verified.YES
    assert check(BEFORE, rule=Expression("after.priority == args.priority")).verified is Verified.MISMATCH
    assert check(AFTER, rule=Expression("after.colour == 'red'")).reason == "expression"


@pytest.mark.parametrize(
    ("does", "after", "verified"),
    [
        (Does.DELETE, image(None), Verified.YES),
        (Does.DELETE, BEFORE, Verified.MISMATCH),
        (Does.CREATE, AFTER, Verified.YES),
        (Does.CREATE, image(None), Verified.MISMATCH),
        (Does.CREATE, BEFORE, Verified.MISMATCH),
    ],
)
def test_presence_is_what_creating_and_deleting_are_about(does: Does, after: Image, verified: Verified) -> None:
    assert check(after, does=does).verified is verified


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [
        ("a ", "a", True),
        ("2026-11-23T12:00:00Z", "2026-11-23T13:00:00+01:00", True),
        ("2026-11-23T12:00:00Z", "2026-11-23T12:00:01Z", False),
        (1, 1.0, True),
        (1, True, False),
        ("A", "a", False),
        (2**70, 2**70 + 1, False),
        ([1, 2], [2, 1], False),
    ],
)
def test_comparators_know_trims_and_time_zones_and_nothing_else(wanted: object, found: object, same: bool) -> None:
    assert agree(wanted, found) is same
