"""Programs that a scenario needs beside the guard: started first, told where they listen, and gone at the end."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from tests.cli.commands import Ran, takeback

ROOT = Path(__file__).parents[2]
REMOTE = """
extends = "%s"
[upstream.desk]
url = "${DESK_MCP}"
lands_within = "2s"
"""
NOTED = """
import os, sys, time
open("pid", "w").write(str(os.getpid()))
print(%r, flush=True)
print(%s, file=sys.stderr)
time.sleep(%s)
"""


def play(folder: Path, scenario: str, policy: str = "") -> Ran:
    (folder / "policy.toml").write_text(policy)
    (folder / "small.toml").write_text(f'title = "Small"\n{scenario}')
    return takeback("play", folder / "small.toml", "--folder", folder / "files", env={})


def program(code: str, address: str = "PLACE") -> str:
    return f'[program.desk]\ncommand = ["${{PYTHON}}", "-c", {json.dumps(code)}]\naddress = "{address}"\n'


def test_a_remote_server_is_started_for_the_play(tmp_path: Path) -> None:
    server = ROOT / "examples" / "helpdesk" / "mcp_server.py"
    ran = play(
        tmp_path,
        f"""
[program.desk]
command = ["${{PYTHON}}", "{server}", "--db", "${{PLAY}}/desk.db", "--http", "0"]
address = "DESK_MCP"
[[step]]
call = {{ tool = "update_ticket", args = {{ ticket_id = "T-182", priority = "high" }} }}
[[step]]
world = {{ tool = "desk.get_ticket", args = {{ ticket_id = "T-182" }}, true = "result.priority == 'high'" }}
""",
        REMOTE % (ROOT / "policy.toml"),
    )
    assert ran.code == 0, ran.out + ran.err
    assert "2 of 2 steps, all as expected" in ran.out


@pytest.mark.parametrize("ending", ["as expected", "not as expected", "with a policy that does not load"])
def test_it_is_gone_at_the_end(tmp_path: Path, ending: str) -> None:
    steps = "[[step]]\nshow = 'runs'\n" if ending == "as expected" else "[[step]]\nshow = 'nothing'\n"
    policy = "[ledgr]\n" if ending.endswith("load") else ""
    ran = play(tmp_path, program(NOTED % ("http://x", "''", 600)) + steps, policy)
    assert (ran.code == 0) is (ending == "as expected")
    assert not psutil.pid_exists(int((tmp_path / "files" / "pid").read_text()))


def test_one_that_does_not_start_is_told_with_what_it_said(tmp_path: Path) -> None:
    step = "[[step]]\nshow = 'runs'\n"
    ended = play(tmp_path, program("import sys; sys.exit('no such desk')") + step)
    ended.refused(4, "program.desk ended at once: no such desk")
    absent = '[program.desk]\ncommand = ["no-such-program"]\naddress = "PLACE"\n'
    (tmp_path / "again").mkdir()
    play(tmp_path / "again", absent + step).refused(4, "program.desk: no-such-program cannot be started")


def test_a_variable_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    wrong = '[program.desk]\ncommand = ["${PYTHN}"]\naddress = "PLACE"\n[[step]]\nshow = "runs"\n'
    play(tmp_path, wrong).refused(2, "program.desk: there is no ${PYTHN} here, only")
