"""From the send to the answer of a claimed action."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from takeback.core.limits import exceeded
from takeback.core.vocabulary import RetryLayer
from takeback.core.wording import in_doubt, limit_reached
from takeback.guard.asking import carried
from takeback.guard.concluding import conclude
from takeback.guard.execution import Begun, limits_of
from takeback.guard.replies import Reply, own_word
from takeback.guard.services import Services, Work
from takeback.guard.settling import lost
from takeback.ports import LedgerFailure, Standing

log = logging.getLogger(__name__)


async def carry_out(services: Services, begun: Begun) -> Reply:
    """Send it, and write down what came of it. Never raises for the ledger: what was sent is told."""
    begun, sent = await carried(services, begun)
    try:
        if sent.unknown is not None:
            return await lost(services, begun, sent)
        return await conclude(services, begun, sent)
    except LedgerFailure as failure:
        # The claim stands, so whoever comes next finds the action running under a lapsed lease, and looks.
        why = f"the call was sent, and its outcome could not be recorded ({failure})"
        return own_word(in_doubt(begun.action, why), begun.action, layer=RetryLayer.WORKFLOW)
    except Exception:
        log.exception("what came of %s could not be told", begun.action.id)
        why = "the call was sent, and the guard failed over its outcome"
        return own_word(in_doubt(begun.action, why), begun.action, layer=RetryLayer.WORKFLOW)


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
