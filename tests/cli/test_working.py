"""`takeback worker`: what guards left is settled, and plans are gone on with, without anybody being served."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from takeback.bootstrap import read_policy, running
from takeback.ports import Caller
from tests.cli.commands import BOUND, command, table, takeback

RULE = """
[defaults]
agent_tools = ["plan"]

[[rule]]
tool = "tiny.write"
class = "internal_update"
risk = "low"
approval = "always"
"""
PLAN = {
    "title": "Write twice",
    "reason": "asked for",
    "groups": [{"steps": [{"id": "one", "tool": "write", "arguments": {"text": "a"}}]}],
}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(table("tiny", "--journal", tmp_path / "journal") + RULE)
    return path


async def agreed(policy: Path, env: dict[str, str]) -> str:
    """A plan that a person has agreed to, and that no guard has begun."""
    async with running(read_policy(policy, {**os.environ, **env})) as guard:
        caller = Caller(tenant="default", principal="agent", run="r1")
        result = await guard.use_cases.plan(caller, PLAN)
        [approval] = await guard.ledger.approvals("default")
        await guard.use_cases.decide_approval("default", approval.id, agree=True, by="ann", how="test")
        return str(result["_meta"]["io.takeback/action"])


def test_one_round_goes_on_with_what_was_left(policy: Path, tmp_path: Path) -> None:
    env = {"TAKEBACK_STATE": str(tmp_path)}
    plan = asyncio.run(agreed(policy, env))
    ran = takeback("worker", "--once", "--policy", policy, env=env)
    assert (ran.code, plan in ran.out) == (0, True), (ran.out, ran.err)
    shown = takeback("history", "--policy", policy, "--json", env=env)
    assert "succeeded" in shown.out
    assert (tmp_path / "journal").read_text().count("\n") == 1
    again = takeback("worker", "--once", "--policy", policy, env=env)
    assert "Nothing was left to do." in again.out
    assert (tmp_path / "journal").read_text().count("\n") == 1


def test_it_works_until_it_is_told_to_stop(policy: Path, tmp_path: Path) -> None:
    env = {**os.environ, "TAKEBACK_STATE": str(tmp_path)}
    process = subprocess.Popen(command("worker", "--policy", policy), env=env, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "takeback: working for default\n"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=BOUND)
    finally:
        process.kill()
    assert process.returncode == 0
    assert said == "takeback: stopping; what is in flight is finished first\n"
