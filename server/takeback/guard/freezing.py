"""The stop switch, where calls meet it: at the approach, before each send, and before a read is passed on."""

from __future__ import annotations

from collections.abc import Iterable

from takeback.core import wording
from takeback.core.action import Action
from takeback.core.freezing import Freeze, stopping
from takeback.core.vocabulary import RetryLayer
from takeback.core.wording import refused
from takeback.guard.replies import Reply, own_word
from takeback.guard.retrying import Withheld
from takeback.guard.services import Services, Work
from takeback.ports import Caller, LedgerFailure, Standing


class Frozen(Withheld):
    """It was frozen after its claim and before it was sent."""

    def __init__(self, freeze: Freeze) -> None:
        super().__init__("frozen", f"{freeze.what} is frozen")
        self.freeze = freeze


def told(freeze: Freeze, action: Action | None = None) -> Reply:
    """The refusal of a call that the stop switch stops: a person's turn."""
    text = wording.frozen(freeze, action)
    return Reply(result=own_word(text, action, layer=RetryLayer.HUMAN).result, action=action, frozen=freeze)


def _stop(work: Work, freezes: Iterable[Freeze]) -> Freeze | None:
    """What stops a piece of work. Code that takes something back counts as the tool whose work that was, too."""
    known = tuple(freezes)
    tools = filter(None, (work.entry.policy_name, work.takes_back))
    found = (stopping(known, tenant=work.caller.tenant, run=work.caller.run, tool=tool) for tool in tools)
    return next((freeze for freeze in found if freeze is not None), None)


def stopped(work: Work, standing: Standing) -> Reply | None:
    """The answer to a call that must not begin, by what was frozen when it approached."""
    freeze = _stop(work, standing.freezes)
    return told(freeze) if freeze is not None else None


async def frozen_now(services: Services, work: Work) -> Freeze | None:
    """What stops a piece of work at this moment, as the ledger has it. Raises LedgerFailure."""
    return _stop(work, await services.ledger.freezes(work.caller.tenant))


async def fence(services: Services, work: Work) -> None:
    """The fence before the send: what was frozen since the approach does not go upstream. Raises Withheld."""
    try:
        freeze = await frozen_now(services, work)
    except LedgerFailure as failure:
        raise Withheld("lease", f"whether it was frozen could not be found out ({failure})") from None
    if freeze is not None:
        raise Frozen(freeze)


async def no_reading(services: Services, caller: Caller, tool: str) -> Reply | None:
    """The answer to a read that must not be passed on. Mostly costs no look into the ledger."""
    try:
        known = await services.ledger.frozen(caller.tenant)
    except LedgerFailure:
        if services.policy.file.defaults.reads_without_ledger:
            return None
        return own_word(refused("the ledger is out of reach", "Try it again later."), layer=RetryLayer.TOOL)
    freeze = stopping(known, tenant=caller.tenant, run=caller.run, tool=tool, reading=True)
    return told(freeze) if freeze is not None else None


async def unreadable(services: Services, caller: Caller) -> dict[str, str]:
    """The upstreams of which nothing is read in that run, each with why: for what passes through beside tools.

    That needs no ledger; without one, only what was known to be frozen is.
    """
    try:
        known = [one for one in await services.ledger.frozen(caller.tenant) if one.reads]
    except LedgerFailure:
        return {}
    found = {
        name: stopping(known, tenant=caller.tenant, run=caller.run, tool=f"{name}.", reading=True)
        for name in services.catalog.clients
    }
    return {name: wording.frozen(freeze) for name, freeze in found.items() if freeze is not None}


def any_stopped(caller: Caller, tools: Iterable[str], standing: Standing) -> Freeze | None:
    """What stops one of several calls that belong together, by what was frozen at the approach."""
    found = (stopping(standing.freezes, tenant=caller.tenant, run=caller.run, tool=tool) for tool in tools)
    return next((freeze for freeze in found if freeze is not None), None)


async def lines(services: Services, caller: Caller) -> list[str]:
    """For an agent that looks around: what is frozen of that which it can meet. Raises LedgerFailure."""
    found = await services.ledger.freezes(caller.tenant)
    return [f"Frozen: {wording.freeze_line(one)}" for one in found if one.concerns(caller.run)]
