"""The one question to a person for all of a plan."""

from __future__ import annotations

from collections.abc import Sequence

from takeback.core.action import Action
from takeback.core.run import Approval
from takeback.core.states import Happening
from takeback.guard.plans.facts import PlanRequest, first
from takeback.guard.plans.previewing import Shown, preview
from takeback.guard.services import Services
from takeback.ports import Change, Lease


async def ask(
    services: Services, request: PlanRequest, shown: Shown, operation: str, generation: int, leases: Sequence[Lease]
) -> tuple[Action, Approval]:
    """Keep the plan with its question. The leases go back while a person thinks.

    Raises:
        LedgerFailure: the ledger is out of reach, or somebody else was first; nothing was asked.
    """
    now = services.clock.now()
    approval_id, expires = services.ids.new("p"), now + services.policy.file.defaults.approval_expires
    fact = first(services, request, shown, operation, generation, Happening.ASK, approval=approval_id)
    approval = Approval(
        id=approval_id,
        tenant=request.caller.tenant,
        run=request.caller.run,
        action=fact[1].id,
        digest=shown.digest,
        preview=preview(shown, request.caller, why=request.reason, expires_at=expires, advisory=services.advisory),
        requested_at=now,
        expires_at=expires,
    )
    held = tuple(leases)
    await services.ledger.commit(
        Change(actions=(fact,), approvals=(approval,), tenant=fact[1].tenant, leases=held, release=held)
    )
    return fact[1], approval
