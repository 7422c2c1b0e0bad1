"""Sending a call upstream: the key travels along, what is transient is tried again, and the answer is one of four."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from tenacity import AsyncRetrying, RetryError, retry_if_exception_type, stop_after_attempt, wait_exponential

from takeback.core.canonical import NotCanonical, canonical
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Idempotency, Retry
from takeback.core.results import is_error
from takeback.guard.services import Services, Work
from takeback.ports import Answered, NotSent, OutcomeUnknown

log = logging.getLogger(__name__)

_HOP_META: Final = ("io.modelcontextprotocol/", "io.takeback/")


@dataclass(frozen=True, slots=True)
class Sent:
    """How an attempt ended.

    Exactly one of the four is set: succeeded or failed by the tool's own word (`result`), failed by a protocol error
    (`answered`), failed before it was sent (`not_sent`), or `unknown`. `at` is when the last attempt began.
    """

    result: dict[str, Any] | None = None
    answered: Answered | None = None
    not_sent: NotSent | None = None
    unknown: OutcomeUnknown | None = None
    attempts: int = 1
    at: datetime | None = None


def idempotency_of(services: Services, work: Work) -> Idempotency | None:
    """How the upstream honours keys, where the policy says that it does."""
    rule = work.decision.rule
    if rule is not None and rule.idempotency is not None:
        return rule.idempotency
    upstream = services.policy.file.upstream.get(work.entry.client.name)
    return upstream.idempotency if upstream else None


def whole_call(work: Work, retry: Retry) -> timedelta:
    """The longest that sending may take, all attempts and pauses counted. It lies inside the lease."""
    return work.decision.timeout * retry.attempts + retry.max * (retry.attempts - 1)


async def send(
    services: Services,
    work: Work,
    arguments: dict[str, JSON],
    *,
    key: str,
    deadline: datetime,
    doubt: OutcomeUnknown | None = None,
) -> Sent:
    """Send the call; try again while provably nothing was sent, or while the upstream honours the key.

    Once an attempt's outcome is unknown (`doubt`: one before this send), only a success settles it: that a later
    attempt was refused or never sent says nothing about the earlier one. Never raises for what an upstream does.
    """
    idempotency = idempotency_of(services, work)
    retry = work.decision.retry
    again: tuple[type[Exception], ...] = (NotSent,) if idempotency is None else (NotSent, OutcomeUnknown)
    attempts = 0
    began: datetime | None = None

    async def attempt() -> dict[str, Any]:
        nonlocal attempts, began, doubt
        left = (deadline - services.clock.now()).total_seconds()
        if left <= 0:
            raise NotSent("the deadline of the call has passed")
        attempts += 1
        began = services.clock.now()
        within = min(left, work.decision.timeout.total_seconds())
        try:
            return await _request(work, arguments, key, idempotency, within)
        except OutcomeUnknown as unknown:
            doubt = unknown
            raise

    try:
        async for trial in AsyncRetrying(
            stop=stop_after_attempt(retry.attempts),
            wait=_pauses(services, retry),
            retry=retry_if_exception_type(again),
            sleep=services.clock.sleep,
            reraise=True,
        ):
            with trial:
                result = await attempt()
                if doubt is not None and is_error(result):
                    return Sent(unknown=doubt, attempts=attempts, at=began)
                return Sent(result=result, attempts=attempts, at=began)
    except (NotSent, Answered, OutcomeUnknown) as failure:
        return replace(_failed(doubt or failure, attempts), at=began)
    except RetryError:  # pragma: no cover - `reraise` gives the cause
        raise
    raise AssertionError("AsyncRetrying ends by a return or an exception")


def _failed(failure: NotSent | Answered | OutcomeUnknown, attempts: int) -> Sent:
    match failure:
        case NotSent():
            return Sent(not_sent=failure, attempts=attempts)
        case Answered():
            return Sent(answered=failure, attempts=attempts)
        case OutcomeUnknown():
            return Sent(unknown=failure, attempts=attempts)


def _pauses(services: Services, retry: Retry) -> Any:
    base = wait_exponential(multiplier=retry.backoff.total_seconds(), max=retry.max.total_seconds())

    def pause(state: Any) -> float:
        return base(state) * (0.5 + services.ids.jitter() / 2)

    return pause


async def _request(
    work: Work, arguments: dict[str, JSON], key: str, idempotency: Idempotency | None, timeout: float
) -> dict[str, Any]:
    meta = forwarded_meta(work.meta)
    headers: dict[str, str] = {}
    if idempotency is not None:
        if idempotency.argument:
            arguments = {**arguments, idempotency.argument: key}
        if idempotency.meta:
            meta[idempotency.meta] = key
        if idempotency.header:
            headers[idempotency.header] = key
    params: dict[str, Any] = {"name": work.entry.definition.name, "arguments": arguments}
    if meta:
        params["_meta"] = meta
    try:
        result = await work.entry.client.request(
            "tools/call", params, timeout=timeout, progress=work.progress, headers=headers or None
        )
        canonical(result)
    except NotCanonical as problem:
        raise OutcomeUnknown("malformed", f"the answer cannot be kept ({problem})") from None
    except (NotSent, Answered, OutcomeUnknown):
        raise
    except Exception as error:  # a port lets no foreign exception through; where one does, anything may have been sent
        log.exception("the connector of %s failed", work.entry.client.name)
        raise OutcomeUnknown("lost", f"the connector failed ({type(error).__name__})") from None
    return result


def forwarded_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The client's `_meta` without what belongs to this hop."""
    return {name: value for name, value in meta.items() if name != "progressToken" and not name.startswith(_HOP_META)}
