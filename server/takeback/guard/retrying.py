"""Trying again what provably was not done: bounded, with growing pauses and jitter, and never sooner than asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal, TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from takeback.core.policy.schema import Retry
from takeback.guard.services import Services
from takeback.ports import Busy, NotSent

T = TypeVar("T")


class Withheld(NotSent):
    """The guard itself did not send: its time was over, its lease was lost, the caller had gone, or it was frozen.

    Trying again would not change that.
    """

    def __init__(self, kind: Literal["deadline", "lease", "cancelled", "frozen"], message: str) -> None:
        super().__init__(message)
        self.kind = kind


async def patiently(
    services: Services,
    retry: Retry,
    deadline: datetime,
    attempt: Callable[[], Awaitable[T]],
    *,
    again: tuple[type[Exception], ...] = (NotSent,),
) -> T:
    """What `attempt` returns, tried again while it raises one of `again`.

    An upstream that says when to come again (`Retry-After`) is obeyed; where that is after the deadline, there is no
    further attempt, and the caller is told.
    """
    base = wait_exponential(multiplier=retry.backoff.total_seconds(), max=retry.max.total_seconds())
    enough = stop_after_attempt(retry.attempts)

    def pause(state: Any) -> float:
        return max(jittered(services, base(state)), asked_to_wait(_failure(state)) or 0.0)

    def stop(state: Any) -> bool:
        wanted = asked_to_wait(_failure(state))
        too_late = wanted is not None and wanted >= (deadline - services.clock.now()).total_seconds()
        return too_late or enough(state)

    async for trial in AsyncRetrying(
        stop=stop,
        wait=pause,
        retry=retry_if_exception(lambda failure: isinstance(failure, again) and not isinstance(failure, Withheld)),
        sleep=services.clock.sleep,
        reraise=True,
    ):
        with trial:
            return await attempt()
    raise AssertionError("AsyncRetrying ends by a return or an exception")


def jittered(services: Services, seconds: float) -> float:
    """A pause of between half of `seconds` and all of it, so that those who failed together do not come together."""
    return seconds * (0.5 + services.ids.jitter() / 2)


def asked_to_wait(failure: BaseException | None) -> float | None:
    """Seconds after which the upstream wants to be asked again, where it said so."""
    return failure.retry_after if isinstance(failure, Busy) else None


def _failure(state: Any) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
