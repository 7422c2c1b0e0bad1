"""A claimed action whose tool asks the client: the ledger knows how long the answer may take.

The action stays running meanwhile, under leases that are kept. Should this guard die, another one must not think that
the action can no longer take effect while its tool may still be waiting for an answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from takeback.core.states import Happening
from takeback.guard.execution import Begun, run
from takeback.guard.offers import ForOne
from takeback.guard.recording import next_fact
from takeback.guard.sending import Sent, whole_call
from takeback.guard.services import Services, Work
from takeback.ports import ANSWERED_WITHIN, Answered, Ask, Change, LedgerFailure, OutcomeUnknown, Questions

log = logging.getLogger(__name__)

_UNRECORDED: Final = -32003


class Asking:
    """What is asked in the course of one action. `begun` is the action as it stands after it."""

    def __init__(self, services: Services, begun: Begun) -> None:
        self._services, self.begun = services, begun
        self._recording = asyncio.Lock()

    def work(self) -> Work:
        """The work, with a client that asks by way of this."""
        work = self.begun.work
        downstream, catalog = work.caller.downstream, self._services.catalog
        if downstream is None or downstream.ask is None or not isinstance(catalog, ForOne):
            return work
        entry = catalog.asking(self._through(downstream.ask)).named(work.entry.policy_name)
        return replace(work, entry=entry) if entry is not None else work

    def _through(self, ask: Ask) -> Ask:
        async def asked(questions: Questions) -> Mapping[str, Any]:
            await self._asks(questions)
            try:
                return await ask(questions)
            finally:
                await self._answered()

        return asked

    async def _asks(self, questions: Questions) -> None:
        methods = ", ".join(sorted({str(question.get("method")) for question in questions.values()}))
        try:
            await self._note(f"its tool asks the client ({methods})", timedelta(seconds=ANSWERED_WITHIN))
        except LedgerFailure as failure:
            raise Answered(
                _UNRECORDED, f"the client was not asked, since the ledger cannot be used ({failure})"
            ) from None

    async def _answered(self) -> None:
        try:
            await self._note("the question of its tool is over", timedelta(0))
        except LedgerFailure:  # the longer time stands, which is merely more cautious
            log.warning("that a question of %s is over could not be recorded", self.begun.action.id)

    async def _note(self, what: str, longer: timedelta) -> None:
        """Say it in the ledger, with how long the call may take now."""
        async with self._recording:
            work = self.begun.work
            deadline = self._services.clock.now() + longer + whole_call(work, work.decision.retry)
            fact = next_fact(self._services, self.begun.action, Happening.NOTE, detail=what, deadline=deadline)
            change = Change(actions=(fact,), tenant=fact[1].tenant, leases=self.begun.leases)
            await self._services.ledger.commit(change)
            self.begun = replace(self.begun, action=fact[1])


async def carried(services: Services, begun: Begun, *, doubt: OutcomeUnknown | None = None) -> tuple[Begun, Sent]:
    """Send it, as `run` does; returns also the action as it stands after what its tool asked meanwhile."""
    asking = Asking(services, begun)
    sent = await run(services, replace(begun, work=asking.work()), doubt=doubt)
    return asking.begun, sent
