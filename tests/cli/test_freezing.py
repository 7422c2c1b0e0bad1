"""`freeze`, `thaw` and `freezes`: one thing at a time, with a reason, on record, and never by a slip of the pen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Story

WHY = ("--reason", "odd mails")


@pytest.fixture(autouse=True)
def _thawed(story: Story) -> Iterator[None]:
    """What a test froze is thawed for the others, who tell the same story."""
    yield
    for one in story("freezes", "--json").json:
        named = ("--all",) if one["kind"] == "tenant" else (f"--{one['kind']}", one["name"])
        assert story("thaw", *named, "--reason", "the test is over").code == 0


def test_it_is_frozen_shown_and_thawed(story: Story) -> None:
    assert story("freezes").out.strip() == "Nothing is frozen."
    frozen = story("freeze", "--upstream", "lean", *WHY)
    assert (frozen.code, "Frozen: the upstream lean, writes, since" in frozen.out) == (0, True)
    shown = story("freezes").out
    assert [word for word in ("the upstream lean", "writes", "(command line)", "odd mails") if word not in shown] == []
    thawed = story("thaw", "--upstream", "lean", "--reason", "mended")
    assert (thawed.code, "Thawed: the upstream lean" in thawed.out) == (0, True)
    assert story("freezes").out.strip() == "Nothing is frozen."
    [one, *_] = story("freezes", "--all", "--json").json
    assert (one["reason"], one["lifted_reason"], one["lifted_at"] is not None) == ("odd mails", "mended", True)
    assert "mended" in story("freezes", "--all").out


@pytest.mark.parametrize("kind", ["upstream", "tool", "run", "tenant"])
def test_each_thing_can_be_frozen_and_programs_are_told(story: Story, kind: str) -> None:
    names = {"upstream": "lean", "tool": "lean.set", "run": story.run, "tenant": "acme"}
    named = ("--all",) if kind == "tenant" else (f"--{kind}", names[kind])
    found = story("freeze", *named, *WHY, "--reads", "--json").json
    assert (found["kind"], found["name"], found["reads"], found["fresh"]) == (kind, names[kind], True, True)
    assert [one["id"] for one in story("freezes", "--json").json] == [found["id"]]
    lifted = story("thaw", *named, "--reason", "mended", "--json").json
    assert (lifted["id"], lifted["lifted_reason"], lifted["fresh"]) == (found["id"], "mended", True)


def test_freezing_twice_says_since_when_and_by_whom(story: Story) -> None:
    story("freeze", "--tool", "lean.set", *WHY)
    again = story("freeze", "--tool", "lean.set", "--reason", "me, too")
    again.refused(1, "frozen already", "the tool lean.set", "since 20", "(command line)", "odd mails", "--reads")
    more = story("freeze", "--tool", "lean.set", "--reads", "--reason", "leaks")
    assert (more.code, "reads and writes" in more.out) == (0, True)
    story("freeze", "--tool", "lean.set", "--reads", *WHY).refused(1, "leaks")


@pytest.mark.parametrize(
    ("option", "name", "there"),
    [
        ("--upstream", "leen", "lean"),
        ("--tool", "lean.sett", "lean.set"),
        ("--tool", "set", "lean"),
        ("--run", "r-", ""),
    ],
)
def test_what_there_is_not_is_an_error_that_says_what_there_is(
    story: Story, option: str, name: str, there: str
) -> None:
    story("freeze", option, name, *WHY).refused(3, "Nothing was changed", name, there or story.run)
    story("thaw", option, name, *WHY).refused(1, "is not frozen", "Frozen is: nothing")
    assert story("freezes", "--json").json == []


@pytest.mark.parametrize(
    "named", [(), ("--upstream", "lean", "--all"), ("--upstream", ""), ("--run", "x", "--tool", "lean.set")]
)
@pytest.mark.parametrize("command", ["freeze", "thaw"])
def test_exactly_one_thing_is_named(story: Story, command: str, named: tuple[str, ...]) -> None:
    story(command, *named, *WHY).refused(2, "choose one of --upstream, --tool, --run and --all")


@pytest.mark.parametrize("command", ["freeze", "thaw"])
def test_a_reason_is_required(story: Story, command: str) -> None:
    ran = story(command, "--upstream", "lean")
    assert (ran.code, "--reason" in ran.out + ran.err) == (2, True)
    story(command, "--upstream", "lean", "--reason", " ").refused(2, "a reason")


def test_other_tenants_are_not_frozen_with_it(story: Story) -> None:
    story("freeze", "--upstream", "lean", *WHY)
    assert story("freezes", "--tenant", "zeta", "--json").json == []


def test_check_says_what_is_frozen(story: Story) -> None:
    story("freeze", "--upstream", "lean", *WHY)
    assert "frozen: the upstream lean, writes, since" in story("check").out
    assert [one["name"] for one in story("check", "--json").json["frozen"]] == ["lean"]


def test_serve_says_what_is_frozen_and_the_agent_is_told(story: Story) -> None:
    story("freeze", "--tool", "lean.set", *WHY)

    async def served() -> tuple[dict[str, Any], dict[str, Any], bytes]:
        async with story.world.guard() as client:
            result = await client.call("set", {"key": "plain", "value": 3})
            listed = await client.call("takeback_history", {})
        return result, listed, client.stderr

    before = story.world.effects()
    result, listed, said = asyncio.run(served())
    text = result["content"][0]["text"]
    assert (result["isError"], "odd mails" in text, "Nothing was executed" in text) == (True, True, True)
    assert listed["content"][0]["text"].startswith("Frozen: the tool lean.set")
    assert b"takeback: frozen: the tool lean.set, writes, since" in said
    assert story.world.effects() == before


def test_nothing_that_an_agent_can_call_freezes_or_thaws(story: Story) -> None:
    async def offered() -> set[str]:
        async with story.world.guard() as client:
            return {tool["name"] for tool in (await client.send("tools/list", {}))["result"]["tools"]}

    names = asyncio.run(offered())
    assert "takeback_history" in names
    assert [name for name in names if re.search("freez|thaw|switch", name)] == []
