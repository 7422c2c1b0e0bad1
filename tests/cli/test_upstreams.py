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


def test_check_tells_what_is_wrong_for_people_and_programs(world: World) -> None:
    world.write(POLICY + failing() + WRONG_RULES)
    shown = takeback("check", "--policy", world.policy, env=world.env)
    told = takeback("check", "--policy", world.policy, "--json", env=world.env)
    assert (shown.code, shown.err, told.code, told.err) == (1, "", 1, "")
    expected = {
        "rule[7].tool": ("lean.gte", "lean has no tool `gte`", "did you mean `get`?"),
        "rule[8].read.args.kye": ("lean.ask", "lean.get has no argument `kye`", "did you mean `key`?"),
        "rule[8].read.args": ("lean.ask", "lean.get needs the argument `key`, which is not given", ""),
    }
    errors = [finding for finding in told.json["findings"] if finding["severity"] == "error"]
    assert {one["path"]: (one["rule"], one["message"], one["suggestion"]) for one in errors} == expected
    assert {name: why in told.json["unreached"][name] for name, why in FAILING.items()} == dict.fromkeys(FAILING, True)
    assert all(f"{path} ({rule}): {what}" in shown.out for path, (rule, what, _) in expected.items())
    assert all(f"not asked: upstream {name}: " in shown.out for name in FAILING)
    assert_guarantees(shown, told)


def assert_guarantees(shown: Ran, told: Ran) -> None:
    rules = {rule.pop("rule"): rule for rule in told.json["rules"]}
    assert rules["rule 5 (lean.set)"]["undo"] == {"strength": "good", "says": "exact, read back"}
    assert rules["rule 6 (lean.add)"]["undo"]["strength"] == "none"
    assert rules["rule 6 (lean.add)"]["in_doubt"]["strength"] == "weak"
    assert "probe" in rules["rule 6 (lean.add)"]["stronger"]
    assert all(word in shown.out for word in ("duplicates", "in doubt", "undo", "would be stronger with", "lean.add"))


def test_check_of_a_policy_without_problems_says_so(world: World) -> None:
    done = takeback("check", "--policy", world.policy, env=world.env)
    assert (done.code, done.err) == (0, "")
    assert "error" not in done.out
    strict = takeback("check", "--policy", world.policy, "--strict", env=world.env)
    assert strict.code == (1 if "warning" in done.out else 0)


def test_check_says_with_its_exit_code_that_an_upstream_could_not_be_asked(world: World) -> None:
    world.write(POLICY + table("quits", "--fault", "quits"))
    done = takeback("check", "--policy", world.policy, env=world.env)
    assert (done.code, done.err) == (4, "")
    assert "not asked: upstream quits: " in done.out
    assert "1 of the upstreams could not be asked" in done.out


def test_check_offline_starts_nothing_and_looks_at_the_policy_alone(world: World) -> None:
    world.write(POLICY + table("quits", "--fault", "quits") + WRONG_RULES)
    done = takeback("check", "--offline", "--policy", world.policy, "--json", env=world.env)
    assert (done.code, done.json["unreached"]) == (0, {})
    assert not (world.folder / "takeback.db").exists()
    assert "rule 5 (lean.set)" in [rule["rule"] for rule in done.json["rules"]]


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
