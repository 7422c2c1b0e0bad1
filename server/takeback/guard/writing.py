"""The long way of a write: wait for the turn, take the leases, look the operation up, and do what the ledger says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from takeback.core.action import Action
from takeback.core.images import Image
from takeback.core.operation import Compare, Expired, Go, Join, Refuse, Replay, judge_client_key
from takeback.core.run import CLOSED
from takeback.core.states import OCCUPYING, Happening
from takeback.core.vocabulary import Origin, RetryLayer, Status
from takeback.core.wording import denied, in_progress, pending, refused, withdrawn
from takeback.guard import approving
from takeback.guard.answering import expired, other_arguments, refuse, replay, run_stopped
from takeback.guard.approaching import approached
from takeback.guard.carrying import begin, free, limit_stop
from takeback.guard.execution import before_image, claim, limits_of
from takeback.guard.freezing import stopped
from takeback.guard.joining import join, wait_for_target
from takeback.guard.judging import compare, judge_call
from takeback.guard.pausing import paused, until_looked_at
from takeback.guard.recording import first
from takeback.guard.replies import Reply, own_word
from takeback.guard.runs import in_run, inheriting, opened
from takeback.guard.services import Refusal, Services, Work
from takeback.guard.staleness import ready
from takeback.guard.turns import Busy
from takeback.ports import Approach, Change, KeyTaken, LeaseLost, LedgerFailure, Stale, Standing

_Act: TypeAlias = Callable[[Services, Work, Standing], Awaitable[Reply | None]]
"""What is done with the ledger's answer. None: look again."""

_ROUNDS: Final = 8


async def write(services: Services, work: Work) -> Reply:
    """Carry a write through its life and answer. Runs shielded from the caller's cancellation.

    Raises:
        LedgerFailure: the ledger is out of reach; then nothing was sent.
    """
    work = await in_run(services, work)
    if work.decision.verdict == "deny":
        return await _rounds(services, work, _deny)
    work = replace(work, side_by_side=services.turns.busy(_own_turn(work)))
    within = services.join_within.total_seconds()
    try:
        async with services.turns.hold({*work.lease_names, _own_turn(work)}, within=within):
            return await _rounds(services, work, _act)
    except Busy:
        return await _kept_waiting(services, work, round(within))


def _own_turn(work: Work) -> str:
    return f"operation:{work.operation}"


async def _kept_waiting(services: Services, work: Work, seconds: int) -> Reply:
    """The turn did not come: an equal call is told of the one that is under way, another one that it did not run."""
    known = (await look(services, work, lease_names=())).earlier
    if known is not None and known.status in OCCUPYING:
        return own_word(in_progress(known, max(seconds, 1)), known, layer=RetryLayer.TOOL)
    text = refused("the target is busy with another call", f"Nothing to mend; ask again after {max(seconds, 1)} s.")
    return own_word(text, layer=RetryLayer.TOOL)


async def _rounds(services: Services, work: Work, act: _Act) -> Reply:
    """Approach until the ledger's answer could be acted upon: others may move between a look and a claim."""
    for _ in range(_ROUNDS):
        with services.spending.looking(limits_of(services, work)) as marks:
            if work.listener.left:
                return own_word(withdrawn(), layer=RetryLayer.MODEL)
            standing = await look(services, work, lease_names=work.lease_names)
            try:
                with services.keeper.keeping(standing.leases):
                    reply = await act(services, replace(work, marks=marks), standing)
            except (KeyTaken, Stale, LeaseLost):
                reply = None
            except BaseException:
                with suppress(LedgerFailure):  # then they run out
                    await services.ledger.release(standing.leases)
                raise
        if reply is not None:
            return reply
        await services.ledger.release(standing.leases)
    return own_word(refused("others keep changing the same thing", "Ask again later."), layer=RetryLayer.TOOL)


async def look(services: Services, work: Work, *, lease_names: tuple[str, ...]) -> Standing:
    """Take the leases, all or none, and see what the ledger says of the operation and its targets."""
    wanted = Approach(
        tenant=work.caller.tenant,
        run=work.caller.run,
        operation=work.operation,
        holder=services.holder(),
        lease_names=lease_names,
        lease_for=services.keeper.lease,
        now=services.clock.now(),
        client_key=work.client_key,
        inherits=work.inherits,
        counters=tuple(limits_of(services, work)),
    )
    standing = await approached(services, wanted)
    if standing.run_status is None:
        await opened(services, work.caller, again=True)  # retention took it meanwhile
    others = tuple(action for action in standing.occupants if not _own(work, action))
    return replace(standing, occupants=others)


def _own(work: Work, action: Action) -> bool:
    """An undo moves its original along with it, and may be the next try after one that a person must look at."""
    tried = action.status is Status.NEEDS_OPERATOR and action.original == work.original
    return work.original is not None and (action.id == work.original or tried)


def _stopped(work: Work, standing: Standing) -> Reply | None:
    """Why nothing more is looked at: the run takes no writes, or the client's key was used for something else."""
    if standing.run_status in CLOSED:
        return own_word(run_stopped(standing), layer=RetryLayer.HUMAN)
    known = standing.by_client_key if work.client_key is not None else None
    clash = judge_client_key(known, work.fingerprint) if known is not None else None
    return other_arguments(clash.action, work) if clash is not None else None


async def _act(services: Services, work: Work, standing: Standing) -> Reply | None:
    """One round. None: look again."""
    if (stop := _stopped(work, standing)) is not None:
        return await free(services, standing, stop)
    standing = await inheriting(services, standing)
    verdict = await judge_call(services, work, standing)
    if isinstance(verdict, Compare):
        verdict = await compare(services, work, verdict.action)
    match verdict:
        case Go():
            return await _go(services, work, standing, verdict)
        case Join():
            return await join(services, work, standing, verdict.action)
        case Replay():
            return await free(services, standing, await replay(services, verdict.action))
        case Refuse():
            return await free(services, standing, await refuse(services, work, verdict))
        case Expired():
            return await free(services, standing, expired(verdict.tombstone))
        case Compare():
            raise AssertionError("a comparison ends in another verdict")


async def _go(services: Services, work: Work, standing: Standing, go: Go) -> Reply | None:
    if (stop := stopped(work, standing)) is not None:
        return await free(services, standing, stop)
    if standing.refused_by is not None or standing.occupants:
        return await wait_for_target(services, standing)
    if worries := paused(services, work, standing):
        return await until_looked_at(services, work, standing, worries)
    if (stop := limit_stop(services, work, standing)) is not None:
        return await free(services, standing, stop)
    before = await before_image(services, work)
    known = go.attempt_of
    try:
        work = await ready(services, work, before)
    except Refusal as refusal:
        return await _turned_away(services, work, standing, refusal, known)
    if _must_ask(services, work, before):
        action, approval = await approving.ask(services, work, standing, before, generation=go.generation, known=known)
        return own_word(pending(action, approval), action, layer=RetryLayer.HUMAN, pending=approval)
    claimed = partial(claim, services, work, standing, before, generation=go.generation, known=known)
    return await begin(services, work, standing, claimed)


def _must_ask(services: Services, work: Work, before: Image | None) -> bool:
    rule = work.decision.rule
    if rule is not None and rule.duplicates == "ask" and work.side_by_side:
        return True
    return work.decision.verdict == "ask" and not _was_agreed(services, work, before)


def _was_agreed(services: Services, work: Work, before: Image | None) -> bool:
    """Whether a person agreed to it with its plan, and it still is what they saw."""
    if not work.agreed:
        return work.agreed is not None
    stored = services.stored_image(before, work.redact) if before is not None else None
    return work.agreed == approving.digest_now(services, work, stored)


async def _turned_away(
    services: Services, work: Work, standing: Standing, refusal: Refusal, known: Action | None
) -> Reply:
    """What was read forbids it. An agent's attempt is written down; an undo's leaves its original as it is."""
    if known is not None or work.origin is Origin.UNDO:
        of = known if work.origin is Origin.PLAN else None  # a step is what its action is, and that failed for certain
        return await free(services, standing, own_word(str(refusal), of, layer=refusal.layer))
    action = await _denied(services, work, standing, refusal.why or work.decision.why)
    return own_word(str(refusal), action, layer=refusal.layer)


async def _deny(services: Services, work: Work, standing: Standing) -> Reply:
    action = await _denied(services, work, standing, work.decision.why)
    return own_word(denied(action, work.decision.why), action, layer=RetryLayer.HUMAN)


async def _denied(services: Services, work: Work, standing: Standing, why: str) -> Action:
    work = replace(work, decision=replace(work.decision, why=why))
    fact = first(services, work, Happening.DENY, generation=standing.newest_generation + 1)
    await services.ledger.commit(
        Change(actions=(fact,), tenant=work.caller.tenant, leases=standing.leases, release=standing.leases)
    )
    return fact[1]
