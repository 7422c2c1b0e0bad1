"""What is said of a plan, to models and people."""

from __future__ import annotations

from collections.abc import Mapping

from takeback.core.action import Action
from takeback.core.phrases import with_the_rest
from takeback.core.plan import PlanDocument
from takeback.core.wording import targets_of
from takeback.guard.plans.stepping import StepEnd
from takeback.ports import ProgressSink

_NAMED = 20


def finished(action: Action, plan: PlanDocument, actions: Mapping[str, Action]) -> str:
    """When every step is done and verified."""
    return "\n".join([
        f"[takeback {action.id}] Done: all {len(plan.steps)} steps, in {len(plan.groups)} groups.",
        *steps(plan, actions),
        f'To take it back: takeback_undo with what="{action.id}".',
    ])  # fmt: skip


def stopped(action: Action, plan: PlanDocument, actions: Mapping[str, Action], why: str) -> str:
    """When it does not go on by itself."""
    return "\n".join([
        f"[takeback {action.id}] Stopped, not finished: {why}.",
        *steps(plan, actions),
        "What is done stays. It waits for a person in the recovery queue (`takeback queue`); tell the user.",
    ])  # fmt: skip


def waiting(action: Action, end: StepEnd) -> str:
    """When it goes on by itself later."""
    return (
        f"[takeback {action.id}] Under way: step {end.step} waits ({end.why}). The guard goes on with it by itself; do "
        "not submit it again. takeback_history shows where it stands."
    )


def interrupted(action: Action, why: str) -> str:
    """When the ledger failed in the middle of it."""
    return (
        f"[takeback {action.id}] Under way: the ledger cannot be used right now ({why}). What was begun is not lost: "
        "the guard goes on with it when it can. Submit the same plan again later to learn where it stands."
    )


def steps(plan: PlanDocument, actions: Mapping[str, Action]) -> list[str]:
    """The steps that did something, one line each, at most twenty."""
    done = [(step, actions[step.id]) for step in plan.steps if step.id in actions]
    found = [f"- {step.id}: {one.id} {one.name} {targets_of(one.targets)}, {one.status.value}" for step, one in done]
    return with_the_rest(found[:_NAMED], len(found) - _NAMED)


async def progressed(progress: ProgressSink | None, groups: int, plan: PlanDocument) -> None:
    """Tell whoever waits how far it is."""
    if progress is not None:
        done = sum(len(group.steps) for group in plan.groups[:groups])
        message = f"group {groups} of {len(plan.groups)} is done and verified"
        await progress({"progress": done, "total": len(plan.steps), "message": message})
