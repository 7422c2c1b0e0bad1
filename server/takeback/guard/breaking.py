"""The circuit breaker around an upstream: while it rests, nothing is sent, and whoever asks is told until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from takeback.core.breaker import Breaker
from takeback.core.policy.schema import BreakerTable
from takeback.guard.around import Around, AroundBridge
from takeback.ports import (
    Answered,
    Bridge,
    Busy,
    Changed,
    Clock,
    NotSent,
    OutcomeUnknown,
    ProgressSink,
    ToolClient,
)

_SAYS_NOTHING: Final = frozenset({"error"})
"""Kinds of unknown outcomes in which the upstream did answer."""


class Resting(Busy):
    """The upstream failed several times in a row and is left alone for a while; the request was not sent."""


class BreakerTools(Around):
    """A tool client that counts its failures in a row."""

    def __init__(self, client: ToolClient, breaker: Breaker, clock: Clock) -> None:
        super().__init__(client)
        self._breaker, self._clock = breaker, clock

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`. Raises Resting while the upstream is left alone."""
        self._admit()
        try:
            result = await super().request(method, params, timeout=timeout, progress=progress, headers=headers)
        except (Answered, Changed):
            self._breaker.succeeded()
            raise
        except Busy:
            self._breaker.ended()
            raise
        except OutcomeUnknown as unknown:
            self._count(answered=unknown.kind in _SAYS_NOTHING)
            raise
        except NotSent:
            self._count(answered=False)
            raise
        except BaseException:
            self._breaker.ended()
            raise
        self._breaker.succeeded()
        return result

    def _admit(self) -> None:
        wait = self._breaker.wait(self._clock.monotonic())
        if wait is not None:
            failures = self._breaker.in_a_row
            raise Resting(f"it failed {failures} times in a row and is asked again in {wait:.0f} s", wait)

    def _count(self, *, answered: bool) -> None:
        if answered:
            self._breaker.succeeded()
        else:
            self._breaker.failed(self._clock.monotonic())


class BreakerBridge(AroundBridge, BreakerTools):
    """The same around an upstream that meets each client by itself: they share its failures."""

    def __init__(self, client: ToolClient, bridge: Bridge, breaker: Breaker, clock: Clock) -> None:
        super().__init__(client, breaker, clock)
        self._bridge = bridge

    def _around(self, client: ToolClient) -> ToolClient:
        return BreakerTools(client, self._breaker, self._clock)


def breaking(client: ToolClient, wanted: BreakerTable | str, clock: Clock) -> ToolClient:
    """The client with the breaker that the policy wants around it; `off` for none."""
    if isinstance(wanted, str):
        return client
    breaker = Breaker(wanted.failures, wanted.rest.total_seconds())
    if isinstance(client, Bridge):
        return BreakerBridge(client, client, breaker, clock)
    return BreakerTools(client, breaker, clock)
