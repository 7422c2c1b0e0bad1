"""Decisions of the recovery queue that need work upstream: an action is resumed, or taken back.

Whoever carries one out claims the entry first, under a lease that this guard keeps. So two people cannot do it twice,
and when this guard dies the entry is open again as soon as the lease has run out; what had been begun by then is
settled like everything else that a guard leaves, and closes the entry in the commit in which it ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from takeback.core.action import Action
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.queue import QueueDecision, QueueState, RecoveryItem
from takeback.core.vocabulary import COMPENSATIONS, Origin, Status
from takeback.guard.approaching import approached
from takeback.guard.entries import NotResolvable, Overtaken, find, move, open_to
from takeback.guard.going_on import go_on
from takeback.guard.resuming import NotResumable
from takeback.guard.services import Services
from takeback.guard.undo.taking_back import take_back
from takeback.ports import Approach, Caller, Change, LeaseLost, QueueEntry, Stale, Standing

_TRIES: Final = 5
_LOOKS: Final = 40
_LOOK_PAUSE: Final = 0.05
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a decision came to, in words. `confirm` is set where a preview must be confirmed first: nothing was done."""

    entry: QueueEntry
    action: Action
    text: str
    confirm: str | None = None

    @property
    def done(self) -> bool:
        """Whether the entry is closed."""
        return self.entry.state is QueueState.CLOSED


Outcome = tuple[str, str | None]
"""What was done, in words, and what a preview is to be confirmed by."""


async def resume(
    services: Services, tenant: str, named: str, *, by: str, reason: str, seen: int | None = None
) -> Resolved:
    """Settle or try the entry's action again, now.

    What is in doubt is looked at; what did not read back as expected is read again; what failed with no effect gets a
    new attempt, by the rules of its approval; a plan that stopped goes on.

    Raises:
        NotFound: the tenant has no such entry.
        NotResolvable: there is nothing to resume, it was decided already, or somebody is at it; nothing was changed.
        LedgerFailure: the ledger is out of reach.
    """

    async def work(action: Action) -> Outcome:
        try:
            return await go_on(services, action, by=by), None
        except NotResumable as problem:
            raise NotResolvable(str(problem)) from None

    entry = await find(services, tenant, named)
    word = _word(QueueDecision.RESUME, by, reason, seen)
    return await services.tasks.shielded(_claimed(services, entry, word, work))


async def compensate(
    services: Services, caller: Caller, named: str, *, reason: str, confirm: str | None = None, seen: int | None = None
) -> Resolved:
    """Take back what the entry's action did, by the ordinary undo: exact, compensated, or refused with the reason.

    Where the undo shows a preview first, its digest comes back in `confirm`, to be given in a second call. `caller` is
    a person.

    Raises:
        NotFound: the tenant has no such entry.
        NotResolvable: there is nothing to take back, it was decided already, or somebody is at it.
        LedgerFailure: the ledger is out of reach.
    """
    if not caller.person:
        raise NotResolvable("only a person decides about the recovery queue")

    async def work(action: Action) -> Outcome:
        target = _meant(action)
        of_run = replace(caller, run=action.run)
        answer = await take_back(services, of_run, what=target, reason=reason, confirm=confirm)
        return answer.text, answer.confirm

    entry = await find(services, caller.tenant, named)
    word = _word(QueueDecision.COMPENSATE, caller.principal, reason, seen)
    return await services.tasks.shielded(_claimed(services, entry, word, work))


def _meant(action: Action) -> str:
    """The action to take back: of an undo whose outcome is not known, what that was to take back."""
    if action.origin not in COMPENSATIONS or action.in_force:
        return action.id
    if action.origin is Origin.REDO or action.original is None:
        raise NotResolvable(f"whether the redo {action.id} took effect must be said first")
    return action.original


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What somebody decided, and which version of the entry they had before them, where that is known."""

    decision: QueueDecision
    by: str
    reason: str
    seen: int | None


def _word(decision: QueueDecision, by: str, reason: str, seen: int | None) -> _Word:
    """A decision as it is recorded. Raises NotResolvable: it says nothing of why."""
    if not reason.strip():
        raise NotResolvable("a reason is required")
    return _Word(decision=decision, by=by, reason=one_line(reason, LONGEST_REASON), seen=seen)


async def _claimed(
    services: Services, entry: QueueEntry, word: _Word, work: Callable[[Action], Awaitable[Outcome]]
) -> Resolved:
    """Claim the entry, do the work, and give the entry back unless the work has closed it."""
    open_to(entry, word.seen, word.by)
    item = entry.item
    standing = await _lease(services, item)
    try:
        with services.keeper.keeping(standing.leases):
            mine = replace(item, version=item.version + 1, handler=word.by, handling=word.decision.value)
            await move(services, Change(queue=(mine,), tenant=item.tenant, leases=standing.leases), item, word.by)
            try:
                text, confirm = await work(await services.ledger.action(item.tenant, item.action))
            finally:
                await _give_back(services, mine, standing, word.reason)
    finally:
        await services.ledger.release(standing.leases)
    now = await services.ledger.entry(item.tenant, item.id, services.clock.now())
    action = await services.ledger.action(item.tenant, item.action)
    return Resolved(entry=now, action=action, text=text, confirm=confirm)


async def _lease(services: Services, item: RecoveryItem) -> Standing:
    """The right to handle an entry. Raises Overtaken: somebody else has it."""
    wanted = Approach(
        tenant=item.tenant,
        run=item.run,
        operation="",
        holder=services.holder(),
        lease_names=(item.lease_name,),
        lease_for=services.keeper.lease,
        now=services.clock.now(),
    )
    standing = await approached(services, wanted)
    if standing.refused_by is None:
        return standing
    raise await _who_was_quicker(services, item)


async def _who_was_quicker(services: Services, item: RecoveryItem) -> Overtaken:
    """Whoever has the lease writes who they are right after they took it: that is waited for."""
    for _ in range(_LOOKS):
        now = await services.ledger.entry(item.tenant, item.id, services.clock.now())
        if now.item.closed_at is not None or now.item.handler is not None:
            try:
                open_to(now, None, "")
            except Overtaken as overtaken:
                return overtaken
        await services.clock.sleep(_LOOK_PAUSE)
    return Overtaken(f"somebody took {item.id} up at this very moment; look again")


async def _give_back(services: Services, mine: RecoveryItem, standing: Standing, reason: str) -> None:
    """The entry is open again; or it was closed by what was done, and then by whoever had decided that."""
    for _ in range(_TRIES):
        entry = await services.ledger.entry(mine.tenant, mine.id, services.clock.now())
        item = replace(entry.item, version=entry.item.version + 1, handler=None, handling=None)
        if item.closed_at is not None:
            if entry.item.closed_by != "guard":
                return
            item = replace(item, closed_by=mine.handler, decision=mine.handling, reason=reason)
        else:
            item = await _as_it_is(services, item)
        try:
            await services.ledger.commit(Change(queue=(item,), tenant=mine.tenant, leases=standing.leases))
        except Stale:
            continue
        except LeaseLost:
            return
        return


async def _as_it_is(services: Services, item: RecoveryItem) -> RecoveryItem:
    """What the entry says, once looking again has shown that its action had no effect."""
    action = await services.ledger.action(item.tenant, item.action)
    if action.status is Status.FAILED and not action.in_force and action.settled_at is not None:
        return replace(item, why=f"{item.action} had no effect, and that is certain; nothing was changed by it")
    return item
