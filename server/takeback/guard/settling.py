"""Settling what is in doubt, by looking: the core diagnoses, this part reads, waits, resends or queues."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from takeback.core.freezing import Freeze
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.recovery import Diagnosis, Evidence, diagnose
from takeback.core.redaction import is_redacted
from takeback.core.states import Happening
from takeback.core.verification import Verification
from takeback.core.vocabulary import RetryLayer, Status, Verified
from takeback.core.wording import in_doubt, no_effect, took_effect
from takeback.guard.asking import carried
from takeback.guard.concluding import conclude
from takeback.guard.ending import REBUILT, end, succeeded
from takeback.guard.execution import Begun
from takeback.guard.freezing import frozen_now, told
from takeback.guard.pausing import afterwards
from takeback.guard.probing import can_tell, probe
from takeback.guard.reading import take_image
from takeback.guard.rebuilding import rebuilt
from takeback.guard.recording import Fact, next_fact, recovery_item, with_companions
from takeback.guard.replies import Reply, own_word
from takeback.guard.retrying import jittered
from takeback.guard.sending import Sent, idempotency_of, whole_call
from takeback.guard.services import Services
from takeback.ports import Change, OutcomeUnknown

ROUNDS: Final = 3
"""New attempts that settling makes before it hands over to a person."""

ASK_AFTER: Final = timedelta(minutes=10)
"""For how long looking may fail, beyond the time in which the call lands, until a person is asked to look, too."""


async def lost(services: Services, begun: Begun, sent: Sent) -> Reply:
    """The reply was lost: write that down, then look."""
    why = services.stored_why(sent.unknown, begun.work)
    fact = next_fact(
        services,
        begun.action,
        Happening.LOSE,
        detail=why,
        attempts=begun.action.attempts + sent.attempts,
        sent_at=sent.at or begun.action.sent_at,
        error=_doubt(why, sent),
    )
    facts, action = with_companions(begun.work, fact), fact[1]
    await services.ledger.commit(Change(actions=facts, tenant=action.tenant, leases=begun.leases))
    return await settle(services, replace(begun, action=action), why)


def _doubt(why: str, sent: Sent) -> JSON:
    """What is known of an attempt whose outcome is not; `over`: what it did not do by now it will not do later."""
    return {"layer": RetryLayer.TOOL.value, "message": why, "over": sent.unknown is not None and sent.unknown.over}


async def settle(services: Services, begun: Begun, why: str) -> Reply:
    """Look until it is decided, within bounds. Needs the leases; gives them back with the outcome."""
    diagnosis = Diagnosis("queue", why)
    for attempts_left in reversed(range(ROUNDS + 1)):
        current, verification, diagnosis = await _look(services, begun)
        if diagnosis.kind == "wait" and diagnosis.wait_until is not None:
            if await _wait(services, begun, diagnosis.wait_until):
                continue
            return await _queue(services, begun, diagnosis, why, give_up=False)
        if diagnosis.kind == "took_effect":
            return await _took_effect(services, begun, current, verification, diagnosis)
        if diagnosis.kind == "queue" or not attempts_left:
            break
        if diagnosis.kind == "new_attempt" and begun.work.listener.left:
            break  # nobody waits for it any more, and what provably did not happen need not happen
        if (freeze := await frozen_now(services, begun.work)) is not None:
            return await _not_again(services, begun, diagnosis, why, freeze)
        begun = await _attempt_again(services, begun, diagnosis)
        doubt = OutcomeUnknown("lost", why) if diagnosis.kind == "same_key" else None
        begun, sent = await carried(services, begun, doubt=doubt)
        if sent.unknown is None:
            return await conclude(services, begun, sent)
        begun = await _lost_again(services, begun, sent)
    if diagnosis.kind == "new_attempt":
        return await _without_effect(services, begun, diagnosis, why)
    return await _queue(services, begun, diagnosis, why, give_up=diagnosis.kind == "queue")


async def _not_again(services: Services, begun: Begun, diagnosis: Diagnosis, why: str, freeze: Freeze) -> Reply:
    """It is frozen, so it is not sent again, not even where that is how one looks: then it stays in doubt till then."""
    if diagnosis.kind == "new_attempt":
        return told(freeze, (await _without_effect(services, begun, diagnosis, why)).action)
    waits = replace(diagnosis, why=f"{freeze.what} is frozen, so that it cannot be asked")
    return replace(await _queue(services, begun, waits, why, give_up=False), frozen=freeze)


async def _without_effect(services: Services, begun: Begun, diagnosis: Diagnosis, why: str) -> Reply:
    """Looking shows that no attempt did anything, and that none can any more: it failed, and that is certain."""
    error = {"layer": RetryLayer.TOOL.value, "message": why}
    fact = next_fact(
        services, begun.action, Happening.FAIL, detail=diagnosis.why, error=error, settled_at=services.clock.now()
    )
    await end(services, begun, fact, {})
    return own_word(no_effect(fact[1], why), fact[1], layer=RetryLayer.TOOL)


async def _lost_again(services: Services, begun: Begun, sent: Sent) -> Begun:
    why, sent_at = services.stored_text(str(sent.unknown), begun.work), sent.at or begun.action.sent_at
    fact = next_fact(services, begun.action, Happening.LOSE, detail=why, sent_at=sent_at, error=_doubt(why, sent))
    await services.ledger.commit(Change(actions=(fact,), tenant=fact[1].tenant, leases=begun.leases))
    return replace(begun, action=fact[1])


async def _look(services: Services, begun: Begun) -> tuple[Image | None, Verification, Diagnosis]:
    work = begun.work
    current = await take_image(services, work.readings, work.variables) if work.readings else None
    verification = work.purpose.check(work, begun.arguments, begun.before, current, None)
    now = services.clock.now()
    evidence = Evidence(
        action=begun.action,
        now=now,
        key_valid=_key_valid(services, begun, now),
        before=begun.before,
        current=current,
        verification=verification,
        ignore=work.ignore,
        found=await probe(services, work, begun.before, begun.action),
        probed=can_tell(work, begun.action),
        lands_within=services.policy.lands_within(work.decision.rule, work.entry.client.name),
        read_lag=services.policy.read_lag(work.decision.rule, work.entry.client.name),
    )
    return current, verification, diagnose(evidence)


def _key_valid(services: Services, begun: Begun, now: datetime) -> bool:
    """Whether the upstream still knows the key. Counted from the action's beginning, which is before the first send."""
    idempotency = idempotency_of(services, begun.work)
    if idempotency is None or (idempotency.stores_errors and begun.key is None):
        return False
    if begun.work.decision.verdict == "deny" or is_redacted(begun.arguments):
        return False  # not to be sent under today's policy, or not kept in full
    return now < begun.action.created_at + idempotency.valid_for


async def _wait(services: Services, begun: Begun, until: datetime) -> bool:
    """Wait when it is soon enough for the caller to wait, too. Where nobody does, it is looked at again later."""
    left = (until - services.clock.now()).total_seconds()
    if begun.work.listener.left or left > services.join_within.total_seconds():
        return False
    await services.clock.sleep(max(left, 0) + 0.01)
    return True


async def _attempt_again(services: Services, begun: Begun, diagnosis: Diagnosis) -> Begun:
    retry = begun.work.decision.retry
    await services.clock.sleep(jittered(services, retry.backoff.total_seconds()))
    now = services.clock.now()
    deadline = now + whole_call(begun.work, retry)
    fact = next_fact(
        services, begun.action, Happening.ATTEMPT, detail=diagnosis.why, sent_at=now, deadline=deadline, error=None
    )
    await services.ledger.commit(Change(actions=(fact,), tenant=fact[1].tenant, leases=begun.leases))
    return replace(begun, action=fact[1], deadline=deadline)


async def _took_effect(
    services: Services, begun: Begun, current: Image | None, verification: Verification, diagnosis: Diagnosis
) -> Reply:
    """The effect is there and the tool's own result is lost: make one from what was read, where the rule says how."""
    if verification.verified is Verified.MISMATCH:
        verification = Verification(Verified.IMPOSSIBLE, "no_read")
    result = rebuilt(begun.work, begun.before, current)
    remark = REBUILT if result else ""
    reply = await succeeded(
        services, begun, Sent(result=result), current, verification, remark=remark, detail=diagnosis.why
    )
    if result is not None or reply.action is None:
        return reply
    stored = services.stored_image(current, begun.work.redact) if current is not None else None
    return own_word(
        took_effect(reply.action, stored.variable() if stored else None), reply.action, layer=RetryLayer.TOOL
    )


async def _queue(services: Services, begun: Begun, diagnosis: Diagnosis, why: str, *, give_up: bool) -> Reply:
    """Looking did not decide it. While it merely has to wait, the action stays in doubt, and is looked at again.

    A person is asked to look when that is no use, or has been none for long.
    """
    action = begun.action
    facts: tuple[Fact, ...] = ()
    if give_up and action.status is not Status.NEEDS_OPERATOR:
        fact = next_fact(services, action, Happening.GIVE_UP, detail=diagnosis.why)
        facts, action = with_companions(begun.work, fact), fact[1]
    asks = give_up or await _for_long(services, begun)
    queue = (recovery_item(services, action, f"{why}; {diagnosis.why}"),) if asks else ()
    await services.ledger.commit(
        Change(actions=facts, queue=queue, tenant=action.tenant, leases=begun.leases, release=begun.leases)
    )
    text = in_doubt(action, f"{why}; {diagnosis.why}", asked=asks) + afterwards(services, action)
    return own_word(text, action, layer=RetryLayer.HUMAN)


async def _for_long(services: Services, begun: Begun) -> bool:
    """Whether it has been in doubt for longer than any call takes to land, and a good while more."""
    events = await services.ledger.events(begun.action.tenant, begun.action.id)
    since = begun.action.created_at
    for event in events:
        if event.happening is Happening.CLAIM:
            since = event.at
    work = begun.work
    lands_within = services.policy.lands_within(work.decision.rule, work.entry.client.name) or timedelta(0)
    read_lag = services.policy.read_lag(work.decision.rule, work.entry.client.name)
    return services.clock.now() > since + lands_within + read_lag + ASK_AFTER


async def take_over(services: Services, begun: Begun) -> Reply:
    """An action whose guard is gone (its lease has run out) or that is in doubt: never send first, look.

    A guard that died after its claim may have sent or not; either way the outcome is unknown until somebody looks.
    """
    if begun.action.status is Status.RUNNING:
        # Sent at any time up to its deadline, or to the end of its lease, which is over: what it can still do counts
        # from the earlier of the two.
        now = services.clock.now()
        latest = min(begun.action.deadline or now, now)
        gone = "the guard that ran it is gone"
        fact = next_fact(services, begun.action, Happening.LOSE, detail=gone, sent_at=latest)
        await services.ledger.commit(Change(actions=(fact,), tenant=fact[1].tenant, leases=begun.leases))
        begun = replace(begun, action=fact[1])
    return await settle(services, begun, "the reply was lost")
