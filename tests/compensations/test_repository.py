"""The lock of a repository's index is taken away only by whoever took it."""

from __future__ import annotations

from pathlib import Path

import pytest

from takeback_compensations.answers import Refused
from takeback_compensations.repository import Repository


def test_it_is_released_when_nothing_came_of_it(tmp_path: Path) -> None:
    with Repository(tmp_path, tmp_path).locked_index() as (_, lock):
        assert lock.exists()
        with pytest.raises(Refused, match="another git"), Repository(tmp_path, tmp_path).locked_index():
            pass
    assert not lock.exists()


def test_after_it_was_moved_the_lock_of_another_git_stays(tmp_path: Path) -> None:
    with Repository(tmp_path, tmp_path).locked_index() as (index, lock):
        lock.replace(index)
        lock.write_text("somebody else's")
    assert lock.read_text() == "somebody else's"
