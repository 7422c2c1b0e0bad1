"""Roundup behind the guard by declared requests: mandatory If-Match, a POST once; SQL says what really happened."""

from __future__ import annotations

import json

import pytest

from tests.third_party.guarded import Guarded, every_tool_has_a_rule

from .roundup import Tracker

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def token(guard: Guarded) -> str:
    answer = await guard.call("new_token")
    return str(json.loads(answer.texts[0])["data"]["link"].rpartition("/")[2])


async def test_every_declared_request_has_a_rule(desk: Guarded, tracker: Tracker) -> None:
    await every_tool_has_a_rule(desk, "roundup", "tracker", tracker.env)


@pytest.mark.parametrize(
    ("number", "fields"),
    [
        (1, {"status": "3", "priority": "1"}),
        (2, {"priority": ""}),
        (3, {"title": "fields 3, größer", "assignedto": "1"}),
    ],
)
async def test_fields_are_changed_and_put_back(
    desk: Guarded, tracker: Tracker, number: int, fields: dict[str, str]
) -> None:
    title = f"fields {number}"
    issue = tracker.created(title, priority="2")
    before = tracker.issues(title)
    action = (await desk.call("update_issue", id=issue, **fields)).wrote(undo="exact")
    changed = tracker.issues(fields.get("title", title))[0]
    assert {name: str(changed[name] or "") for name in fields} == fields
    assert "if-match" in tracker.served.proxy.sent("PUT", f"issue/{issue}")[0].headers
    await desk.replayed("update_issue", id=issue, **fields)
    await desk.undone_exactly(action)
    assert tracker.issues(title) == before
    assert "if-match" in tracker.served.proxy.sent("PUT", f"issue/{issue}")[1].headers


async def test_others_edits_of_other_fields_are_kept(desk: Guarded, tracker: Tracker) -> None:
    issue = tracker.created("merged", priority="2")
    action = (await desk.call("update_issue", id=issue, priority="1")).wrote(undo="exact")
    tracker.change(issue, status="4")
    await desk.undone_exactly(action)
    found = tracker.issues("merged")[0]
    assert (found["priority"], found["status"]) == (2, 4)


async def test_others_edits_of_the_same_field_are_a_conflict(desk: Guarded, tracker: Tracker) -> None:
    issue = tracker.created("conflict", priority="2")
    action = (await desk.call("update_issue", id=issue, priority="1")).wrote(undo="exact")
    tracker.change(issue, priority="5")
    assert "changed by others since" in await desk.not_undone(action)
    assert tracker.issues("conflict")[0]["priority"] == 5


async def test_an_edit_between_read_and_write_is_never_lost(desk: Guarded, tracker: Tracker) -> None:
    issue = tracker.created("race", priority="2")
    path = f"issue/{issue}"
    tracker.served.proxy.before_next("PUT", path, lambda: tracker.change(issue, priority="5"))
    answer = await desk.call("update_issue", id=issue, priority="1")
    assert answer.error
    assert "changed" in answer.line
    assert tracker.issues("race")[0]["priority"] == 5
    action = (await desk.call("update_issue", id=issue, priority="1")).wrote(undo="exact")
    tracker.served.proxy.before_next("PUT", path, lambda: tracker.change(issue, priority="4"))
    await desk.not_undone(action)
    assert not tracker.served.proxy.pending
    assert tracker.issues("race")[0]["priority"] == 4


async def test_a_change_whose_answer_was_lost_has_one_effect(desk: Guarded, tracker: Tracker) -> None:
    issue = tracker.created("lost change", priority="2")
    tracker.served.proxy.lose_answer("PUT", f"issue/{issue}")
    answer = await desk.call("update_issue", id=issue, priority="1")
    assert (answer.mark("status"), answer.mark("verified")) == ("succeeded", "yes"), answer
    assert tracker.issues("lost change")[0]["priority"] == 1
    assert len(tracker.served.proxy.sent("PUT", f"issue/{issue}")) == 1
    await desk.undone_exactly(answer.mark("action"))
    assert tracker.issues("lost change")[0]["priority"] == 2


async def test_an_issue_is_created_once_and_corrected_not_undone(desk: Guarded, tracker: Tracker) -> None:
    call = {"title": "created once", "priority": "1"}
    answer = await desk.call("create_issue", token=await token(desk), **call)
    assert (answer.mark("status"), answer.mark("verified"), answer.mark("undo")) == ("succeeded", "yes", "compensated")
    await desk.replayed("create_issue", token=await token(desk), **call)
    assert [issue["retired"] for issue in tracker.issues("created once")] == [0]
    undone = await desk.undo(answer.mark("action"))
    undone = await desk.undo(answer.mark("action"), confirm=undone.confirm)
    assert undone.mark("outcome") == "compensated", undone
    assert [issue["retired"] for issue in tracker.issues("created once")] == [1]


async def test_a_post_whose_answer_was_lost_is_found_and_not_sent_again(desk: Guarded, tracker: Tracker) -> None:
    tracker.served.proxy.lose_answer("POST", "/@poe/")
    answer = await desk.call("create_issue", token=await token(desk), title="lost post")
    assert not tracker.served.proxy.pending
    assert answer.mark("status") == "succeeded", answer
    assert "Do not call again" in answer.line
    again = await desk.call("create_issue", token=await token(desk), title="lost post")
    assert "nothing more is needed" in again.texts[0]
    assert len(tracker.issues("lost post")) == 1


async def test_retiring_and_restoring_take_each_other_back(desk: Guarded, tracker: Tracker) -> None:
    issue = tracker.created("retired")
    before = tracker.issues("retired")
    action = (await desk.call("retire_issue", id=issue)).wrote(undo="exact")
    assert tracker.issues("retired")[0]["retired"]
    await desk.replayed("retire_issue", id=issue)
    await desk.undone_exactly(action)
    assert tracker.issues("retired") == before
    tracker.ask(
        "DELETE", f"issue/{issue}", json={}, headers={"If-Match": tracker.ask("GET", f"issue/{issue}").headers["etag"]}
    )
    restored = (await desk.call("restore_issue", id=issue)).wrote(undo="exact")
    assert tracker.issues("retired") == before
    await desk.undone_exactly(restored)
    assert tracker.issues("retired")[0]["retired"]


async def test_what_the_server_refuses_changes_nothing_and_says_so(desk: Guarded, tracker: Tracker) -> None:
    issue = tracker.created("refused", priority="2")
    before = tracker.issues("refused")
    answer = await desk.call("update_issue", id=issue, priority="no such")
    assert answer.error
    assert answer.mark("status") == "failed", answer
    used = await token(desk)
    await desk.call("create_issue", token=used, title="first under a token")
    second = await desk.call("create_issue", token=used, title="second under a token")
    assert second.error
    assert tracker.issues("refused") == before
    assert not tracker.issues("second under a token")
