"""Undo by a tool that takes a record in one argument: what others changed beside our fields stays there, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from takeback.testing import guarded
from tests.guard.library import POLICY, Library
from tests.guard.test_undo import done
from tests.guard.test_ways_back import undone

WHOLE = 'book = "restored"'
FIELDS = ("id", "title", "tags", "copies", "blurb", "borrower")
NESTED = "book = { " + ", ".join(f'{field} = "before.{field}"' for field in FIELDS) + " }"
MADE = "book = { title = \"before.title + ''\", blurb = \"before.blurb + ''\" }"


@pytest.mark.parametrize("argument", ['book = "before"', NESTED], ids=["whole", "nested"])
async def test_the_edits_of_others_are_carried_over(tmp_path: Path, argument: str) -> None:
    library = Library()
    async with guarded(POLICY.replace(WHOLE, argument), [library.tools], tmp_path) as guard:
        action = await done(guard, "put", {"id": 1, "book": library.books[1] | {"title": "Dune II"}})
        library.touch(1, blurb="theirs")
        answer = await undone(guard, action)
        assert answer.outcome == "exact", answer.text
    assert (library.books[1]["title"], library.books[1]["blurb"]) == ("Dune", "theirs")


@pytest.mark.parametrize(
    "argument", [MADE, 'book = { tags = ["before.title", "before.blurb"] }'], ids=["table", "list"]
)
async def test_what_was_made_from_a_field_that_others_changed_is_not_written(tmp_path: Path, argument: str) -> None:
    library = Library()
    async with guarded(POLICY.replace(WHOLE, argument), [library.tools], tmp_path) as guard:
        action = await done(guard, "put", {"id": 1, "book": library.books[1] | {"title": "Dune II"}})
        library.touch(1, blurb="theirs")
        answer = await undone(guard, action)
        assert (answer.ok, answer.outcome) == (False, "refused"), answer.text
        assert "would write over blurb" in answer.text
    assert (library.books[1]["title"], library.books[1]["blurb"]) == ("Dune II", "theirs")
