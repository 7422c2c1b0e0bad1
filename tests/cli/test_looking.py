"""What people look at (`runs`, `history`, `show`, ...): for them, for programs, and with text that nobody may trust."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from .commands import command
from .conftest import HOSTILE, LONG, TRACE, Story

LOOKS = ["runs", "account", "history", "show", "explain", "approvals", "checkpoints"]


def looked(story: Story, name: str, *options: str) -> str:
    """What a look at the hostile action, or at everything, says."""
    done = story(name, *about(story, name), *options)
    assert (done.code, done.err) == (0, "")
    return done.out


def about(story: Story, name: str) -> list[str]:
    """What the command looks at."""
    hostile, run = [story.actions["hostile"]], [story.run]
    return {"show": hostile, "explain": hostile, "account": run, "checkpoints": run}.get(name, [])


def test_the_checkpoints_of_a_run_are_its_verified_writes_where_none_was_named(story: Story) -> None:
    listed = story("checkpoints", story.run, "--json").json
    writes = {
        action["id"]
        for action in story("history", "--run", story.run, "--json").json["actions"]
        if action["verified"] == "yes"
    }
    assert {one["id"] for one in listed} == {one["action"] for one in listed} == writes
    shown = story("checkpoints", story.run).out
    assert all(one in shown for one in writes)
    assert story("checkpoints", "r000000").out == "No checkpoints yet.\n"
    story("checkpoints", story.run, "--check", "none").refused(3, "has no checkpoint none")


@pytest.mark.parametrize("name", LOOKS)
def test_text_from_tools_cannot_act_on_the_terminal(story: Story, name: str) -> None:
    shown = looked(story, name)
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []
    if name != "runs":
        assert "[red]" in shown


@pytest.mark.parametrize("name", LOOKS)
def test_programs_get_one_json_document(story: Story, name: str) -> None:
    done = story(name, *about(story, name), "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json


def test_a_trace_is_shown_with_where_to_look_at_it(story: Story) -> None:
    link = f"https://traces.example/t/{TRACE}"
    [entry] = story("queue", "--run", story.run, "--json").json["entries"]
    [run] = (one for one in story("runs", "--json").json if one["id"] == story.run)
    for shown in (
        story("show", story.actions["changed"], "--json").json["action"],
        story("show", entry["id"], "--json").json,
        story("history", "--run", story.run, "--json").json["actions"][0],
        story("account", story.run, "--json").json,
        run,
        entry,
    ):
        assert (shown["trace"], shown["trace_link"]) == (TRACE, link)
    for told in (("show", story.actions["changed"]), ("show", entry["id"]), ("account", story.run)):
        assert f"Trace: {TRACE} ({link})" in "".join(story(*told).out.splitlines())


def test_a_terminal_gets_no_escape_sequence_of_a_tool(story: Story) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            command("show", story.actions["hostile"], "--policy", story.world.policy),
            env={**os.environ, **story.world.env, "TERM": "xterm-256color"},
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        shown = terminal.read1().decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "INJECTED" in shown
    assert "\x1b[31m" not in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown


def test_json_keeps_what_people_are_spared(story: Story) -> None:
    shown = story("show", story.actions["hostile"], "--json").json
    assert shown["action"]["arguments"]["value"] == HOSTILE
    assert shown["action"]["targets"][0]["id"] == HOSTILE
    assert [event["seq"] for event in shown["events"]] == list(range(1, len(shown["events"]) + 1))


def test_a_very_long_value_is_cut_for_people_and_whole_for_programs(story: Story) -> None:
    assert LONG not in story("show", story.actions["long"]).out
    assert "long long" in story("show", story.actions["long"]).out
    assert story("show", story.actions["long"], "--json").json["action"]["arguments"]["value"] == LONG


def test_a_run_is_listed_with_who_and_since_when(story: Story) -> None:
    (run,) = (one for one in story("runs", "--json").json if one["id"] == story.run)
    assert (run["id"], run["principal"], run["client"]) == (story.run, "agent", "raw 1")
    assert story.run in story("runs").out


def test_history_is_the_newest_first_with_a_date(story: Story) -> None:
    listed = story("history", "--json").json["actions"]
    times = [action["created_at"] for action in listed]
    assert [action["id"] for action in listed] == [*reversed(story.actions.values())]
    assert times == sorted(times, reverse=True)
    assert times[0][:10] in story("history").out


def test_history_finds_words_and_runs(story: Story) -> None:
    found = story("history", "plain", "--json").json["actions"]
    assert {action["id"] for action in found} == {story.actions["created"], story.actions["changed"]}
    assert len(story("history", "--run", story.run, "--json").json["actions"]) == len(story.actions)
    assert story("history", "--run", "r000000", "--json").json == {"actions": [], "cursor": None}
    assert "No actions yet." in story("history", "--run", "r000000").out


def test_history_shows_what_needs_attention(story: Story) -> None:
    listed = story("history", "--needs-attention", "--json").json["actions"]
    assert story.actions["doubtful"] in {action["id"] for action in listed}
    assert story.actions["changed"] not in {action["id"] for action in listed}


def test_pages_of_history_neither_repeat_nor_lose_anything(story: Story) -> None:
    seen: list[str] = []
    cursor: list[str] = []
    for _ in range(len(story.actions)):
        page = story("history", "--limit", "3", *cursor, "--json").json
        seen += [action["id"] for action in page["actions"]]
        if page["cursor"] is None:
            break
        cursor = ["--cursor", page["cursor"]]
    assert seen == [*reversed(story.actions.values())]
    assert "More: --cursor " in story("history", "--limit", "3").out


def test_show_says_what_changed_and_what_happened(story: Story) -> None:
    shown = story("show", story.actions["changed"])
    told = story("show", story.actions["changed"], "--json").json
    assert told["changed"] == [{"field": "value", "before": 1, "after": 2}]
    assert "rule 5 (lean.set)" in shown.out
    assert [event["happening"] for event in told["events"]][-1] in shown.out


def test_explain_is_sentences_with_their_source(story: Story) -> None:
    told = story("explain", story.actions["changed"]).out
    assert "value from 1 to 2" in told
    assert "(observed)" in told
    assert story("explain", f"[takeback {story.actions['changed']}]").out == told


@pytest.mark.parametrize(
    "arguments", [("show", "a000000"), ("explain", "a000000"), ("deny", "p000000"), ("approve", "p000000", "--yes")]
)
def test_what_is_not_there_is_said_with_where_ids_are_listed(story: Story, arguments: tuple[str, ...]) -> None:
    story(*arguments).refused(3, "000000", "Nothing was changed", "takeback history")


def test_another_tenant_sees_and_decides_nothing(story: Story) -> None:
    other = ("--tenant", "globex")
    assert story("history", *other, "--json").json == {"actions": [], "cursor": None}
    assert story("runs", *other, "--json").json == []
    assert story("approvals", "--all", *other, "--json").json == []
    story("show", story.actions["changed"], *other).refused(3, story.actions["changed"])
    story("approve", story.approvals["asked"], "--yes", *other).refused(3, story.approvals["asked"])
    pending = [approval["id"] for approval in story("approvals", "--json").json]
    assert story.approvals["asked"] in pending


def test_a_cursor_that_is_none_is_refused(story: Story) -> None:
    story("history", "--cursor", "zzz").refused(4, "cursor", "begin again")
