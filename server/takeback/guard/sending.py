"""Sending a call upstream: the key travels along, what is transient is tried again, and the answer is one of five."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from takeback.core.canonical import NotCanonical, canonical
from takeback.core.conditions import UNCONDITIONED, Conditions, did_not_hold
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Condition, Idempotency, Retry
from takeback.core.results import is_error, record, text_of
from takeback.guard.freezing import fence
from takeback.guard.retrying import Withheld, patiently
from takeback.guard.services import Services, Work
from takeback.ports import Answered, Changed, Lease, LedgerFailure, NotSent, OutcomeUnknown

log = logging.getLogger(__name__)

_HOP_META: Final = ("io.modelcontextprotocol/", "io.takeback/")


@dataclass(frozen=True, slots=True)
class Sent:
    """How an attempt ended.

    Exactly one of the five is set: succeeded or failed by the tool's own word (`result`), failed by a protocol error
    (`answered`), not executed because its condition did not hold (`changed`), failed before it was sent (`not_sent`),
    or `unknown`. `at` is when the last attempt began. `job` is the last answer about the job that the result only
    accepted, where there was one to follow.
    """

    result: dict[str, Any] | None = None
    answered: Answered | None = None
    changed: Changed | None = None
    not_sent: NotSent | None = None
    unknown: OutcomeUnknown | None = None
    attempts: int = 1
    at: datetime | None = None
    job: dict[str, Any] | None = None

    @property
    def data(self) -> JSON:
        """What the tool answered with, once its job was done: what expressions see as `result`."""
        answer = self.job or self.result
        return record(answer) if answer is not None else None

    @property
    def said(self) -> str:
        """What the tool said, in text: its protocol error, or the last of its answers."""
        return str(self.answered) if self.answered is not None else text_of(self.job or self.result or {})

    @property
    def failed(self) -> bool:
        """Whether the tool, or the job that it began, says that it failed."""
        return self.answered is not None or any(is_error(one) for one in (self.result, self.job) if one is not None)


def idempotency_of(services: Services, work: Work) -> Idempotency | None:
    """How the upstream honours keys, where the policy says that it does."""
    rule = work.decision.rule
    if rule is not None and rule.idempotency is not None:
        return rule.idempotency
    upstream = services.policy.file.upstream.get(work.entry.client.name)
    return upstream.idempotency if upstream else None


def whole_call(work: Work, retry: Retry) -> timedelta:
    """The longest that sending may take, all attempts and pauses counted. It lies inside the lease."""
    rule = work.decision.rule
    following = rule.poll.within if rule is not None and rule.poll is not None else timedelta(0)
    return work.decision.timeout * retry.attempts + retry.max * (retry.attempts - 1) + following


async def send(
    services: Services,
    work: Work,
    arguments: dict[str, JSON],
    *,
    key: str,
    deadline: datetime,
    leases: tuple[Lease, ...] = (),
    conditions: Conditions = UNCONDITIONED,
    doubt: OutcomeUnknown | None = None,
) -> Sent:
    """Send the call; try again while provably nothing was sent, or while the upstream honours the key.

    Nothing is sent after the deadline, under leases that may be another guard's by now, once the caller has gone, or
    when it was frozen meanwhile.

    Once an attempt's outcome is unknown (`doubt`: one before this send), only a success settles it: that a later
    attempt was refused or never sent says nothing about the earlier one. Never raises for what an upstream does.
    """
    idempotency = idempotency_of(services, work)
    again: tuple[type[Exception], ...] = (NotSent,) if idempotency is None else (NotSent, OutcomeUnknown)
    attempts = 0
    began: datetime | None = None

    async def attempt() -> dict[str, Any]:
        nonlocal attempts, began, doubt
        if work.listener.left and doubt is None:
            raise Withheld("cancelled", "whoever had called does not wait any more")
        await _still_ours(services, leases)
        await fence(services, work)
        left = (deadline - services.clock.now()).total_seconds()
        if left <= 0:
            raise Withheld("deadline", "the deadline of the call has passed")
        attempts += 1
        began = services.clock.now()
        within = min(left, work.decision.timeout.total_seconds())
        try:
            return await _request(work, arguments, key, idempotency, conditions, within)
        except OutcomeUnknown as unknown:
            doubt = unknown
            raise

    try:
        result = await patiently(services, work.decision.retry, deadline, attempt, again=again)
    except (NotSent, Answered, Changed, OutcomeUnknown) as failure:
        return replace(_failed(doubt or failure, attempts), at=began)
    if doubt is not None and is_error(result):
        return Sent(unknown=doubt, attempts=attempts, at=began)
    return Sent(result=result, attempts=attempts, at=began)


async def _still_ours(services: Services, leases: tuple[Lease, ...]) -> None:
    """The fence before the send. Raises Withheld where another guard may have taken the targets over by now."""
    try:
        ours = await services.keeper.sure(leases)
    except LedgerFailure as failure:
        raise Withheld("lease", f"whether its lease still holds could not be found out ({failure})") from None
    if not ours:
        raise Withheld("lease", "its lease had run out, and another guard took over")


def _failed(failure: NotSent | Answered | Changed | OutcomeUnknown, attempts: int) -> Sent:
    match failure:
        case NotSent():
            return Sent(not_sent=failure, attempts=attempts)
        case Answered():
            return Sent(answered=failure, attempts=attempts)
        case Changed():
            return Sent(changed=failure, attempts=attempts)
        case OutcomeUnknown():
            return Sent(unknown=failure, attempts=attempts)


async def _request(
    work: Work,
    arguments: dict[str, JSON],
    key: str,
    idempotency: Idempotency | None,
    conditions: Conditions,
    timeout: float,
) -> dict[str, Any]:
    params, headers = _message(work, arguments, key, idempotency, conditions)
    try:
        result = await work.entry.client.request(
            "tools/call", params, timeout=timeout, progress=work.progress, headers=headers or None
        )
        canonical(result)
    except NotCanonical as problem:
        raise OutcomeUnknown("malformed", f"the answer cannot be kept ({problem})") from None
    except Answered as failure:
        _refuse_changed(work, str(failure))
        raise
    except (NotSent, Changed, OutcomeUnknown):
        raise
    except Exception as error:  # a port lets no foreign exception through; where one does, anything may have been sent
        log.exception("the connector of %s failed", work.entry.client.name)
        raise OutcomeUnknown("lost", f"the connector failed ({type(error).__name__})") from None
    if is_error(result):
        _refuse_changed(work, text_of(result))
    return result


def _message(
    work: Work, arguments: dict[str, JSON], key: str, idempotency: Idempotency | None, conditions: Conditions
) -> tuple[dict[str, Any], dict[str, str]]:
    """The call's params and headers, with key and condition where the upstream takes them."""
    meta = forwarded_meta(work.meta)
    headers = dict(conditions.headers)
    sent = {**arguments, **conditions.arguments}
    if idempotency is not None:
        sent |= {idempotency.argument: key} if idempotency.argument else {}
        meta |= {idempotency.meta: key} if idempotency.meta else {}
        headers |= {idempotency.header: key} if idempotency.header else {}
    params: dict[str, Any] = {"name": work.entry.definition.name, "arguments": sent}
    return (params | {"_meta": meta} if meta else params), headers


def _refuse_changed(work: Work, error: str) -> None:
    """Raises Changed where the rule says that this is how the tool says so."""
    rule = work.decision.rule
    condition = rule.condition if rule is not None and isinstance(rule.condition, Condition) else None
    if did_not_hold(condition, error):
        raise Changed(error)


def forwarded_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The client's `_meta` without what belongs to this hop."""
    return {name: value for name, value in meta.items() if name != "progressToken" and not name.startswith(_HOP_META)}
