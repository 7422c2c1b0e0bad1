"""Beginning one action: before-image, claim and send; what follows from the answer is `concluding`.

Two durable commits a write. The claim (key, `running`, before-image) stands before the first byte goes upstream; the
outcome stands before the answer. What lies between is shielded from the caller's cancellation by whoever calls this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from takeback.core.action import Action
from takeback.core.conditions import IF_MATCH, UNCONDITIONED, Conditions, conditions
from takeback.core.expressions import ExpressionError
from takeback.core.images import Image, Part, Presence
from takeback.core.jsontext import JSON
from takeback.core.limits import counters_for
from takeback.core.policy.schema import Condition
from takeback.core.run import Approval
from takeback.core.states import Happening
from takeback.core.vocabulary import COMPENSATIONS
from takeback.guard.following import followed
from takeback.guard.probing import probe
from takeback.guard.purposes import image_variables
from takeback.guard.reading import take_image
from takeback.guard.recording import blob, first, next_fact, with_companions
from takeback.guard.sending import Sent, idempotency_of, send, whole_call
from takeback.guard.services import Services, Work
from takeback.ports import Change, Lease, OutcomeUnknown, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A claimed action on its way: the images as read (`before`) and what is being sent.

    `key` is the key that travels; None when another guard sent the call and may have used a fresh one. `resumed`: a
    person has it looked at again, and decides about what had no effect.
    """

    work: Work
    action: Action
    arguments: dict[str, JSON]
    before: Image | None
    leases: tuple[Lease, ...]
    deadline: datetime
    key: str | None = None
    resumed: bool = False


async def before_image(services: Services, work: Work) -> Image | None:
    """Read the targets at the last moment before the write; None where the rule has no read.

    A target that does not exist yet because the call creates it is absent without a read.
    """
    if work.decision.late_targets:
        return Image(tuple(Part(spec.name, Presence.ABSENT) for spec in work.decision.late_targets))
    return await take_image(services, work.readings, work.variables) if work.readings else None


async def claim(
    services: Services,
    work: Work,
    standing: Standing,
    before: Image | None,
    *,
    generation: int,
    known: Action | None,
    approval: Approval | None = None,
) -> Begun:
    """The first durable commit: after it, and only then, may the first byte go upstream.

    Raises:
        KeyTaken, Stale, LeaseLost: another guard was first; nothing was written.
        LedgerFailure: the ledger is out of reach; nothing goes upstream.
    """
    now = services.clock.now()
    deadline = now + whole_call(work, work.decision.retry)
    stored = services.stored_image(before, work.redact) if before is not None else None
    images = dict([blob(stored.document())]) if stored is not None else {}
    changes: dict[str, Any] = {
        "before": next(iter(images), None),
        "fields": work.purpose.declares(work, before),
        "sent_at": now,
        "deadline": deadline,
        "targets": labelled(work, before=stored),
    }
    if known is None or known.found_before is None:
        changes["found_before"] = await probe(services, work, before)
    if known is None:
        fact = first(services, work, Happening.CLAIM, generation=generation, **changes)
    else:
        fact = next_fact(services, known, Happening.CLAIM, detail="a new attempt" if known.sent_at else "", **changes)
    action = fact[1]
    used = (replace(approval, status=approval.status.CONSUMED),) if approval is not None else ()
    await services.ledger.commit(
        Change(
            actions=with_companions(work, fact),
            images=images,
            approvals=used,
            counters=dict.fromkeys(limits_of(services, work), 1) if known is None or known.sent_at is None else {},
            tenant=work.caller.tenant,
            leases=standing.leases,
        )
    )
    return Begun(
        work=work,
        action=action,
        arguments=work.arguments,
        before=before,
        leases=standing.leases,
        deadline=deadline,
        key=_travelling_key(services, work, action, known),
    )


def _travelling_key(services: Services, work: Work, action: Action, known: Action | None) -> str:
    """The action's key; a fresh one for a new attempt, where the old one would bring back the old error."""
    idempotency = idempotency_of(services, work)
    if idempotency is None or not idempotency.stores_errors or known is None or known.sent_at is None:
        return action.key
    return f"{action.key}-{action.attempts}"


def limits_of(services: Services, work: Work) -> dict[str, tuple[str, int]]:
    """The counters that a piece of work adds to. Taking something back is never stopped by a limit."""
    if work.origin in COMPENSATIONS:
        return {}
    return counters_for(
        work.decision.limits,
        run=work.caller.run,
        principal=work.caller.principal,
        tool=work.entry.policy_name,
        does=work.decision.does,
        at=services.clock.now(),
    )


def labelled(work: Work, **images: Image | None) -> tuple[Any, ...]:
    """The targets with their labels for people, where the rule names one and an image (`before`, `after`) has it."""
    rule = work.decision.rule
    specs = {spec.name: spec.label for spec in rule.target if spec.label is not None} if rule is not None else {}
    if not specs:
        return work.decision.targets
    variables = {**work.variables, **image_variables(**images)}
    found = []
    for target in work.decision.targets:
        try:
            label = specs[target.name].value(variables) if target.name in specs else None
        except ExpressionError:
            label = None
        found.append(replace(target, label=label) if isinstance(label, str) else target)
    return tuple(found)


async def run(services: Services, begun: Begun, *, doubt: OutcomeUnknown | None = None) -> Sent:
    """Send it. `doubt`: an earlier attempt may still have taken effect."""
    sent = await send(
        services,
        begun.work,
        begun.arguments,
        key=begun.key or begun.action.key,
        deadline=begun.deadline,
        leases=begun.leases,
        conditions=conditions_of(services, begun.work, begun.before),
        doubt=doubt,
    )
    return await followed(services, begun.work, sent)


def conditions_of(services: Services, work: Work, before: Image | None) -> Conditions:
    """What makes this write conditional on what was read: as its rule says, or as an API's own document does."""
    rule = work.decision.rule
    if rule is None or rule.condition == "none":
        return UNCONDITIONED
    condition = rule.condition
    if condition is None:
        upstream = services.policy.file.upstream.get(work.entry.client.name)
        over_http = upstream is not None and upstream.command is None and upstream.url is None
        condition = Condition(header=IF_MATCH) if over_http and work.entry.conditional else None
    return conditions(condition, before, {**work.variables, **image_variables(before=before)})
