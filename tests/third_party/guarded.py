"""A client that speaks MCP with `takeback serve`, which has the real server behind it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import anyio
from mcp import types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters

from takeback.core.policy.load import Policy, load
from tests.undo_table.record import answered, record

from .servers import EXAMPLES

Mode = Literal["auto", "legacy"]
"""`auto`: the stateless era, since the guard speaks it; `legacy`: the handshake era."""

PATIENCE: Final = 180
_CONFIRM: Final = re.compile(r'confirm="([0-9a-f]+)"')
_APPROVAL: Final = re.compile(r"approval (\w+) waits")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call got: the tool's own text first, the guard's line last."""

    texts: tuple[str, ...]
    error: bool
    meta: Mapping[str, Any]

    @property
    def line(self) -> str:
        return self.texts[-1]

    @property
    def confirm(self) -> str:
        """What a preview asks to be called again with."""
        found = _CONFIRM.search(self.line)
        assert found, self.line
        return found[1]

    @property
    def approval(self) -> str:
        """What waits for a person."""
        found = _APPROVAL.search(self.line)
        assert found, self
        return found[1]

    def mark(self, name: str) -> Any:
        return self.meta.get(f"io.takeback/{name}")

    def wrote(self, undo: str) -> str:
        """Check what every write that succeeded says, with its forecast; returns the action's id."""
        marks = {name: self.mark(name) for name in ("status", "verified", "replayed", "undo")}
        assert marks == {"status": "succeeded", "verified": "yes", "replayed": False, "undo": undo}, self
        assert not self.error
        action = str(self.mark("action"))
        assert self.line.startswith(f"[takeback {action}] ")
        said = {"exact": "Undo: exact.", "refused": "Undo: impossible."}[undo]
        assert said in self.line, self.line
        return action


class Guarded:
    """The guard's tools, by name."""

    def __init__(self, client: Client, example: str, env: Mapping[str, str]) -> None:
        self._client = client
        self._example = example
        self._env = env
        self.undos: list[dict[str, Any]] = []
        """What was answered to each undo."""

    async def names(self) -> set[str]:
        """The tools of the server behind the guard."""
        listed = (await self._client.list_tools()).tools
        return {tool.name for tool in listed if not tool.name.startswith("takeback_")}

    async def call(self, tool: str, **arguments: Any) -> Answer:
        result = await self._client.call_tool(tool, arguments)
        texts = tuple(block.text for block in result.content if isinstance(block, types.TextContent))
        if tool == "takeback_undo":
            self.undos.append(answered(result.meta or {}, texts[-1]))
        return Answer(texts, bool(result.is_error), result.meta or {})

    async def undo(self, action: str | None = None, **more: str) -> Answer:
        what = {"what": action} if action else {}
        return await self.call("takeback_undo", reason="a test takes it back", **what, **more)

    async def undone_exactly(self, action: str | None = None, **more: str) -> None:
        """Undone, after the preview where there is one."""
        answer = await self.undo(action, **more)
        if "Preview, nothing was changed yet" in answer.line:
            answer = await self.undo(action, confirm=answer.confirm)
        assert not answer.error, answer
        assert "Undone, exactly" in answer.line, answer
        assert "read back" in answer.line
        assert answer.mark("outcome") == "exact"

    async def not_undone(self, action: str | None = None) -> str:
        """The guard refuses and says why."""
        answer = await self.undo(action)
        assert answer.error, answer
        return answer.line

    async def agree(self, answer: Answer) -> None:
        """A person agrees, on the command line, to what the answer says is waiting."""
        command = ("-m", "takeback.cli", "approve", answer.approval, "--yes", "--policy", policy_file(self._example))
        env = {**os.environ, **self._env}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=env, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, said

    async def replayed(self, tool: str, **arguments: Any) -> None:
        """The same call again is recognised, and says so first."""
        again = await self.call(tool, **arguments)
        assert (again.error, again.mark("replayed")) == (False, True), again
        assert "nothing more is needed" in again.texts[0]


def policy_file(example: str) -> Path:
    return EXAMPLES / example / "policy.toml"


def policy(example: str, env: Mapping[str, str]) -> Policy:
    return load(policy_file(example).read_bytes(), env={"STATE": "unused", **env})


@asynccontextmanager
async def guarded(example: str, env: Mapping[str, str], state: Path, mode: Mode = "auto") -> AsyncIterator[Guarded]:
    """`takeback serve` with an example's policy, its ledger in `state`; by `mode`, the client's era of the protocol.

    `example` may also be a folder of the test's own that has a `policy.toml`.
    """
    env = {**env, "TAKEBACK_STATE": str(state)}
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "takeback.cli", "serve", "--policy", str(policy_file(example))],
        env=env,
        cwd=state,
    )
    async with held(Client(parameters, mode=mode)) as client:
        guard = Guarded(client, example, env)
        yield guard
    record(Path(example).name, state, guard.undos)


@asynccontextmanager
async def held(connecting: Client) -> AsyncIterator[Client]:
    """The client, entered and left by one task, as it must be: a fixture ends in another one than it began in."""
    ready, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        with anyio.fail_after(PATIENCE):
            async with connecting:
                ready.set()
                await done.wait()

    holding = asyncio.create_task(hold())
    began = asyncio.create_task(ready.wait())
    await asyncio.wait({holding, began}, return_when=asyncio.FIRST_COMPLETED)
    began.cancel()
    try:
        if not holding.done():
            yield connecting
    finally:
        done.set()
        await holding


async def every_tool_has_a_rule(guard: Guarded, example: str, upstream: str, env: Mapping[str, str]) -> None:
    """By name, without a pattern, so that a reader sees what each tool is taken for."""
    named = {numbered.rule.tool for numbered in policy(example, env).rules}
    assert named == {f"{upstream}.{name}" for name in await guard.names()}
