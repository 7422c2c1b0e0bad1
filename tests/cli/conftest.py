"""A ledger with a story in it, made once by a real guard, for all commands that only look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.mcp.conftest import POLICY, World, world

from .commands import Ran, inside

__all__ = ["world"]

HOSTILE = (
    "[red]INJECTED[/red] \x1b[31m\x1b]0;owned\x07 \u202eevil\u202c [link=http://x.example]y[/link] "
    "\u05e9\u05dc\u05d5\u05dd"
)
LONG = "long " * 1000

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = 'trace_link = "https://traces.example/t/{trace}"'

WRITING = """
[[rule]]
tool = "lean.misbehave"
class = "internal_update"
effect = "once"
risk = "low"
[[rule]]
tool = "lean.grow"
"""


@dataclass
class Story:
    """What was done, by name: the ids of actions and approvals."""

    world: World
    run: str = ""
    actions: dict[str, str] = field(default_factory=dict)
    approvals: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str, *arguments: str, given: str = "") -> Ran:
        return inside(name, *arguments, "--policy", self.world.policy, env=self.world.env, given=given)

    async def live(self) -> None:
        async with self.world.guard() as client:
            for name, tool, arguments in self._calls():
                traced = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
                meta = (await client.call(tool, arguments, _meta=traced))["_meta"]
                self.run = meta["io.takeback/run"]
                self.actions[name] = meta["io.takeback/action"]
                if "io.takeback/approval" in meta:
                    self.approvals[name] = meta["io.takeback/approval"]

    def _calls(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            ("created", "set", {"key": "plain", "value": 1}),
            ("changed", "set", {"key": "plain", "value": 2}),
            ("hostile", "set", {"key": HOSTILE, "value": HOSTILE}),
            ("long", "set", {"key": "long", "value": LONG}),
            ("doubtful", "misbehave", {"how": "die"}),
            *((name, "add", {"key": "mails", "value": name}) for name in ("agreed", "refused", "declined", "machine")),
            ("asked", "add", {"key": HOSTILE, "value": HOSTILE}),
        ]


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = World(tmp_path_factory.mktemp("story"))
    reading = '[[rule]]\ntool = "lean.misbehave"\nclass = "read_only"\n[[rule]]\ntool = "lean.grow"\n'
    assert reading in POLICY
    world.write(POLICY.replace(reading, WRITING).replace("[defaults]", f"[defaults]\n{TRACED}"))
    told = Story(world)
    asyncio.run(told.live())
    return told
