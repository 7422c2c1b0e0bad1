"""Drafted policies: `init` and `wrap`."""

from __future__ import annotations

import json
import re
import stat
import sys
import tomllib
from pathlib import Path

import pytest

from takeback.core.inventory.tables import policy_text
from takeback.core.policy.load import load
from takeback.core.policy.source import command_table
from tests.mcp.conftest import LEAN, World
from tests.mcp.raw import started

from .commands import TINY, command, takeback

READ = {"readOnlyHint": True}


@pytest.mark.parametrize("words", [["x", 'a "b"', "${HOME}", "\\", "é\n", ""], ["x", "$${A}", "'''"]])
def test_the_command_stands_in_a_draft_as_it_was_given(words: list[str]) -> None:
    upstream = load(policy_text({"server": command_table(words)}, {}), env={"STATE": "/state"}).file.upstream["server"]
    assert [upstream.command, *upstream.args] == words


def test_init_drafts_what_check_accepts_and_leaves_an_existing_file_alone(world: World) -> None:
    path = world.folder / "drafts" / "policy.toml"
    words = (sys.executable, str(LEAN), "--journal=-x")
    done = takeback("init", "--policy", path, *words, env=world.env)  # also without `--`
    assert (done.code, done.err) == (0, "")
    assert f"Wrote {path} for 7 tools of server" in done.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["policy.toml"]
    drafted = tomllib.loads(path.read_text())
    assert drafted["upstream"]["server"]["args"] == [str(LEAN), "--journal=-x"]
    assert [
        rule["tool"] for rule in drafted["rule"] if rule["class"] == "read_only"
    ] == []  # the lean server says too little
    assert takeback("check", "--policy", path, env=world.env).code == 0
    path.write_text("# mine\n")
    takeback("init", "--policy", path, "--", *words, env=world.env).refused(1, str(path), "left alone")
    assert path.read_text() == "# mine\n"


@pytest.mark.parametrize("name", ["init", "wrap"])
def test_a_server_that_does_not_start_leaves_no_draft(tmp_path: Path, name: str) -> None:
    env = {"TAKEBACK_STATE": str(tmp_path / "state")}
    words = (sys.executable, "-S", str(TINY), "--fault", "quits")
    takeback(name, "--", *words, env=env, cwd=tmp_path).refused(4, sys.executable, "no licence found", "did not start")
    assert [*tmp_path.iterdir()] == []


async def test_wrap_drafts_once_says_where_and_guards_only_that_command(tmp_path: Path) -> None:
    env = {"TAKEBACK_STATE": str(tmp_path)}
    tools = json.dumps([{"name": "get_it", "inputSchema": {"type": "object"}, "annotations": READ}])
    words = (sys.executable, "-S", str(TINY), "--tools", tools)
    path = tmp_path / "policies" / "mine.toml"
    async with started(*command("wrap", "--name", "mine", "--", *words), env=env) as client:
        listed = (await client.send("tools/list"))["result"]["tools"]
    assert listed[0]["name"] == "get_it"
    assert f"drafted a cautious policy for mine; look it over: {path}" in client.stderr.decode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [rule["tool"] for rule in tomllib.loads(path.read_text())["rule"]] == ["mine.get_it"]

    path.write_text(path.read_text() + "# looked over\n")
    async with started(*command("wrap", "--name", "mine", "--", *words), env=env) as client:
        await client.call("get_it")
    assert f"takeback: policy {path}" in client.stderr.decode()
    assert path.read_text().endswith("# looked over\n")

    done = takeback("wrap", "--policy", path, "--", "other-server", "--x", env=env)
    done.refused(2, "Not started", str(path), "`other-server --x`", "another --policy")


async def test_another_server_under_the_same_name_gets_a_policy_of_its_own(tmp_path: Path) -> None:
    env = {"TAKEBACK_STATE": str(tmp_path)}
    words = [(sys.executable, "-S", str(TINY), "--tools", json.dumps([{"name": name}])) for name in ("one", "two")]
    said = []
    for command_line in (*words, *words):
        async with started(*command("wrap", "--name", "mine", "--", *command_line), env=env) as client:
            listed = (await client.send("tools/list"))["result"]["tools"]
        said.append((listed[0]["name"], client.stderr.decode().partition("policies/")[2].splitlines()[0]))
    assert said[0] == said[2] == ("one", "mine.toml")
    assert said[1] == said[3]
    assert re.fullmatch(r"mine-[0-9a-f]{8}\.toml", said[1][1])
    drafted = {path.name: tomllib.loads(path.read_text()) for path in (tmp_path / "policies").iterdir()}
    assert {name: [*policy["upstream"]] for name, policy in drafted.items()} == {
        name: [name.removesuffix(".toml")] for name in ("mine.toml", said[1][1])
    }
