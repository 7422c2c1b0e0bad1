"""A guard as a process of its own in front of a lean upstream, over real pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from .raw import RawClient, guard_command, started

LEAN = Path(__file__).parents[1] / "fixtures" / "lean_server.py"
ASKING = Path(__file__).parents[1] / "fixtures" / "asking_server.py"
RICH = Path(__file__).parents[1] / "fixtures" / "rich_server.py"

POLICY = """
[ledger]
url = "sqlite+aiosqlite:///${STATE}/takeback.db"
[defaults]
tenant = "acme"
user = "agent"
unknown_tools = "allow"
timeout = "5s"
retry = { attempts = 2, backoff = "10ms", max = "20ms" }
[upstream.lean]
command = "PYTHON"
args = ["LEAN", "--journal", "JOURNAL"]
lands_within = "1s"
[[rule]]
tool = "lean.get"
class = "read_only"
[[rule]]
tool = "lean.echo"
class = "read_only"
[[rule]]
tool = "lean.misbehave"
class = "read_only"
[[rule]]
tool = "lean.grow"
class = "read_only"
[[rule]]
tool = "lean.set"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.key" }
read = { tool = "lean.get", args = { key = "args.key" } }
undo = { tool = "lean.set", args = { key = "target.id", value = "before.value" } }
[[rule]]
tool = "lean.add"
class = "external_irreversible"
approval = "always"
target = { type = "record", id = "args.key" }
read = { tool = "lean.get", args = { key = "args.key" } }
verify = "args.value in after.value"
"""

ASKING_POLICY = """
[ledger]
url = "sqlite+aiosqlite:///${STATE}/takeback.db"
[defaults]
tenant = "acme"
user = "agent"
unknown_tools = "allow"
timeout = "5s"
[upstream.asking]
command = "PYTHON"
args = ["ASKING", FLAG"--journal", "JOURNAL"]
[[rule]]
tool = "asking.ask"
class = "read_only"
[[rule]]
tool = "asking.saw"
class = "read_only"
polling = true
[[rule]]
tool = "asking.log"
class = "read_only"
[[rule]]
tool = "asking.write"
class = "internal_update"
effect = "once"
risk = "low"
target = { type = "record", id = "args.key" }
"""


class World:
    """Where one test's guard lives: its policy, its ledger, and the journal of effects that no guard writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy.toml"
        self.journal = folder / "journal"
        self.write(POLICY)

    def write(self, policy: str) -> None:
        """Put the paths of this machine into a policy."""
        names = {
            "PYTHON": sys.executable,
            "LEAN": str(LEAN),
            "ASKING": str(ASKING),
            "RICH": str(RICH),
            "JOURNAL": str(self.journal),
        }
        for name, value in names.items():
            policy = policy.replace(f'"{name}"', json.dumps(value))
        self.policy.write_text(policy)

    @property
    def env(self) -> dict[str, str]:
        return {"TAKEBACK_STATE": str(self.folder)}

    def effects(self) -> list[Any]:
        """What the upstream really did, in order."""
        return [json.loads(line) for line in self.journal.read_text().splitlines()] if self.journal.exists() else []

    def guard(
        self, *, stateless: bool = False, forms: bool = False, capabilities: dict[str, Any] | None = None
    ) -> AbstractAsyncContextManager[RawClient]:
        """A guard on stdio and its client."""
        capabilities = capabilities or ({"elicitation": {}} if forms else {})
        return started(*guard_command(self.policy), env=self.env, stateless=stateless, capabilities=capabilities)

    def direct(self) -> AbstractAsyncContextManager[RawClient]:
        """The upstream without a guard."""
        return started(sys.executable, str(LEAN), "--journal", str(self.journal))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(params=["handshake", "stateless"])
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Guarding = Callable[..., AbstractAsyncContextManager[RawClient]]


@pytest.fixture
def guarding(world: World, era: str) -> Guarding:
    """The guard, in either era."""
    return lambda **options: world.guard(stateless=era == "stateless", **options)
