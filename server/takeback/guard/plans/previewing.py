"""What a person or an agent is shown of a plan before it runs, and the digest that binds an answer to exactly that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from takeback.core.action import PLAN, Target
from takeback.core.canonical import digest
from takeback.core.images import Image, values_of
from takeback.core.jsontext import JSON
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.plan import PlanDocument, no_return
from takeback.core.vocabulary import ActionClass
from takeback.core.wording import targets_of
from takeback.guard.approving import digest_now
from takeback.guard.execution import before_image, labelled
from takeback.guard.plans.judging import Judged, highest
from takeback.guard.purposes import declared_fields
from takeback.guard.services import Services, Work
from takeback.ports import Caller

TOOL: Final = ".".join(PLAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A plan as it was shown: `binds` has, by step, what its approval is bound to ("": not known before it runs)."""

    plan: PlanDocument
    steps: Mapping[str, Judged]
    images: Mapping[str, Image | None]
    binds: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Binds an answer to all of it."""
        rules = {name: one.decision.rule_id for name, one in self.steps.items()}
        policy = sorted({one.decision.policy_digest for one in self.steps.values()})
        return digest([self.plan.document(), rules, policy, dict(self.binds)])

    @property
    def irreversible(self) -> frozenset[str]:
        """The steps that nothing takes back."""
        return frozenset(name for name, one in self.steps.items() if one.irreversible)

    @property
    def asks(self) -> list[Judged]:
        """The steps for which a person must agree."""
        return [one for one in self.steps.values() if one.decision.verdict == "ask"]


async def seen(services: Services, plan: PlanDocument, steps: Sequence[Judged]) -> Shown:
    """The plan with what its targets are now, as far as that is known; they are read only where a person will look."""
    images: dict[str, Image | None] = {}
    binds: dict[str, str] = {}
    limit = asyncio.Semaphore(services.policy.file.plans.side_by_side)

    async def look(name: str, work: Work) -> None:
        async with limit:
            before = await before_image(services, work)
        images[name] = services.stored_image(before, work.redact) if before is not None else None
        binds[name] = digest_now(services, work, images[name])

    if any(one.decision.verdict == "ask" for one in steps):
        await asyncio.gather(*(look(one.step.id, one.work) for one in steps if one.work is not None))
    return Shown(plan=plan, steps={one.step.id: one for one in steps}, images=images, binds=binds)


def lines(shown: Shown) -> list[str]:
    """Step by step, group by group, with the point of no return."""
    turning = no_return(shown.plan, shown.irreversible)
    found = [f"{shown.plan.title or 'A plan'}: {len(shown.plan.steps)} steps in {len(shown.plan.groups)} groups."]
    for number, group in enumerate(shown.plan.groups):
        mark = " (from here on not everything can be taken back)" if number == turning else ""
        found.append(f"Group {number + 1}{mark}:")
        found += [f"- {_line(shown, step.id)}" for step in group.steps]
        if group.checkpoint:
            found.append("  A safe checkpoint: a later failure leads back to here.")
    back = "what was done since the last safe checkpoint is taken back" if _goes_back(shown) else "it stops there"
    return [*found, f"If a step {_failing(shown.plan.retries)}, {back}."]


def _failing(retries: int) -> str:
    return "fails" if not retries else f"still fails after {retries} more attempt{'s' if retries > 1 else ''}"


def _goes_back(shown: Shown) -> bool:
    return shown.plan.on_failure == "compensate"


def _line(shown: Shown, name: str) -> str:
    one = shown.steps[name]
    if one.is_read:
        return f"{name}: {one.step.tool}, a read"
    known = _targets(shown, one)
    targets = targets_of(known) if known else "what an earlier step names" if one.open else _made(one)
    asks = ", a person must agree" if one.decision.verdict == "ask" else ""
    outlook = one.outlook.text if one.outlook is not None else "impossible"
    kind = f"{one.decision.action_class.value}, {one.decision.risk.value} risk"
    return f"{name}: {one.step.tool} {targets} ({kind}{asks}); undo: {outlook}"


def _made(one: Judged) -> str:
    return "something new" if one.decision.late_targets else "no named target"


def _targets(shown: Shown, one: Judged) -> tuple[Target, ...]:
    if one.work is None:
        return one.targets
    return labelled(one.work, before=shown.images.get(one.step.id))


def preview(shown: Shown, caller: Caller, *, why: str, expires_at: datetime, advisory: bool) -> JSON:
    """What a person is shown, in the shape of every approval's preview, with the steps beside it."""
    arguments = {f"{one.step.id} ({one.step.tool})": dict(one.step.arguments) for one in _in_order(shown)}
    impossible = sorted(shown.irreversible)
    undo = f"not of {', '.join(impossible)}" if impossible else "step by step, as each one says"
    return {
        "tool": TOOL,
        "targets": [target.human for one in _in_order(shown) for target in _targets(shown, one)],
        "changes": [change for one in _in_order(shown) for change in _changes(shown, one)],
        "arguments": arguments,
        "class": ActionClass.WORKFLOW.value,
        "risk": highest(shown.steps.values()).value,
        "undo": undo,
        "asked_by": one_line(caller.client or caller.principal, LONGEST_REASON),
        "why": one_line(why, LONGEST_REASON),
        "expires_at": expires_at.isoformat(),
        "plan": lines(shown),
        "advisory": advisory,
    }


def _in_order(shown: Shown) -> list[Judged]:
    return [shown.steps[step.id] for step in shown.plan.steps]


def _changes(shown: Shown, one: Judged) -> list[JSON]:
    if one.work is None:
        return []
    before = shown.images.get(one.step.id)
    arguments = one.work.arguments
    return [
        {
            "field": f"{one.step.id}: {field}",
            "before": values_of(before, field) if before is not None else None,
            "after": arguments.get(field),
        }
        for field in declared_fields(one.work, arguments, before)
        if field in arguments
    ]
