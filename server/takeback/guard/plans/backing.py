"""Taking back what a plan did: its steps in reverse, each by the ordinary undo."""

from __future__ import annotations

from collections.abc import Mapping

from takeback.core.action import Action
from takeback.core.plan import PlanDocument
from takeback.core.run import Unwinding
from takeback.core.vocabulary import Status
from takeback.guard.services import Services
from takeback.guard.undo.one import undo_one
from takeback.guard.undo.unwinding import Report
from takeback.ports import Caller


async def take_back(
    services: Services, caller: Caller, plan: PlanDocument, actions: Mapping[str, Action], keeps: int, reason: str
) -> Report:
    """Take back what the groups after the first `keeps` ones did. Asked again, it tells what was done."""
    report = Report()
    for group in reversed(plan.groups[keeps:]):
        mine = [actions[step.id] for step in group.steps if step.id in actions]
        for action in sorted(mine, key=lambda one: (one.sent_at or one.created_at, one.id), reverse=True):
            now = await services.ledger.action(action.tenant, action.id)
            if now.in_force or now.status in {Status.COMPENSATING, Status.COMPENSATED, Status.NEEDS_OPERATOR}:
                report.add(await undo_one(services, caller, now.id, reason))
    return report


def as_unwinding(action: Action, report: Report) -> Unwinding:
    """The words of an undo of several are those of an undo of a plan."""
    total = report.kept + report.waiting + report.frozen + report.counts.total()
    return Unwinding(
        id=action.id,
        tenant=action.tenant,
        run=action.run,
        principal=action.principal,
        what=action.id,
        reason="",
        actions=tuple(str(number) for number in range(total)),
        opened_at=action.created_at,
    )
