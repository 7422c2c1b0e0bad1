"""The worker: settles, beside the calls, what a guard left behind, lets approvals expire, and prunes what is old.

It reads back once more, too, what did not verify or could not be read. Each guard that serves has one; any number may
work on one ledger, since leases decide who takes up what. What cannot be decided yet is looked at again, each time
after a longer pause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from takeback.core.action import Action
from takeback.core.run import ApprovalStatus
from takeback.core.states import OCCUPYING, IllegalTransition
from takeback.core.vocabulary import Status, Verified
from takeback.guard import approving
from takeback.guard.approaching import bury
from takeback.guard.rereading import read_by_itself
from takeback.guard.resuming import take_up
from takeback.guard.retrying import jittered
from takeback.guard.services import Services
from takeback.ports import LedgerFailure, Removed

log = logging.getLogger(__name__)

AT_A_TIME: Final = 4
"""Actions that are looked at side by side."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds between two looks at one action that cannot be decided yet: doubled each time, up to the longest."""

LONGEST_PAUSE_OF_PLANS: Final = 5.0
"""A plan may wait for a person, and whoever has answered looks on."""

LONGEST_PAUSE_OF_READING: Final = 3600.0
"""What does not read back as expected may stay so until a person has looked, for days."""

MOST_READ: Final = 20
"""Actions that are read back once more in one round: each may take long where its upstream does not answer."""

AT_ONCE: Final = 20
"""Short transactions of pruning in one round."""

BETWEEN_PRUNINGS: Final = 3600.0
"""Seconds from when nothing was left to prune to the next look."""

SHORTEST_REST: Final = 0.25
LONGEST_REST: Final = 10.0
"""Seconds between two rounds."""


@dataclass(slots=True)
class Swept:
    """What a round came to: ids of what was settled, what is left for later, what expired; and what was pruned.

    `verified` is what was read back as expected after all, `unverified` what was not.
    """

    settled: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    verified: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    pruned: Removed = field(default_factory=Removed)


class Worker:
    """Works for one tenant, with the upstreams and the policy of one guard."""

    def __init__(self, services: Services, tenant: str) -> None:
        self._services, self._tenant = services, tenant
        self._pauses: dict[str, tuple[float, float]] = {}
        self._prunes_at = 0.0

    async def run(self) -> None:
        """Work until cancelled. A round that fails is reported, and the next one comes."""
        rest = min(self._services.keeper.lease / 2, timedelta(seconds=LONGEST_REST)).total_seconds()
        while True:
            try:
                # Shielded: one that is broken off would leave leases behind. A guard that stops waits for it.
                await self._services.tasks.shielded(self.sweep())
            except LedgerFailure as failure:
                log.warning("nothing could be taken up: %s", failure)
            except Exception:
                log.exception("a round of the worker failed")
            await self._rest(rest)

    async def _rest(self, seconds: float) -> None:
        """Until something happens that may be for a worker, or for so long."""
        await self._services.ledger.wait_for_any(jittered(self._services, seconds))
        # A moment more, for the leases that are given back after what happened; and never round after round.
        await self._services.clock.sleep(jittered(self._services, min(SHORTEST_REST, seconds)))

    async def sweep(self) -> Swept:
        """One round.

        Raises:
            LedgerFailure: the ledger is out of reach.
        """
        swept, limit = Swept(), asyncio.Semaphore(AT_A_TIME)
        await bury(self._services)
        now = self._services.clock.now()
        left = await self._services.ledger.unattended(self._tenant, now)
        found = [*left, *await self._services.ledger.agreed_plans(self._tenant, now)]
        unverified = await self._services.ledger.unverified(self._tenant)
        known = {one.id for one in (*found, *unverified)}
        self._pauses = {id_: pause for id_, pause in self._pauses.items() if id_ in known}

        async def one_of(action: Action, look: Callable[[Action, Swept], Awaitable[None]]) -> None:
            async with limit:
                await look(action, swept)

        to_read = [action for action in unverified if self._is_due(action)][:MOST_READ]
        await asyncio.gather(
            *(one_of(action, self._look_at) for action in found if self._is_due(action)),
            *(one_of(action, self._read_back) for action in to_read),
        )
        await self._expire(swept)
        await self._prune(swept)
        return swept

    async def _prune(self, swept: Swept) -> None:
        """A little of what is older than its retention, from time to time; more soon, where there is more."""
        kept, now = self._services.policy.file.retention, self._services.clock.monotonic()
        if (kept.images is None and kept.runs is None) or now < self._prunes_at:
            return
        swept.pruned = await self._services.ledger.prune(kept, self._services.clock.now(), batches=AT_ONCE)
        self._prunes_at = now if swept.pruned.more else now + BETWEEN_PRUNINGS

    def _is_due(self, action: Action) -> bool:
        return self._services.clock.monotonic() >= self._pauses.get(action.id, (0.0, 0.0))[0]

    async def _look_at(self, action: Action, swept: Swept) -> None:
        now = await self._tried(action, take_up, "taken up")
        if now.status in OCCUPYING or now.status is Status.APPROVED:
            self._later(action, LONGEST_PAUSE_OF_PLANS if action.is_plan else LONGEST_PAUSE)
            swept.left.append(action.id)
        else:
            swept.settled.append(action.id)

    async def _read_back(self, action: Action, swept: Swept) -> None:
        now = await self._tried(action, read_by_itself, "read back")
        if now.verified is Verified.YES:
            swept.verified.append(action.id)
        else:
            self._later(action, LONGEST_PAUSE_OF_READING)
            swept.unverified.append(action.id)

    async def _tried(self, action: Action, do: Callable[[Services, Action], Awaitable[None]], done: str) -> Action:
        """An action as it stands after something was tried with it; as it was known where that could not be done."""
        try:
            await do(self._services, action)
            return await self._services.ledger.action(action.tenant, action.id)
        except (LedgerFailure, IllegalTransition) as failure:  # another guard was quicker, or the ledger is away
            log.info("%s was not %s: %s", action.id, done, failure)
        except Exception:
            log.exception("%s could not be %s", action.id, done)
        return action

    def _later(self, action: Action, most: float) -> None:
        _, pause = self._pauses.get(action.id, (0.0, FIRST_PAUSE / 2))
        pause = min(pause * 2, most)
        self._pauses[action.id] = (self._services.clock.monotonic() + jittered(self._services, pause), pause)

    async def _expire(self, swept: Swept) -> None:
        now = self._services.clock.now()
        for approval in await self._services.ledger.approvals(self._tenant):
            if approval.status is not ApprovalStatus.PENDING or now < approval.expires_at:
                continue
            try:
                action = await self._services.ledger.action(self._tenant, approval.action)
                await approving.expire(self._services, action, approval)
                swept.expired.append(approval.id)
            except (LedgerFailure, IllegalTransition) as failure:
                log.info("%s did not expire: %s", approval.id, failure)
