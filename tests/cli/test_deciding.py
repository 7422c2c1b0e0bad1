"""`approve` and `deny`: shown before it is asked, decided once, and never by silence."""

from __future__ import annotations

import pytest

from .conftest import Story


def status(story: Story, name: str) -> str:
    (found,) = [a for a in story("approvals", "--all", "--json").json if a["id"] == story.approvals[name]]
    return str(found["status"])


def test_an_approval_is_shown_before_it_is_given_and_given_once(story: Story) -> None:
    given = story("approve", story.approvals["agreed"], given="y\n")
    assert given.code == 0
    assert given.out.index("value: agreed") < given.out.index("Approve exactly this?") < given.out.index("is approved")
    assert status(story, "agreed") == "approved"
    story("approve", story.approvals["agreed"], "--yes").refused(
        1, "Not decided", "approved already", "nothing was changed"
    )
    story("deny", story.approvals["agreed"]).refused(1, "Not decided", "approved already")
    assert status(story, "agreed") == "approved"


@pytest.mark.parametrize("given", ["n\n", "", "perhaps\n"])
def test_anything_but_a_yes_decides_nothing(story: Story, given: str) -> None:
    story("approve", story.approvals["declined"], given=given).refused(
        1, "Nothing was decided", story.approvals["declined"]
    )
    assert status(story, "declined") == "pending"


def test_a_denial_needs_no_question_and_keeps_its_reason(story: Story) -> None:
    assert story("deny", story.approvals["refused"], "--reason", "not today").code == 0
    story("approve", story.approvals["refused"], "--yes").refused(1, "denied already")
    (found,) = [a for a in story("approvals", "--all", "--json").json if a["id"] == story.approvals["refused"]]
    assert (found["status"], found["reason"], found["how"]) == ("denied", "not today", "command line")


def test_for_programs_the_question_stands_beside_the_answer(story: Story) -> None:
    given = story("approve", story.approvals["machine"], "--json", given="y\n")
    assert given.json == {
        "approval": story.approvals["machine"],
        "action": story.actions["machine"],
        "status": "approved",
    }
    assert "Approve exactly this?" in given.err


def test_what_is_asked_is_shown_without_what_a_terminal_would_obey(story: Story) -> None:
    asked = story("approve", story.approvals["asked"], given="n\n")
    assert "[red]INJECTED[/red]" in asked.out
    assert [c for c in asked.out if not c.isprintable() and c != "\n"] == []
    assert status(story, "asked") == "pending"
