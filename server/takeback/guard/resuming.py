"""Taking up what a guard left: a call or an undo that nobody is at any more is settled, without the agent that asked.

Nobody waits for such a call. Looking decides what became of it; it is sent again only under a key that the upstream
honours, where that is how one looks. An undo that was begun is brought to its end, since it was asked for on purpose.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

from takeback.core.action import Action
from takeback.core.canonical import NotCanonical
from takeback.core.expressions import ExpressionError
from takeback.core.policy.decide import Undecidable
from takeback.core.states import Happening, IllegalTransition
from takeback.core.vocabulary import COMPENSATIONS, Status
from takeback.guard.calling import CLIENT_KEY, CallRequest, make_work
from takeback.guard.joining import taken_over
from takeback.guard.plans.resuming import resume
from takeback.guard.recording import Fact, next_fact, recovery_item
from takeback.guard.services import Listener, Services, Work, caller_of
from takeback.guard.undo.manner import NotUndoable
from takeback.guard.undo.plan import plan
from takeback.guard.undo.redoing import stands_again
from takeback.guard.undo.undoing import carry_out
from takeback.guard.writing import look
from takeback.ports import Change, LedgerFailure, Standing

log = logging.getLogger(__name__)

_UNKNOWN: Final = frozenset({Status.RUNNING, Status.IN_DOUBT})


class NotResumable(Exception):
    """It cannot be looked at any more: a person must. The message says why."""


class BeingWorkedOn(Exception):
    """Somebody else is at it just now; the message says so. Nothing was changed."""


async def take_up(services: Services, action: Action) -> None:
    """Settle an action that was left, or leave it for another time. What cannot be settled goes to a person.

    Raises:
        LedgerFailure: the ledger is out of reach, or another guard was first; nothing was changed by this one.
    """
    if action.is_plan:
        services.tasks.start(_plan(services, action))  # it may take long, and nobody waits for it
        return
    try:
        if action.status is Status.COMPENSATING or action.origin in COMPENSATIONS:
            await _undo(services, action)
        else:
            await _call(services, action)
    except (NotResumable, NotUndoable) as problem:
        await _to_a_person(services, action, str(problem))


async def _plan(services: Services, action: Action) -> None:
    try:
        await resume(services, action)
    except (LedgerFailure, IllegalTransition) as failure:  # another guard was quicker, or the ledger is away
        log.info("%s was not gone on with: %s", action.id, failure)
    except Exception:
        log.exception("%s could not be gone on with", action.id)


async def _call(services: Services, action: Action) -> None:
    work = work_again(services, action)
    with suppress(BeingWorkedOn):
        async with under_leases(services, work, action) as (standing, now):
            if now.status in _UNKNOWN:
                await taken_over(services, work, standing, now)


@asynccontextmanager
async def under_leases(services: Services, work: Work, action: Action) -> AsyncIterator[tuple[Standing, Action]]:
    """Under the leases of an action, which are kept: what the ledger says, and the action as it stands now.

    Raises:
        BeingWorkedOn: somebody else holds one of them.
        LedgerFailure: the ledger is out of reach.
    """
    standing = await look(services, work, lease_names=work.lease_names)
    if standing.refused_by is not None:
        raise BeingWorkedOn(f"{action.id} is being worked on right now; look again in a moment")
    try:
        with services.keeper.keeping(standing.leases):
            yield standing, await services.ledger.action(action.tenant, action.id)
    finally:
        await services.ledger.release(standing.leases)


def work_again(services: Services, action: Action) -> Work:
    """The call as it was made, decided by the policy of today, for nobody who waits. Raises NotResumable."""
    entry = services.catalog.named(action.name)
    if entry is None:
        raise NotResumable(f"the tool {action.name} is not there any more")
    request = CallRequest(
        caller=caller_of(action),
        name=entry.exposed,
        arguments=action.arguments,
        meta={CLIENT_KEY: action.client_key} if action.client_key is not None else {},
        origin=action.origin,
        original=action.original,
        reason=action.reason,
    )
    try:
        decision = services.decide(request.caller, entry.policy_name, request.arguments)
        work = make_work(services, request, entry, decision)
    except (Undecidable, ExpressionError, NotCanonical) as problem:
        raise NotResumable(f"the policy of today cannot judge the call any more ({problem})") from None
    return replace(
        work,
        operation=action.operation,
        fingerprint=action.fingerprint,
        decision=replace(decision, targets=action.targets, effect=action.effect),
        listener=Listener(left=True),
    )


async def _undo(services: Services, action: Action) -> None:
    """Bring an undo to its end, from whichever of its steps it had come to."""
    original, undo = await _both(services, action)
    if original.status is not Status.COMPENSATING:
        raise NotResumable(f"{original.id}, which it takes back, is {original.status.value}")
    reason = undo.reason or "as asked before"
    found = await plan(services, original, reason)
    await carry_out(services, caller_of(undo), found, reason, await stands_again(services, original))


async def _both(services: Services, action: Action) -> tuple[Action, Action]:
    """What is taken back, and the newest call that takes it back."""
    if action.status is not Status.COMPENSATING and action.original is not None:
        return await services.ledger.action(action.tenant, action.original), action
    undos = await services.ledger.compensations(action.tenant, action.id)
    if not undos:
        raise NotResumable("no call that takes it back is known")
    return action, undos[-1]


async def _to_a_person(services: Services, action: Action, why: str) -> None:
    """It cannot be looked at: the recovery queue, once."""
    facts: list[Fact] = []
    if action.status is Status.RUNNING:
        facts.append(next_fact(services, action, Happening.LOSE, detail="the guard that ran it is gone"))
        action = facts[-1][1]
    facts.append(next_fact(services, action, Happening.GIVE_UP, detail=why))
    item = recovery_item(services, facts[-1][1], why)
    await services.ledger.commit(Change(actions=tuple(facts), queue=(item,), tenant=action.tenant))
