"""Taking leases, without waiting for those that somebody holds who has provably ended."""

from __future__ import annotations

from dataclasses import replace

from takeback.guard.services import Services
from takeback.ports import Approach, Standing


async def approached(services: Services, wanted: Approach) -> Standing:
    """What the ledger says under the leases; where a dead process is in the way, once it holds nothing any more.

    Raises:
        LedgerFailure: the ledger is out of reach; nothing is held.
    """
    standing = await services.ledger.approach(wanted)
    if services.is_gone(standing.refused_by):
        await services.ledger.let_go(standing.refused_by or "")
        standing = await services.ledger.approach(replace(wanted, holder=services.holder()))
    return standing


async def bury(services: Services) -> None:
    """Whoever has provably ended holds nothing any more. Raises LedgerFailure."""
    for holder in await services.ledger.holders(services.clock.now()):
        if services.is_gone(holder):
            await services.ledger.let_go(holder)
