"""What the ledger gets of a plan that begins, and who it is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from takeback.core.action import PLAN, Action, Event, begin
from takeback.core.canonical import digest
from takeback.core.operation import idempotency_key
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Does, Effect, Origin
from takeback.guard.plans.judging import highest, shared
from takeback.guard.plans.previewing import Shown
from takeback.guard.recording import Fact
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
    caller, document = request.caller, shown.plan.document()
    event = Event(
        services.ids.new("w"),
        1,
        happening,
        services.clock.now(),
        f"guard for {caller.principal}",
        {
            "tenant": caller.tenant,
            "run": caller.run,
            "principal": caller.principal,
            "client": caller.client,
            "trace": caller.trace,
            "upstream": PLAN[0],
            "tool": PLAN[1],
            "arguments": {**document, "binds": _binds(shown)},
            "targets": (),
            "operation": operation,
            "generation": generation,
            "key": idempotency_key(operation, generation),
            "fingerprint": digest(document),
            "client_key": None,
            "action_class": ActionClass.WORKFLOW,
            "effect": Effect.ONCE,
            "does": Does.UPDATE,
            "risk": highest(list(shown.steps.values())),
            "rule": "plans",
            "policy_digest": services.policy.digest,
            "origin": Origin.AGENT,
            "original": None,
            "reason": one_line(request.reason, LONGEST_REASON),
            **changes,
        },
        shown.plan.title,
    )
    return event, begin(event)


def _binds(shown: Shown) -> dict[str, str]:
    """By step: what it must still be when its turn comes; "" where an earlier step of the plan is about the same."""
    about = shared(list(shown.steps.values()))
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


def caller_of(action: Action) -> Caller:
    """Who submitted a plan, for whoever goes on with it."""
    return Caller(
        tenant=action.tenant, principal=action.principal, run=action.run, client=action.client, trace=action.trace
    )
