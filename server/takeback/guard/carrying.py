"""From the send to the answer of a claimed action."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from takeback.core.limits import exceeded
from takeback.core.states import Happening
from takeback.core.vocabulary import RetryLayer, Status
from takeback.core.wording import limit_reached, unrecorded
from takeback.guard.asking import carried
from takeback.guard.concluding import conclude
from takeback.guard.execution import Begun, limits_of
from takeback.guard.recording import Fact, next_fact
from takeback.guard.replies import Reply, own_word
from takeback.guard.services import Services, Work
from takeback.guard.settling import lost
from takeback.ports import Change, LedgerFailure, Standing

log = logging.getLogger(__name__)


async def carry_out(services: Services, begun: Begun) -> Reply:
    """Send it, and write down what came of it. Never raises for the ledger: what was sent is told."""
    try:
        begun, sent = await carried(services, begun)
        try:
            if sent.unknown is not None:
                return await lost(services, begun, sent)
            return await conclude(services, begun, sent)
        except LedgerFailure as failure:
            # The claim stands, so whoever comes next finds the action running under a lapsed lease, and looks.
            why = f"its outcome could not be recorded ({failure})"
            text = unrecorded(begun.action, why, sent=sent.not_sent is None)
            return own_word(text, begun.action, layer=RetryLayer.WORKFLOW)
    except asyncio.CancelledError:
        await hand_over(services, begun)
        raise
    except Exception:
        log.exception("what came of %s could not be told", begun.action.id)
        text = unrecorded(begun.action, "the guard failed over its outcome", sent=True)
        return own_word(text, begun.action, layer=RetryLayer.WORKFLOW)


async def hand_over(services: Services, begun: Begun) -> None:
    """This guard stops before the outcome is known: leave the action to another one, which need not wait."""
    known = begun.action
    try:
        action = await services.ledger.action(known.tenant, known.id)
        facts: tuple[Fact, ...] = ()
        if action.status is Status.RUNNING:
            why = "its guard was stopped before the outcome was known"
            facts = (next_fact(services, action, Happening.LOSE, detail=why, sent_at=services.clock.now()),)
        change = Change(actions=facts, tenant=known.tenant, leases=begun.leases, release=begun.leases)
        await services.ledger.commit(change)
    except LedgerFailure as failure:  # then its lease runs out
        log.warning("%s could not be handed over: %s", known.id, failure)


async def free(services: Services, standing: Standing, reply: Reply) -> Reply:
    """Answer without a claim: the leases go back."""
    await services.ledger.release(standing.leases)
    return reply


def limit_stop(services: Services, work: Work, standing: Standing) -> Reply | None:
    """The answer to a call that a limit forbids; a person's approval of one call is no approval of ever more."""
    limit = exceeded(limits_of(services, work), standing.counters)
    return own_word(limit_reached(limit), layer=RetryLayer.HUMAN) if limit is not None else None


async def crowded(services: Services, work: Work, standing: Standing) -> bool:
    """Whether claims on their way would use a limit up: then wait until they are decided, and look again."""
    soon = {name: standing.counters.get(name, 0) + more for name, more in services.spending.since(work.marks).items()}
    if exceeded(limits_of(services, work), soon) is None:
        return False
    await services.spending.quiet(work.marks)
    return True


async def begin(
    services: Services, work: Work, standing: Standing, claimed: Callable[[], Awaitable[Begun]]
) -> Reply | None:
    """Claim it and carry it out, once no other claim could use its limits up. None: look again."""
    if await crowded(services, work, standing):
        return None
    with services.spending.claiming(work.marks):
        begun = await claimed()
    return await carry_out(services, begun)
