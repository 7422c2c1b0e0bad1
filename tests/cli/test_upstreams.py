"""Upstreams that do not come up: the others serve, and why is said. None at all: the guard does not start."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mcp.conftest import POLICY, World

from .commands import Ran, table, takeback

FAILING = {
    "missing": "/nonexistent/server: No such file or directory",
    "quits": "no licence found",
    "mute": "no answer to initialize within 1 s",
    "chatty": "on stdout, where only JSON-RPC belongs: Server listening on port 3000",
    "garbled": "not a JSON-RPC response",
    "toolless": "a list of tools that is none",
}
WRONG_RULES = """
[[rule]]
tool = "lean.gte"
class = "read_only"
[[rule]]
tool = "lean.ask"
class = "internal_update"
target = { type = "record", id = "'x'" }
read = { tool = "lean.get", args = { kye = "args.key" } }
"""


def failing() -> str:
    faults = [table(name, "--fault", name, more='start_timeout = "1s"') for name in FAILING if name != "missing"]
    return '[upstream.missing]\ncommand = "/nonexistent/server"\n' + "".join(faults)


async def test_one_that_fails_is_named_on_stderr_and_the_others_serve(world: World) -> None:
    world.write(POLICY + failing())
    async with world.guard() as client:
        tools = [tool["name"] for tool in (await client.send("tools/list"))["result"]["tools"]]
        await client.call("lean_set", {"key": "a", "value": 1})
    told = client.stderr.decode()
    assert client.process.returncode == 0
    assert {name.partition("_")[0] for name in tools} == {"lean", "takeback"}
    assert world.effects() == [["set", "a", 1]]
    for name, why in FAILING.items():
        (line,) = [line for line in told.splitlines() if f"upstream {name} did not start" in line]
        assert why in line
    assert "Traceback" not in told


def test_check_tells_problems_for_people_and_programs(world: World) -> None:
    world.write(POLICY + failing() + WRONG_RULES)
    shown = takeback("check", "--policy", world.policy, env=world.env)
    told = takeback("check", "--policy", world.policy, "--json", env=world.env)
    assert (shown.code, shown.err, told.code, told.err) == (1, "", 1, "")
    expected = ["rule 7 (lean.gte): lean has no tool gte", "rule 8 (lean.ask): lean.get knows no argument kye"]
    problems = told.json["problems"]
    assert problems[:2] == expected
    assert [problem.partition(":")[0] for problem in problems[2:]] == [*FAILING]
    assert all(why in problem for why, problem in zip(FAILING.values(), problems[2:], strict=True))
    assert f"{len(problems)} problems." in shown.out
    assert all(f"! {problem}" in shown.out for problem in expected)
    assert_guarantees(shown, told)


def assert_guarantees(shown: Ran, told: Ran) -> None:
    rules = {rule.pop("rule"): rule for rule in told.json["rules"]}
    assert rules["rule 5 (lean.set)"]["undo"].startswith("strong")
    assert rules["rule 6 (lean.add)"]["undo"] == "none"
    assert rules["rule 6 (lean.add)"]["in_doubt"].startswith("weak")
    assert all(word in shown.out for word in ("duplicates", "in doubt", "undo", "would be stronger with", "lean.add"))


def test_check_of_a_policy_without_problems_says_so(world: World) -> None:
    done = takeback("check", "--policy", world.policy, env=world.env)
    assert (done.code, done.err) == (0, "")
    assert "No problems." in done.out


def test_when_none_starts_nothing_is_served_or_undone(world: World) -> None:
    world.write('[upstream.missing]\ncommand = "/nonexistent/server"\n' + table("quits", "--fault", "quits"))
    done = takeback("serve", "--policy", world.policy, env=world.env)
    done.refused(4, "Not started: no upstream can be used", FAILING["missing"], FAILING["quits"])
    assert done.out == ""
    done = takeback("undo", "a1", "--reason", "no", "--policy", world.policy, env=world.env)
    done.refused(4, "Not done: no upstream can be used")


def test_two_tools_under_one_name_are_refused_with_both(tmp_path: Path) -> None:
    schema = {"type": "object"}
    one = json.dumps([{"name": "b_c", "inputSchema": schema}])
    other = json.dumps([{"name": "c", "inputSchema": schema}])
    path = tmp_path / "policy.toml"
    path.write_text(table("a", "--tools", one) + table("a_b", "--tools", other))
    done = takeback("serve", "--policy", path, env={"TAKEBACK_STATE": str(tmp_path)})
    done.refused(4, "Not started", "'a_b_c'", "a.b_c", "a_b.c", "rename an upstream or exclude")
    assert done.out == ""
