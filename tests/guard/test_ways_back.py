"""The ways back beyond one plain field: lists, texts, whole records, new ids, children, redo; and what must refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core import images
from takeback.core.vocabulary import Status
from takeback.ports import Changed, NotSent
from takeback.testing import GuardForTests, MemoryTools, guarded
from tests.guard.library import POLICY, Library
from tests.guard.test_undo import done


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
async def guard(library: Library, tmp_path: Path) -> AsyncIterator[GuardForTests]:
    async with guarded(POLICY, [library.tools], tmp_path) as found:
        yield found


async def undone(guard: GuardForTests, what: str) -> Any:
    answer = await guard.undo(what)
    return answer if answer.confirm is None else await guard.undo(what, confirm=answer.confirm)


# --- lists, texts, whole records ---


@pytest.mark.parametrize(
    ("field", "ours", "theirs", "wanted"),
    [
        ("tags", ["sf", "x"], ["sf", "x", "vip"], ["sf", "vip"]),
        ("copies", [{"no": 1, "at": "B"}], [{"no": 1, "at": "B"}, {"no": 2, "at": "C"}],
         [{"no": 1, "at": "A"}, {"no": 2, "at": "C"}]),
        ("blurb", "one\n\nTWO\n\nend\n", "ONE\n\nTWO\n\nend\nmore\n", "ONE\n\ntwo\n\nend\nmore\n"),
    ],
    ids=["set", "keyed", "lines"],
)  # fmt: skip
async def test_what_others_did_to_other_parts_of_a_value_stays(
    guard: GuardForTests, library: Library, field: str, ours: Any, theirs: Any, wanted: Any
) -> None:
    action = await done(guard, "edit", {"id": 1, field: ours})
    library.touch(1, **{field: theirs})
    answer = await undone(guard, action)
    assert answer.outcome == "exact", answer.text
    assert library.books[1][field] == wanted


async def test_the_same_part_in_two_hands_is_a_conflict(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "copies": [{"no": 1, "at": "B"}]})
    library.touch(1, copies=[{"no": 1, "at": "Z"}])
    answer = await undone(guard, action)
    assert (answer.ok, answer.outcome) == (False, "refused")
    assert "changed by others, too" in answer.text
    assert library.books[1]["copies"] == [{"no": 1, "at": "Z"}]


async def test_a_whole_record_goes_back_with_the_edits_of_others_carried_over(
    guard: GuardForTests, library: Library
) -> None:
    book = library.books[1] | {"title": "Dune II"}
    action = await done(guard, "put", {"id": 1, "book": book})
    library.touch(1, blurb="theirs", seen=77)
    answer = await undone(guard, action)
    assert answer.outcome == "exact", answer.text
    assert (library.books[1]["title"], library.books[1]["blurb"]) == ("Dune", "theirs")
    assert library.books[1]["seen"] >= 77


# --- made anew under another id ---


async def test_what_is_made_anew_gets_another_id_and_is_followed(guard: GuardForTests, library: Library) -> None:
    edited = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    dropped = await done(guard, "drop", {"id": 1})
    forecast = (await guard.ledger.action("acme", dropped)).forecast
    assert (forecast["outcome"], forecast["residue"]) == ("compensated", ["its id"])
    answer = await undone(guard, dropped)
    assert answer.outcome == "compensated", answer.text
    assert "It has a new id: 2" in answer.text
    assert library.books[2]["title"] == "Dune II"
    answer = await undone(guard, edited)
    assert answer.ok, answer.text
    assert library.books[2]["title"] == "Dune"


async def test_an_id_that_is_used_again_is_another_record(guard: GuardForTests, library: Library) -> None:
    added = await done(guard, "add", {"title": "Emma"})
    number = max(library.books)
    del library.books[number]
    library.books[number] = {"id": number, "title": "Another", "tags": []}
    answer = await undone(guard, added)
    assert answer.outcome == "refused"
    assert library.books[number]["title"] == "Another"


# --- what hangs on a record ---


async def test_a_record_with_something_of_others_on_it_stays(guard: GuardForTests, library: Library) -> None:
    added = await done(guard, "add", {"title": "Emma"})
    number = max(library.books)
    library.notes[7] = number
    answer = await undone(guard, added)
    assert answer.outcome == "refused"
    assert "1 note(s): 7" in answer.text
    assert number in library.books
    del library.notes[7]
    assert (await undone(guard, added)).outcome == "exact"


async def test_our_own_children_go_first(guard: GuardForTests, library: Library) -> None:
    added = await done(guard, "add", {"title": "Emma"})
    number = max(library.books)
    note = await guard.call("note", {"on": number})
    assert note.action is not None
    offered = await guard.undo(added)
    assert note.action.id in offered.text
    assert not offered.ok
    answer = await guard.undo(added, confirm=offered.confirm)
    assert answer.ok, answer.text
    assert (number in library.books, library.notes) == (False, {})


async def test_children_that_cannot_be_listed_count_as_others(guard: GuardForTests, library: Library) -> None:
    added = await done(guard, "add", {"title": "Emma"})

    library.tools.faults["notes"] = [NotSent("it is not running")] * 4
    answer = await undone(guard, added)
    assert answer.outcome == "refused"
    assert "cannot be listed" in answer.text


async def test_a_declared_use_is_a_dependency(guard: GuardForTests, library: Library) -> None:
    """The note names the book by an argument that returns nothing of it; the rule says that it rests on it."""
    added = await done(guard, "add", {"title": "Emma"})
    number = max(library.books)
    noted = await guard.call("note", {"on": f" {number} ".strip()})
    assert noted.action is not None
    assert noted.action.id in (await guard.undo(added)).text


# --- redo ---


async def test_an_undo_can_be_undone_and_undone_again(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    assert (await undone(guard, action)).outcome == "exact"
    undo = (await guard.ledger.action("acme", action)).compensated_by
    assert undo is not None
    answer = await undone(guard, undo)
    assert answer.outcome == "exact", answer.text
    assert f"{action} stands again" in answer.text
    found = await guard.ledger.action("acme", action)
    assert (found.status, found.in_force, library.books[1]["title"]) == (Status.SUCCEEDED, True, "Dune II")
    assert (await undone(guard, action)).outcome == "exact"
    assert library.books[1]["title"] == "Dune"


async def test_redoing_twice_is_one_redo(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    await undone(guard, action)
    undo = (await guard.ledger.action("acme", action)).compensated_by
    assert undo is not None
    await undone(guard, undo)
    calls = library.tools.count("edit")
    again = await undone(guard, undo)
    assert again.ok
    assert library.tools.count("edit") == calls


async def test_taking_a_redo_back_takes_back_what_it_made_stand(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    await undone(guard, action)
    undo = (await guard.ledger.action("acme", action)).compensated_by
    assert undo is not None
    await undone(guard, undo)
    redo = (await guard.ledger.action("acme", undo)).compensated_by
    assert redo is not None
    assert (await undone(guard, redo)).outcome == "exact"
    assert library.books[1]["title"] == "Dune"
    assert (await guard.ledger.action("acme", action)).status is Status.COMPENSATED


async def test_a_redo_loses_nobody_elses_edit(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    await undone(guard, action)
    undo = (await guard.ledger.action("acme", action)).compensated_by
    assert undo is not None
    library.touch(1, title="theirs")
    assert (await undone(guard, undo)).outcome == "refused"
    assert library.books[1]["title"] == "theirs"


async def test_a_call_issued_again_after_a_redo_is_a_replay(guard: GuardForTests, library: Library) -> None:
    call = {"id": 1, "title": "Dune II"}
    action = await done(guard, "edit", call)
    await undone(guard, action)
    undo = (await guard.ledger.action("acme", action)).compensated_by
    assert undo is not None
    await undone(guard, undo)
    count = library.tools.count("edit")
    reply = await guard.call("edit", call)
    assert reply.action is not None
    assert (reply.action.id, library.tools.count("edit")) == (action, count)


# --- what must refuse, or say what is left ---


async def test_one_record_by_two_spellings_of_its_id(guard: GuardForTests, library: Library) -> None:
    first = await done(guard, "edit", {"id": "1", "title": "Dune II"})
    second = await done(guard, "edit", {"id": 1, "title": "Dune III"})
    offered = await guard.undo(first)
    assert second in offered.text
    assert not offered.ok


async def test_what_others_wrote_is_theirs_also_where_it_is_what_an_undo_had_left(
    guard: GuardForTests, library: Library
) -> None:
    """The images in between show that it was something else before they wrote it."""
    first = await done(guard, "edit", {"id": 1, "title": "draft"})
    second = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    assert (await undone(guard, second)).outcome == "exact"
    assert (await undone(guard, first)).outcome == "exact"
    undo = (await guard.ledger.action("acme", second)).compensated_by
    assert undo is not None
    library.touch(1, title="draft")
    assert (await undone(guard, undo)).outcome == "refused"
    assert library.books[1]["title"] == "draft"


async def test_what_an_undone_action_named_and_did_not_change_is_not_dirty(
    guard: GuardForTests, library: Library
) -> None:
    first = await done(guard, "edit", {"id": 1, "title": "Dune II", "tags": ["sf"]})
    second = await done(guard, "edit", {"id": 1, "tags": ["sf", "x"]})
    assert (await undone(guard, first)).outcome == "exact"
    assert (await undone(guard, second)).outcome == "exact"
    assert (library.books[1]["title"], library.books[1]["tags"]) == ("Dune", ["sf"])


async def test_a_redacted_field_is_left_over_by_name_and_the_rest_goes_back(
    guard: GuardForTests, library: Library
) -> None:
    library.books[1]["borrower"] = "ann"
    action = await done(guard, "edit", {"id": 1, "title": "Dune II", "borrower": "bob"})
    forecast = (await guard.ledger.action("acme", action)).forecast
    assert (forecast["outcome"], forecast["residue"]) == ("compensated", ["borrower"])
    answer = await undone(guard, action)
    assert answer.outcome == "compensated", answer.text
    assert "not as before: borrower" in answer.text
    assert (library.books[1]["title"], library.books[1]["borrower"]) == ("Dune", "bob")


async def test_what_is_too_large_to_keep_is_compared_and_left_over(
    guard: GuardForTests, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("takeback.guard.services.MAX_IMAGE_BYTES", 2000)
    assert images.MAX_IMAGE_BYTES > 2000
    library.books[1]["blurb"] = "x" * 3000
    action = await done(guard, "edit", {"id": 1, "title": "Dune II", "blurb": "short"})
    answer = await undone(guard, action)
    assert answer.outcome == "compensated", answer.text
    assert (library.books[1]["title"], library.books[1]["blurb"]) == ("Dune", "short")
    stored = await guard.ledger.action("acme", action)
    assert stored.before is not None
    assert len(await guard.ledger.image(stored.before)) < 2500


async def test_a_read_with_side_effects_is_no_edit_of_others(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    for _ in range(3):
        await guard.call("get", {"id": 1})
    assert (await undone(guard, action)).outcome == "exact"


async def test_a_target_that_others_deleted_is_a_conflict(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    del library.books[1]
    answer = await undone(guard, action)
    assert answer.outcome == "refused"
    assert 1 not in library.books


async def test_arguments_that_the_caller_changes_after_the_call_change_nothing(
    guard: GuardForTests, library: Library
) -> None:
    call = {"id": 1, "tags": ["sf", "x"]}

    async def meddle(name: str) -> None:
        call["tags"].append("y")  # type: ignore[attr-defined]
        call["id"] = 99

    library.tools.gate = meddle
    action = await done(guard, "edit", call)
    library.tools.gate = None
    assert library.books[1]["tags"] == ["sf", "x"]
    assert (await undone(guard, action)).outcome == "exact"
    assert library.books[1]["tags"] == ["sf"]


async def test_a_tool_that_is_gone_since(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    library.tools.functions = {name: run for name, run in library.tools.functions.items() if name != "edit"}
    await guard.use_cases.services.catalog.refresh()
    answer = await undone(guard, action)
    assert (answer.ok, answer.outcome) == (False, "refused")
    assert "not there any more" in answer.text


async def test_a_rule_that_was_edited_since_undoes_what_was_done_then(library: Library, tmp_path: Path) -> None:
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        clock = guard.clock
    today = POLICY.replace('title = "before.title"\ntags', "tags", 1)
    async with guarded(today, [library.tools], tmp_path, clock=clock) as guard:
        assert (await undone(guard, action)).outcome == "exact"
    assert library.books[1]["title"] == "Dune"


async def test_today_s_policy_decides_whether_an_undo_may_run(library: Library, tmp_path: Path) -> None:
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        clock = guard.clock
    today = POLICY.replace('id = "edit"\n', 'id = "edit"\napproval = "always"\n')
    async with guarded(today, [library.tools], tmp_path, clock=clock) as guard:
        answer = await undone(guard, action)
        assert not answer.ok
        assert len(await guard.ledger.approvals("acme")) == 1
    assert library.books[1]["title"] == "Dune II"


# --- versions and reads that lag ---


async def test_an_edit_back_to_our_own_value_is_theirs_where_a_version_shows_it(tmp_path: Path) -> None:
    library = Library(versions=True)
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        library.touch(1, title="theirs")
        library.touch(1, title="Dune II")
        answer = await undone(guard, action)
        assert answer.outcome == "refused", answer.text
        assert "changed and changed back by others" in answer.text
        assert library.books[1]["title"] == "Dune II"


async def test_a_version_that_another_field_explains_is_no_conflict(tmp_path: Path) -> None:
    library = Library(versions=True)
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        library.touch(1, blurb="theirs")
        assert (await undone(guard, action)).outcome == "exact"


async def test_a_version_that_our_own_later_action_explains_is_no_conflict(tmp_path: Path) -> None:
    library = Library(versions=True)
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        later = await done(guard, "edit", {"id": 1, "blurb": "ours"})
        assert (await undone(guard, later)).outcome == "exact"
        assert (await undone(guard, action)).outcome == "exact"


async def test_a_failed_call_of_ours_explains_no_version(tmp_path: Path) -> None:
    library = Library(versions=True)
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        library.touch(1, title="Dune II")
        library.tools.faults["edit"] = [Changed("stale")]
        reply = await guard.call("edit", {"id": 1, "blurb": "ours"})
        assert reply.action is not None
        assert reply.action.status is Status.FAILED
        assert (await undone(guard, action)).outcome == "refused"


async def test_a_version_that_our_own_use_of_the_record_explains_is_no_conflict(tmp_path: Path) -> None:
    library = Library(versions=True)
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        added = await done(guard, "add", {"title": "Emma"})
        number = max(library.books)
        note = await guard.call("note", {"on": number})
        assert note.action is not None
        library.revisions[number] += 1  # as a system does that counts its notes
        offered = await guard.undo(added)
        assert (await guard.undo(added, confirm=offered.confirm)).outcome is not None
        assert number not in library.books


LAGGING = POLICY.replace('lands_within = "1s"', 'lands_within = "1s"\nread_lag = "9s"')


async def test_an_undo_waits_until_reads_show_what_was_done(tmp_path: Path) -> None:
    library = Library()
    async with guarded(LAGGING, [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        assert (await undone(guard, action)).outcome == "exact"
        assert sum(guard.clock.slept) >= 8


async def test_reads_that_lag_longer_than_anybody_waits_are_said(tmp_path: Path) -> None:
    library = Library()
    async with guarded(LAGGING.replace('"9s"', '"2h"'), [library.tools], tmp_path) as guard:
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        answer = await undone(guard, action)
        assert (answer.ok, answer.outcome) == (False, "refused")
        assert "lag behind its writes" in answer.text
        guard.clock.move(timedelta(hours=3))
        assert (await undone(guard, action)).outcome == "exact"


async def test_a_read_that_still_shows_the_old_version_is_not_taken_for_undone(tmp_path: Path) -> None:
    library = Library(versions=True)
    async with guarded(POLICY, [library.tools], tmp_path) as guard:
        old = deepcopy(library.books)
        action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
        library.lagging = [deepcopy(old) for _ in range(9)]
        current, library.revisions[1] = library.revisions[1], 1
        answer = await guard.undo(action)
        assert (answer.ok, answer.outcome) == (False, "refused"), answer.text
        assert "still is the state before" in answer.text
        library.lagging, library.revisions[1] = [], current
        assert (await undone(guard, action)).outcome == "exact"


async def test_one_read_that_does_not_find_it_is_not_believed(guard: GuardForTests, library: Library) -> None:
    action = await done(guard, "edit", {"id": 1, "title": "Dune II"})
    library.lagging = [{}]
    assert (await undone(guard, action)).outcome == "exact"


# --- another way back than the one that wrote ---


async def test_a_before_image_goes_back_through_another_upstream(tmp_path: Path) -> None:
    """The tool that writes knows no way back; an administrative one, on another upstream, does."""
    library = Library()
    admin = MemoryTools("admin", {"force": library.edit})
    own = POLICY[POLICY.index('redact = ["borrower"]') : POLICY.index("[rule.undo.args]")]
    admin_rule = """
[upstream.admin]
command = "in-memory"

[[rule]]
tool = "admin.force"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "book", id = "args.id" }
"""
    policy = POLICY.replace(own, '[rule.undo]\ntool = "admin.force"\n') + admin_rule
    assert "admin.force" in policy
    async with guarded(policy, [library.tools, admin], tmp_path) as guard:
        action = await done(guard, "lib_edit", {"id": 1, "title": "Dune II"})
        library.touch(1, blurb="theirs")
        answer = await undone(guard, action)
        assert answer.outcome == "exact", answer.text
        assert (library.books[1]["title"], library.books[1]["blurb"]) == ("Dune", "theirs")
        assert [name for name, _ in admin.calls] == ["force"]
