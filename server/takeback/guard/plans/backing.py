"""Taking back what a plan did: its steps in reverse, each by the ordinary undo."""

from __future__ import annotations

from collections.abc import Mapping

from takeback.core.action import Action
from takeback.core.plan import PlanDocument
from takeback.core.vocabulary import Status
from takeback.guard.services import Services
from takeback.guard.undo.one import undo_one
from takeback.guard.undo.selecting import newest_first
from takeback.guard.undo.unwinding import Report
from takeback.ports import Caller


async def take_back(
    services: Services, caller: Caller, plan: PlanDocument, actions: Mapping[str, Action], keeps: int, reason: str
) -> Report:
    """Take back what the groups after the first `keeps` ones did. Asked again, it tells what was done."""
    report = Report()
    for group in reversed(plan.groups[keeps:]):
        mine = [actions[step.id] for step in group.steps if step.id in actions]
        for action in newest_first(mine):
            now = await services.ledger.action(action.tenant, action.id)
            if now.in_force or now.status in {Status.COMPENSATING, Status.COMPENSATED, Status.NEEDS_OPERATOR}:
                report.add(await undo_one(services, caller, now.id, reason))
    return report
