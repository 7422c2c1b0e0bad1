"""Closing a run: what waits for a person is called off, what is under way goes on, and its result is for a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from takeback.core.action import Action
from takeback.core.run import CLOSED, ApprovalStatus, Run
from takeback.core.states import Happening
from takeback.core.vocabulary import RunStatus, Status
from takeback.guard.recording import next_fact
from takeback.guard.services import Services
from takeback.ports import Change, HistoryQuery

_WAITING: Final = (Status.AWAITING_APPROVAL, Status.APPROVED)
_PAGE: Final = 200


async def abandon(services: Services, tenant: str, run_id: str, *, by: str, reason: str) -> tuple[Run, list[Action]]:
    """Close a run for good. Returns it, and what of it is still under way.

    That is not cut off; what it comes to will be in the recovery queue.

    Raises:
        NotFound: the tenant has no such run.
        LedgerFailure: it could not be recorded; nothing was changed.
    """
    run = await services.ledger.run(tenant, run_id)
    if run.status in CLOSED:
        return run, []
    closed = replace(run, status=RunStatus.ABANDONED, reason=f"{reason} ({by})", active_at=services.clock.now())
    await services.ledger.commit(Change(runs=(closed,), tenant=tenant))
    for action in await _those(services, run, _WAITING):
        await _call_off(services, action, by, reason)
    return closed, await _those(services, run, (Status.RUNNING, Status.IN_DOUBT, Status.COMPENSATING))


async def _those(services: Services, run: Run, statuses: tuple[Status, ...]) -> list[Action]:
    page = await services.ledger.history(HistoryQuery(tenant=run.tenant, run=run.id, statuses=statuses, limit=_PAGE))
    return list(page.actions)


async def _call_off(services: Services, action: Action, by: str, reason: str) -> None:
    fact = next_fact(services, action, Happening.CANCEL, actor=by, detail=f"the run was abandoned: {reason}")
    approval = await services.ledger.approval(action.tenant, action.approval or "")
    void = replace(approval, status=ApprovalStatus.VOID, decided_at=services.clock.now(), decided_by=by, reason=reason)
    await services.ledger.commit(Change(actions=(fact,), approvals=(void,), tenant=action.tenant))


async def is_closed(services: Services, tenant: str, run_id: str) -> bool:
    """Whether a run takes no writes any more."""
    return (await services.ledger.run(tenant, run_id)).status in CLOSED
