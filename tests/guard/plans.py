"""Plans for the guard's tests, and how they are submitted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from takeback.core.action import Action
from takeback.core.run import Approval
from takeback.core.vocabulary import ActionClass
from takeback.guard.worker import Worker
from takeback.ports import HistoryQuery
from takeback.testing import GuardForTests, guarded
from tests.guard.world import POLICY, Desk

Step = dict[str, Any]


def step(name: str, tool: str, *after: str, **arguments: Any) -> Step:
    """One call of a plan."""
    found = {"id": name, "tool": tool, "arguments": arguments}
    return {**found, "after": list(after)} if after else found


def the(name: str, path: str = "") -> dict[str, str]:
    """A reference to a step's result."""
    return {"$from": name, "path": path} if path else {"$from": name}


def group(*steps: Step, checkpoint: bool = False) -> dict[str, Any]:
    return {"steps": list(steps), **({"checkpoint": True} if checkpoint else {})}


def plan(*groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "Tidy up", "reason": "the user asked for it", "groups": list(groups), **more}


THREE = plan(
    group(step("make", "create", title="A new one", tenant="acme")),
    group(
        step("rank", "set", id=the("make", "id"), priority="high"),
        step("other", "set", id="T-1", priority="high"),
    ),
    group(step("look", "get", id=the("make", "id"))),
    group(step("close", "set", id=the("look", "id"), status="closed")),
)
"""Five steps in four groups; what one made is referred to by others, also through a read."""


async def submit(guard: GuardForTests, document: Mapping[str, Any]) -> dict[str, Any]:
    """As the agent does: the tool's result."""
    return dict(await guard.use_cases.plan(guard.caller, document))


def text(result: Mapping[str, Any]) -> str:
    return "\n".join(block["text"] for block in result["content"])


def status(result: Mapping[str, Any]) -> str:
    return str(result["_meta"].get("io.takeback/status"))


async def all_actions(guard: GuardForTests) -> list[Action]:
    page = await guard.ledger.history(HistoryQuery(tenant="acme", limit=100))
    return list(reversed(page.actions))


async def the_plan(guard: GuardForTests) -> Action:
    """The one plan that there is."""
    [found] = [one for one in await all_actions(guard) if one.action_class is ActionClass.WORKFLOW]
    return found


async def answered(guard: GuardForTests, *, agree: bool = True) -> Approval:
    """A person's answer to the one approval that waits."""
    [approval] = await guard.ledger.approvals("acme")
    await guard.decide(approval.id, agree=agree)
    return approval


async def sweep(guard: GuardForTests) -> None:
    """One round of the worker, and what it began."""
    await Worker(guard.use_cases.services, "acme").sweep()
    await guard.use_cases.services.tasks.drain(30)


@asynccontextmanager
async def over(desk: Desk, folder: Path, policy: str = POLICY) -> AsyncIterator[GuardForTests]:
    async with guarded(policy, [desk.tools], folder) as guard:
        yield guard
