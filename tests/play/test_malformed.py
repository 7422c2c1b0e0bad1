"""Scenarios with mistakes are refused, with every mistake, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from takeback.play.scenario import ScenarioMistake, filled, read_scenario
from tests.cli.commands import inside

HEAD = b'title = "x"\n'
KILL = "[[step]]\nkill = { once = { tool = 'a.get', true = 'result.x' } }\n"


def mistakes(text: str) -> list[str]:
    with pytest.raises(ScenarioMistake) as refused:
        read_scenario(HEAD + text.encode(), "small.toml")
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[step]", "line 2"),
        ("", "step: Field required"),
        ("step = []", "step: "),
        ("[[step]]\nsay = 'nothing else'", "step[1]: a step needs exactly one of"),
        ("[[step]]\nshow = 'runs'\nreconnect = true", "step[1]: a step needs exactly one of"),
        ("[[step]]\nshow = '  '", "step[1]: a step needs exactly one of"),
        ("[[step]]\ncall = { tool = 'x', tol = 'x' }", "step[1].call.tol: Extra inputs are not permitted"),
        ("[[step]]\ncall = { tool = 'x', expect = { txt = 'x' } }", "step[1].call.expect.txt"),
        ("[[step]]\ncall = { tool = 'x', reply = 'late' }", "step[1].call.reply"),
        ("[[step]]\ncall = { tool = 'x', reply = 'lost', expect = { error = false } }", "step[1].call: a reply"),
        ("[[step]]\nperson = {}", "step[1].person: a person needs exactly one of"),
        ("[[step]]\nperson = { forms = ['maybe'] }", "step[1].person.forms[1]"),
        ("[[step]]\nworld = { tool = 'get' }", "step[1].world.tool"),
        ("[[step]]\nworld = { tool = 'a.get', true = 'result.x ==' }", "step[1].world.true: "),
        ("[[step]]\nshow = {}", "step[1].show.command: Field required"),
        ("[[step]]\nkill = { once = { tool = 'a.get' } }", "step[1].kill: what it waits for is missing: once.true"),
        ("[[step]]\nkill = { once = { tool = 'a.get', true = '1 ==' } }", "step[1].kill.once.true: "),
        ("[[step]]\nworld = { tool = 'a.get', within = 5 }", "step[1].world.within: must be a duration"),
        (KILL + "[[step]]\ncall = { tool = 'x' }", "step[2]: no guard runs here"),
        (KILL + KILL, "step[2]: no guard runs here"),
        ("[[step]]\nperson = { approve = 'mail' }", "step[1].person.approve: no earlier step saves 'mail'"),
        ("[[step]]\nshow = 'explain ${mail}'", "step[1].show: no earlier step saves 'mail'"),
        ("[[step]]\ncall = { tool = 'x', save = 'a', expect = { other_action_than = 'a' } }", "than: no earlier"),
        ("[env]\nA = '${SCENRIO}'\n[[step]]\nshow = 'runs'", "env.A: there is no ${SCENRIO} here, only"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, words: str) -> None:
    (told,) = mistakes(text)
    assert told.startswith("small.toml: ")
    assert words in told


def test_all_mistakes_are_told_at_once() -> None:
    text = "stp = 1\n[[step]]\nperson = {}\n[[step]]\ncall = { tool = 1, reply = 'late' }\n"
    assert len(mistakes(text)) == 4
    loose = "[env]\nA = '${X}'\n[[step]]\nshow = '${a}'\n[[step]]\nperson = { deny = 'b' }\n"
    assert len(mistakes(loose)) == 3


def test_what_was_saved_is_filled_in_and_nothing_else() -> None:
    saved = {"a": "a1", "a_approval": "p1"}
    assert filled({"x": ["${a}", 1, "${a_approval}!"]}, saved) == {"x": ["a1", 1, "p1!"]}
    with pytest.raises(ScenarioMistake, match="b"):
        filled("${b}", saved)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (None, ("cannot read the policy", "No such file")),
        ("[ledgr]\n", ("policy.toml has a mistake", "ledgr")),
        ('[upstream.desk]\ncommand = "x"\n', ("step[2]: the policy has no upstream 'dsk', only desk",)),
    ],
)
def test_a_policy_that_does_not_fit_is_told(tmp_path: Path, policy: str | None, words: tuple[str, ...]) -> None:
    if policy is not None:
        (tmp_path / "policy.toml").write_text(policy)
    steps = "[[step]]\nshow = 'runs'\n[[step]]\nworld = { tool = 'dsk.get' }\n"
    (tmp_path / "small.toml").write_bytes(HEAD + steps.encode())
    inside("play", tmp_path / "small.toml", "--folder", tmp_path / "files", env={}).refused(2, *words)
    assert [*(tmp_path / "files").iterdir()] == []


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_bytes(HEAD + b"[[step]]\nshow = 'runs'\n")
    inside("play", tmp_path / "small.toml", "--folder", tmp_path / "small.toml", env={}).refused(2, "cannot be used")
