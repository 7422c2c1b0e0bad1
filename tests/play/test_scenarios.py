"""Small scenarios of our own: what steps do, and how a wrong expectation is told."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.commands import Ran, takeback
from tests.mcp.conftest import LEAN, POLICY

DESK = Path(__file__).parents[2] / "policy.toml"
HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"
ENV = """
[env]
HELPDESK = "${DESK}"
HELPDESK_PYTHON = "${PYTHON}"
HELPDESK_DB = "${PLAY}/desk.db"
HELPDESK_FAULTS = "${PLAY}/faults.json"
"""


class Stage:
    """A folder for one scenario."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.journal = folder, folder / "journal"

    def lean(self, steps: str, head: str = "") -> Ran:
        """Play against the lean server."""
        policy = POLICY.replace('"PYTHON"', json.dumps(sys.executable)).replace('"LEAN"', json.dumps(str(LEAN)))
        (self.folder / "policy.toml").write_text(policy.replace('"JOURNAL"', json.dumps(str(self.journal))))
        return self.play(f'title = "Small"\n{head}\n{steps}')

    def desk(self, steps: str) -> Ran:
        """Play against the help desk."""
        env = ENV.replace("${DESK}", str(HELPDESK))
        return self.play(f'title = "Desk"\npolicy = "{DESK}"\nfaults_file = "faults.json"\n{env}{steps}')

    def play(self, scenario: str) -> Ran:
        (self.folder / "small.toml").write_text(scenario)
        return takeback("play", self.folder / "small.toml", "--folder", self.folder / "files", env={})

    def effects(self) -> list[list[object]]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()] if self.journal.exists() else []


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def step(text: str) -> str:
    return f"[[step]]\n{text}\n"


def call(tool: str, arguments: str, more: str) -> str:
    return f'call = {{ tool = "{tool}", args = {{ {arguments} }}, {more} }}'


WRONG = {
    'status = "denied"': "expected status = denied, got succeeded",
    "error = true": "expected an error",
    'text = "never"': "the answer does not say 'never'",
    'no_text = "->"': "the answer says '->'",
    "replayed = true": "expected replayed = True, got False",
    'verified = "no"': "expected verified = no, got yes",
    'undo = "refused"': "expected undo = refused, got exact",
    'same_action_as = "one"': "expected the same action as one",
}


def test_a_wrong_expectation_stops_the_play_and_says_what_was_otherwise(stage: Stage) -> None:
    given = 'key = "a", value = {}'
    done = stage.lean(
        step(call("set", given.format(1), 'save = "one"'))
        + step(call("set", given.format(2), f"expect = {{ {', '.join(WRONG)} }}"))
        + step(call("set", given.format(3), 'save = "never"'))
    )
    assert (done.code, done.err) == (1, "")
    said = [line for line in done.out.splitlines() if "NOT AS EXPECTED" in line]
    assert len(said) == len(WRONG)
    assert [words for words in WRONG.values() if not any(words in line for line in said)] == []
    assert "2 of 3 steps, stopped." in done.out
    assert stage.effects() == [["set", "a", 1], ["set", "a", 2]]


def test_parallel_calls_forms_and_reconnecting(stage: Stage) -> None:
    one = '{ tool = "add", args = { key = "mails", value = "x" }, save = "one", expect = { status = "succeeded" } }'
    other = '{ tool = "set", args = { key = "b", value = 2 }, expect = { status = "succeeded" } }'
    again = (
        '{ tool = "add", args = { key = "mails", value = "x" }, expect = { replayed = true, same_action_as = "one" } }'
    )
    no = '{ tool = "add", args = { key = "mails", value = "no" }, expect = { error = true, text = "as scripted" } }'
    done = stage.lean(
        step('person = { forms = ["approve", "deny"] }')
        + step(f"parallel = [{one}, {other}]")
        + step(f"call = {again}")
        + step(f"call = {no}")
        + step("reconnect = true")
        + step('call = { tool = "takeback_history", expect = { text = "Nothing yet" } }')
        + step('show = "show ${one}"'),
        head="forms = true",
    )
    assert (done.code, done.err) == (0, ""), done.out
    assert sorted(map(str, stage.effects())) == ["['add', 'mails', 'x']", "['set', 'b', 2]"]
    assert "the agent reconnects" in done.out
    assert re.search(r"person  takeback show a\w+", done.out)


def test_faults_and_changes_by_others_reach_the_desk(stage: Stage) -> None:
    ticket = 'ticket_id = "T-182", priority = "{}"'
    done = stage.desk(
        step('fault = { update_ticket = { mode = "exit_after_commit", once = true } }')
        + step(call("update_ticket", ticket.format("high"), 'save = "it", expect = { text = "took effect" }'))
        + step(f'edit = {{ tool = "desk.update_ticket", args = {{ {ticket.format("low")} }} }}')
        + step(call("takeback_undo", 'what = "${it}", reason = "no"', 'expect = { text = "changed by others" }'))
        + step(
            "world = { tool = 'desk.get_ticket', args = { ticket_id = 'T-182' }, true = 'result.priority == \"high\"' }"
        )
    )
    assert done.code == 1
    assert "fault   the next call of update_ticket: exit_after_commit" in done.out
    assert 'NOT AS EXPECTED: not true of the world: result.priority == "high"' in done.out
    assert "5 of 5 steps, stopped." in done.out


PRIORITY = 'tool = "desk.get_ticket", args = { ticket_id = "T-182" }, true = "result.priority == \'%s\'"'


def test_a_guard_is_killed_when_the_world_shows_it_and_another_one_starts(stage: Stage) -> None:
    ticket = 'ticket_id = "T-182", priority = "high"'
    done = stage.desk(
        step(call("update_ticket", ticket, 'save = "it"'))
        + step(f"kill = {{ once = {{ {PRIORITY % 'high'} }} }}")
        + step('show = { command = "show ${it}", text = ["priority", "succeeded"], no_text = "failed" }')
        + step("reconnect = true")
        + step(call("update_ticket", ticket, 'expect = { replayed = true, same_action_as = "it" }'))
    )
    assert (done.code, done.err) == (0, ""), done.out
    [killed] = re.findall(r"kill    kill -9 (\d+): the guard is gone", done.out)
    assert not psutil.pid_exists(int(killed))


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (f'kill = {{ once = {{ {PRIORITY % "high"}, within = "300ms" }} }}', "not true of the world: result.priority"),
        (f'world = {{ {PRIORITY % "high"}, within = "300ms" }}', "not true of the world: result.priority"),
        ('show = { command = "runs", text = "nobody", within = "300ms" }', "does not say 'nobody'"),
        ('show = { command = "runs", no_text = "No runs" }', "the answer says 'No runs'"),
    ],
    ids=["kill", "world", "text", "no text"],
)
def test_what_never_comes_is_not_as_expected(stage: Stage, last: str, words: str) -> None:
    done = stage.desk(step(call("get_ticket", 'ticket_id = "T-182"', "expect = { error = false }")) + step(last))
    assert done.code == 1
    assert words in done.out
    assert "the guard is gone" not in done.out
    assert "2 of 2 steps, stopped." in done.out


def test_a_plan_is_shown_step_by_step(stage: Stage) -> None:
    first = '{ steps = [{ id = "a", tool = "get_ticket", arguments = { ticket_id = "T-182" } }] }'
    given = '{ ticket_id = "T-182", body = { "$from" = "a", path = "subject" } }'
    then = f'{{ steps = [{{ id = "b", tool = "add_comment", arguments = {given} }}] }}'
    arguments = f'title = "Two", reason = "r", groups = [{first}, {then}]'
    done = stage.desk(
        step(call("takeback_plan", arguments, 'save = "it", expect = { error = false, status = "succeeded" }'))
        + step('show = { command = "explain ${it}", text = "all 2 steps" }')
        + step(
            'world = { tool = "desk.list_comments", args = { ticket_id = "T-182" }, see = ["comments.2.body", '
            '"comments.9"], true = "result.comments[2].body == \'Export fails with error 500\'" }'
        )
    )
    assert (done.code, done.err) == (0, ""), done.out
    assert "agent   takeback_plan(title=Two, reason=r)" in done.out
    assert "group 1  a: get_ticket(ticket_id=T-182)" in done.out
    assert "group 2  b: add_comment(ticket_id=T-182, body=<subject of a>)" in done.out
    assert "comments.2.body=Export fails with error 500, comments.9=null" in done.out


def test_a_look_that_fails_is_not_as_expected(stage: Stage) -> None:
    done = stage.lean(step('world = { tool = "lean.get", args = { key = "nothing" } }'))
    assert done.code == 1
    assert "NOT AS EXPECTED: lean.get failed: record nothing not found" in done.out


def test_a_guard_that_does_not_start_is_told_with_its_reason(stage: Stage) -> None:
    (stage.folder / "policy.toml").write_text('[upstream.gone]\ncommand = "/nonexistent/server"\n')
    done = stage.play('title = "None"\n' + step('call = { tool = "x" }'))
    assert (done.code, done.err) == (1, "")
    assert "/nonexistent/server" in done.out
    assert "0 of 1 steps, stopped." in done.out
