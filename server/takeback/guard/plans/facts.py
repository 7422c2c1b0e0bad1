"""What the ledger gets of a plan that begins, and who it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from takeback.core.action import PLAN
from takeback.core.canonical import digest
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Does, Effect
from takeback.guard.plans.judging import highest, shared
from takeback.guard.plans.previewing import Shown
from takeback.guard.recording import Fact, beginning, claimed_by
from takeback.guard.services import Services
from takeback.ports import Caller, ProgressSink


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """A plan as it was submitted: `document` has the shape of the tool's input, with tools as clients call them."""

    caller: Caller
    document: Mapping[str, Any]
    reason: str
    progress: ProgressSink | None = None


def first(
    services: Services,
    request: PlanRequest,
    shown: Shown,
    operation: str,
    generation: int,
    happening: Happening,
    **changes: Any,
) -> Fact:
    """The event that begins a plan, and the action that it is."""
    document = shown.plan.document()
    about = {
        "upstream": PLAN[0],
        "tool": PLAN[1],
        "arguments": {**document, "binds": _binds(shown)},
        "targets": (),
        "fingerprint": digest(document),
        "action_class": ActionClass.WORKFLOW,
        "effect": Effect.ONCE,
        "does": Does.UPDATE,
        "risk": highest(shown.steps.values()),
        "rule": "plans",
        "policy_digest": services.policy.digest,
        "reason": one_line(request.reason, LONGEST_REASON),
    }
    claims = claimed_by(request.caller, operation, generation)
    return beginning(services, "w", happening, {**claims, **about, **changes}, shown.plan.title)


def _binds(shown: Shown) -> dict[str, str]:
    """By step: what it must still be when its turn comes; "" where an earlier step of the plan is about the same."""
    about = shared(shown.steps.values())
    touched: set[str] = set()
    found: dict[str, str] = {}
    for group in shown.plan.groups:
        for step in group.steps:
            fresh = touched.isdisjoint(about[step.id])
            found[step.id] = shown.binds.get(step.id, "") if fresh else ""
        for step in group.steps:
            if not shown.steps[step.id].is_read:
                touched |= about[step.id]
    return found
