"""Approval: the request with its preview, the answer of a person, and what it covers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from takeback.core.action import Action
from takeback.core.approval import approval_digest, preview
from takeback.core.expressions import ExpressionError
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.operation import without_volatile
from takeback.core.run import Approval, ApprovalStatus
from takeback.core.states import Happening
from takeback.guard.execution import labelled
from takeback.guard.purposes import declared_fields, forecast, image_variables
from takeback.guard.recording import Fact, first, next_fact
from takeback.guard.services import Services, Work
from takeback.ports import Change, Standing

_SELECTED: Final = re.compile(r"\bbefore((?:\.\w+)+)")


class NotDecidable(Exception):
    """The approval cannot be decided (any more); the message says why and what to do."""


def digest_now(services: Services, work: Work, stored_before: Image | None) -> str:
    """What an approval of this work is bound to, as the target stands now."""
    rule = work.decision.rule
    return approval_digest(
        tool=work.entry.policy_name,
        arguments=without_volatile(
            services.redacted(work.arguments, work.redact), rule.volatile if rule is not None else ()
        ),
        rule=work.decision.rule_id,
        policy_digest=work.decision.policy_digest,
        fields=declared_fields(work, work.arguments, stored_before),
        required=_required(work, stored_before),
        before=stored_before,
        ignore=work.ignore,
    )


def _required(work: Work, before: Image | None) -> JSON:
    """What `require` looks at: the fields of the before-image that it selects."""
    rule = work.decision.rule
    if rule is None or rule.require is None or before is None:
        return None
    found: dict[str, JSON] = {}
    for path in sorted(set(_SELECTED.findall(rule.require.source))):
        value: JSON = before.variable()
        for step in path.strip(".").split("."):
            value = value.get(step) if isinstance(value, dict) else None
        found[path] = value
    try:
        found["holds"] = rule.require.truth({**work.variables, **image_variables(before=before)})
    except ExpressionError:
        found["holds"] = None
    return found


async def ask(
    services: Services, work: Work, standing: Standing, before: Image | None, *, generation: int, known: Action | None
) -> tuple[Action, Approval]:
    """Put the question: an action that awaits approval, with exactly what a person is shown. Leases go back."""
    now = services.clock.now()
    stored = services.stored_image(before, work.redact) if before is not None else None
    expires = now + services.policy.file.defaults.approval_expires
    approval_id = services.ids.new("p")
    fact = _asked(services, work, generation, known, approval_id, labelled(work, before=stored))
    action = fact[1]
    rule = work.decision.rule
    readable = bool(work.readings)
    outlook = forecast(services.policy, rule, readable=readable, now=None, resolved=None) if rule is not None else None
    shown = preview(
        tool=work.entry.policy_name,
        arguments=action.arguments,
        targets=action.targets,
        fields=declared_fields(work, work.arguments, stored),
        before=stored,
        action_class=work.decision.action_class,
        risk=work.decision.risk,
        forecast=outlook.text if outlook is not None else "impossible",
        asked_by=work.caller.client or work.caller.principal,
        why=work.reason or work.decision.why,
        expires_at=expires,
        volatile=rule.volatile if rule is not None else (),
    ) | {"advisory": services.advisory}
    approval = Approval(
        id=approval_id,
        tenant=work.caller.tenant,
        run=work.caller.run,
        action=action.id,
        digest=digest_now(services, work, stored),
        preview=shown,
        requested_at=now,
        expires_at=expires,
    )
    await services.ledger.commit(
        Change(
            actions=(fact,),
            approvals=(approval,),
            tenant=action.tenant,
            leases=standing.leases,
            release=standing.leases,
        )
    )
    return action, approval


def _asked(
    services: Services, work: Work, generation: int, known: Action | None, approval: str, targets: tuple[object, ...]
) -> Fact:
    if known is not None:
        return next_fact(services, known, Happening.ASK, detail=work.decision.why, approval=approval)
    return first(services, work, Happening.ASK, generation=generation, approval=approval, targets=targets)


async def decide_approval(
    services: Services, tenant: str, approval_id: str, *, agree: bool, by: str, how: str, reason: str | None = None
) -> tuple[Action, Approval]:
    """Record a person's answer.

    Raises:
        NotFound: there is no such approval in this tenant.
        NotDecidable: it was decided, used or has expired.
    """
    approval = await services.ledger.approval(tenant, approval_id)
    action = await services.ledger.action(tenant, approval.action)
    now = services.clock.now()
    if approval.status is ApprovalStatus.PENDING and now >= approval.expires_at:
        await expire(services, action, approval)
        raise NotDecidable(
            f"approval {approval_id} expired at {approval.expires_at:%Y-%m-%d %H:%M} UTC; nothing was executed"
        )
    if approval.status is not ApprovalStatus.PENDING:
        raise NotDecidable(f"approval {approval_id} is {approval.status.value} already; nothing was changed")
    happening = Happening.APPROVE if agree else Happening.DENY
    fact = next_fact(services, action, happening, actor=by, detail=reason or how)
    decided = replace(
        approval,
        status=ApprovalStatus.APPROVED if agree else ApprovalStatus.DENIED,
        decided_at=now,
        decided_by=by,
        how=how,
        reason=reason,
    )
    await services.ledger.commit(Change(actions=(fact,), approvals=(decided,), tenant=tenant))
    return fact[1], decided


async def expire(services: Services, action: Action, approval: Approval) -> Action:
    """The time is over: the action is denied, by the clock."""
    fact = next_fact(services, action, Happening.EXPIRE, actor="clock", detail="nobody answered in time")
    gone = replace(approval, status=ApprovalStatus.EXPIRED, decided_at=services.clock.now())
    await services.ledger.commit(Change(actions=(fact,), approvals=(gone,), tenant=action.tenant))
    return fact[1]


async def void(services: Services, action: Action, approval: Approval, why: str) -> Action:
    """What was shown no longer holds: the approval covers nothing, and a new question will be put."""
    fact = next_fact(services, action, Happening.CANCEL, detail=why)
    gone = replace(approval, status=ApprovalStatus.VOID, decided_at=services.clock.now(), reason=why)
    await services.ledger.commit(Change(actions=(fact,), approvals=(gone,), tenant=action.tenant))
    return fact[1]


def still_covers(services: Services, work: Work, approval: Approval, stored_before: Image | None) -> bool:
    """Whether an approval covers the work as it would run now."""
    return approval.status is ApprovalStatus.APPROVED and approval.digest == digest_now(services, work, stored_before)
