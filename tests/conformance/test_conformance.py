"""The official conformance suite says of a server the same, whether the guard stands before it or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .suite import REVISIONS, Difference, checks, differences, fixture, guarded, install, listed


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    install()
    with fixture() as url:
        yield url


@pytest.fixture(scope="module")
def guard(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with guarded(server, tmp_path_factory.mktemp("guard"), os.environ) as url:
        yield url


@pytest.mark.parametrize("revision", REVISIONS)
def test_behind_the_guard_every_check_comes_out_as_without_it(
    server: str, guard: str, tmp_path: Path, revision: str
) -> None:
    without = checks(server, revision, tmp_path / "without")
    behind = checks(guard, revision, tmp_path / "behind")
    found = differences(revision, without, behind)
    assert found == [difference for difference in listed() if difference.revision == revision]
    assert sum(status == "SUCCESS" for status in behind.values()) >= 80  # and it was not an empty run


def test_a_check_that_came_out_otherwise_or_is_missing_is_a_difference() -> None:
    without = {("a", "one", 0): "SUCCESS", ("a", "one", 1): "SUCCESS", ("b", "two", 0): "FAILURE"}
    behind = {("a", "one", 0): "SUCCESS", ("a", "one", 1): "WARNING", ("c", "new", 0): "SUCCESS"}
    assert differences("r", without, behind) == [
        Difference("r", "a", "one", "SUCCESS", "WARNING"),
        Difference("r", "b", "two", "FAILURE", "absent"),
        Difference("r", "c", "new", "absent", "SUCCESS"),
    ]
    assert differences("r", without, without) == []
