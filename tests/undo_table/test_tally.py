"""How notes become rows: every write once, by how it ended; a claim that no test confirmed is told as such."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from takeback.ledger import open_ledger

from .record import NOTES, answered, record
from .tally import ENDINGS, Tally, refusals, shortly, tallies
from .tell import SYSTEMS, forecasts, table

EXAMPLES = Path(__file__).parents[2] / "examples"


def action(name: str, **more: Any) -> dict[str, Any]:
    """A write that stands, with the forecast that its undo is exact, but for what is said otherwise."""
    stands = {"origin": "agent", "original": None, "status": "succeeded", "in_force": 1}
    return {"id": name, **stands, "forecast": {"outcome": "exact"}, "outcome": None, **more}


def undone(name: str, outcome: str, *residue: str) -> dict[str, Any]:
    document = {"outcome": outcome, "text": "as it was read", "residue": list(residue)}
    return action(name, status="compensated", in_force=0, outcome=document)


def answer(name: str, outcome: str | None, text: str) -> dict[str, Any]:
    return answered({"io.takeback/action": name, "io.takeback/outcome": outcome}, text)


def note(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"system": "git", "actions": list(actions), "queue": [], "answers": [], **more}


def counted(*notes: dict[str, Any]) -> Tally:
    return tallies(notes)["git"]


def endings(tally: Tally) -> dict[str, int]:
    return {ending: tally.ended(ending) for ending in ENDINGS if tally.ended(ending)}


def test_each_write_is_counted_once_by_how_it_ended() -> None:
    actions = [undone("a", "exact"), undone("b", "compensated", "updated_by"), action("c"), action("d"), action("e")]
    answers = [
        answer("c", "refused", "Not undone: c was changed by others since: title. Nothing was changed."),
        answer("c", "refused", "Not undone: c was changed by others since: title. Nothing was changed."),
        answer("d", "failed", "The tool refused."),
    ]
    tally = counted(note(*actions, answers=answers))
    assert endings(tally) == {"exact": 1, "compensated": 1, "refused": 1, "failed": 1, "not asked": 1}
    assert tally.writes == len(actions)
    assert (tally.residues, tally.reasons) == ({"updated_by": 1}, {"changed by others since": 1})
    assert tally.failures == {"The tool refused.": 1}


def test_what_had_no_effect_and_what_takes_back_is_no_write() -> None:
    denied = action("a", status="denied", in_force=0, forecast=None)
    undo = action("c", origin="undo", original="b")
    repeated = action("d", origin="repeat", original="b")
    assert endings(counted(note(denied, undone("b", "exact"), undo, repeated))) == {"exact": 1, "not asked": 1}


def test_an_undo_that_was_refused_and_then_made_is_told_as_made() -> None:
    refused = answer("a", "refused", "Not undone: it was overtaken.")
    assert endings(counted(note(undone("a", "exact"), answers=[refused]))) == {"exact": 1}


def test_an_undo_that_a_person_must_settle_has_failed_although_nobody_was_answered() -> None:
    stuck = action("b", origin="undo", original="a", status="needs_operator", in_force=0)
    tally = counted(note(action("a", status="compensating"), stuck))
    assert (endings(tally), tally.failures) == ({"failed": 1}, {"an undo is needs operator": 1})


def test_refusals_are_found_in_the_queue_and_within_an_undo_of_several() -> None:
    queue = [
        {"action": "a", "why": "an undo found that it was changed by others since: title"},
        {"action": "b", "why": "the reply was lost"},
    ]
    several = answer(
        "u", "compensated", "Undone: 1 of 2.\n- c not undone: it could be undone until May only. Nothing was"
    )
    several["text"] += " changed."
    assert refusals(note(queue=queue, answers=[several])) == {"a": "changed by others since", "c": "too late"}


def test_notes_of_one_system_add_up() -> None:
    tally = counted(note(undone("a", "compensated", "id", "by")), note(undone("a", "compensated", "by")))
    assert (tally.writes, tally.residues) == (2, {"by": 2, "id": 1})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Not undone: the moon is full. Nothing was changed.", "the moon is full"),
        (
            'The tool refused: "Not undone: /tmp/x/new: Directory not empty. Nothing was changed.".',
            "Directory not empty",
        ),
        ("Not undone: fab691ee4424 has been pushed. Nothing was changed.", "has been pushed"),
        (
            "Not undone: the way back could not be prepared when a1 ran (it is a link). Nothing was changed.",
            "it is a link",
        ),
        ("word " * 40, ("word " * 16) + "…"),
    ],
)
def test_a_reason_that_nobody_foresaw_is_told_as_it_was_said_without_what_is_particular(said: str, told: str) -> None:
    assert shortly(said) == told


def test_the_table_says_where_the_look_did_not_agree() -> None:
    lost = action("b", forecast={"outcome": "refused"})
    found = {"git": counted(note(undone("a", "compensated", "id|by"), lost, action("c")))}
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in table(found, {"git"}).splitlines()}
    assert rows["git"] == r"| git | 3 | 0 | 1: id\|by | 0 | 0 | 2 (1 said to be impossible) | git: agrees |"
    assert rows["memory"] == "| memory | 0 | 0 | 0 | 0 | 0 | 0 | the lines of its file: **tests failed** |"
    assert len(rows) == len(SYSTEMS) + 2


def test_every_system_with_a_policy_of_ours_has_a_row() -> None:
    guarded = {policy.parent.name for policy in EXAMPLES.glob("*/policy.toml")}
    assert guarded == {system.key for system in SYSTEMS if not system.key.startswith("helpdesk")}


def test_forecasts_are_held_against_what_came() -> None:
    found = {"git": counted(note(undone("a", "exact"), undone("b", "compensated", "id"), action("c", forecast=None)))}
    assert forecasts(found).splitlines()[2:] == ["| exact | 1 | 1 | 0 | 0 | 0 |", "| none | 0 | 0 | 0 | 0 | 1 |"]


async def test_a_ledger_is_noted_only_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await open_ledger(f"sqlite+aiosqlite:///{tmp_path}/takeback.db")).close()
    notes = tmp_path / "notes"
    monkeypatch.delenv(NOTES, raising=False)
    record("git", tmp_path)
    assert not notes.exists()
    monkeypatch.setenv(NOTES, str(notes))
    record("git", tmp_path)
    assert notes.read_text() == '{"system": "git", "actions": [], "queue": [], "answers": []}\n'
    with pytest.raises(sqlite3.OperationalError):
        record("git", tmp_path / "elsewhere")
