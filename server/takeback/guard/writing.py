"""The long way of a write: wait for the turn, take the leases, look the operation up, and do what the ledger says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.images import Image, differences, field_value, same
from takeback.core.jsontext import loads
from takeback.core.limits import exceeded
from takeback.core.operation import Compare, Go, Join, Refuse, Replay, Verdict, judge, judge_client_key, judge_current
from takeback.core.run import Run
from takeback.core.states import Happening
from takeback.core.vocabulary import Origin, RetryLayer, RunStatus, Status
from takeback.core.wording import (
    changed_meanwhile,
    denied,
    in_doubt,
    in_progress,
    limit_reached,
    mismatch,
    occupied,
    pending,
    refused,
    replayed,
    took_effect,
    undone_by,
)
from takeback.guard import approving
from takeback.guard.execution import Begun, before_image, claim, conclude, limits_of, run
from takeback.guard.reading import take_image
from takeback.guard.recording import first
from takeback.guard.replies import Reply, own_result, own_word
from takeback.guard.sending import whole_call
from takeback.guard.services import Refusal, Services, Work
from takeback.guard.settling import lost, take_over
from takeback.ports import Approach, Change, KeyTaken, LeaseLost, LedgerFailure, Stale, Standing

_ROUNDS: Final = 8
_MARGIN: Final = timedelta(seconds=120)
"""How much longer than the call its leases last: the reads around it, and the commits."""

_UNDER_WAY: Final = frozenset({Status.RUNNING, Status.COMPENSATING, Status.IN_DOUBT})


async def write(services: Services, work: Work) -> Reply:
    """Carry a write through its life and answer. Runs shielded from the caller's cancellation.

    Raises:
        LedgerFailure: the ledger is out of reach; then nothing was sent.
    """
    if work.decision.verdict == "deny":
        return await _deny(services, work)
    await open_run(services, work)
    work = replace(work, side_by_side=any(services.turns.busy(name) for name in _turn_names(work)))
    within = services.join_within.total_seconds()
    try:
        async with services.turns.hold(_turn_names(work), within=within):
            return await _rounds(services, work)
    except TimeoutError:
        return own_word(
            refused("the target is busy with another call", f"Nothing to mend; ask again after {within:.0f} s."),
            layer=RetryLayer.TOOL,
        )


def _turn_names(work: Work) -> set[str]:
    return {*work.lease_names, f"operation:{work.operation}"}


async def _rounds(services: Services, work: Work) -> Reply:
    """Approach until the ledger's answer could be acted upon: others may move between a look and a claim."""
    for _ in range(_ROUNDS):
        standing = await _approach(services, work)
        try:
            reply = await _act(services, work, standing)
        except (KeyTaken, Stale, LeaseLost):
            reply = None
        except BaseException:
            await services.ledger.release(standing.leases)
            raise
        if reply is not None:
            return reply
        await services.ledger.release(standing.leases)
    return own_word(refused("others keep changing the same thing", "Ask again later."), layer=RetryLayer.TOOL)


async def _approach(services: Services, work: Work) -> Standing:
    now = services.clock.now()
    standing = await services.ledger.approach(
        Approach(
            tenant=work.caller.tenant,
            run=work.caller.run,
            operation=work.operation,
            holder=services.ids.new("h"),
            lease_names=work.lease_names,
            lease_for=whole_call(work, work.decision.retry) + _MARGIN,
            now=now,
            client_key=work.client_key,
            counters=tuple(limits_of(services, work)),
        )
    )
    # An undo moves its original along with it, so the original does not stand in its way.
    others = tuple(action for action in standing.occupants if action.id != work.original)
    return replace(standing, occupants=others)


async def _act(services: Services, work: Work, standing: Standing) -> Reply | None:
    """One round. None: look again."""
    if standing.run_status in {RunStatus.PAUSED, RunStatus.FINISHED, RunStatus.ABANDONED}:
        return await _free(services, standing, own_word(_run_stopped(standing), layer=RetryLayer.HUMAN))
    if work.client_key is not None and standing.by_client_key is not None:
        clash = judge_client_key(standing.by_client_key, work.fingerprint)
        if clash is not None:
            return await _free(services, standing, _other_arguments(clash.action, work))
    verdict = await _judge(services, work, standing)
    if isinstance(verdict, Compare):
        verdict = await _compare(services, work, verdict.action)
    match verdict:
        case Go():
            return await _go(services, work, standing, verdict)
        case Join():
            return await _join(services, work, standing, verdict.action)
        case Replay():
            return await _free(services, standing, await _replay(services, work, verdict.action))
        case Refuse():
            return await _free(services, standing, await _refuse(services, work, verdict))


async def _free(services: Services, standing: Standing, reply: Reply) -> Reply:
    await services.ledger.release(standing.leases)
    return reply


def _run_stopped(standing: Standing) -> str:
    state = standing.run_status.value if standing.run_status else "closed"
    return refused(f"this run is {state}", "A person must look at it first; tell the user.")


def _other_arguments(known: Action, work: Work) -> Reply:
    text = refused(
        f"the idempotency key {work.client_key!r} was used for {known.id} with other arguments "
        f"(fingerprint {known.fingerprint[:12]} then, {work.fingerprint[:12]} now)",
        "Use a new key for a new operation.",
    )
    return own_word(text, layer=RetryLayer.MODEL)


async def _judge(services: Services, work: Work, standing: Standing) -> Verdict:
    earlier = standing.earlier
    later: tuple[Action, ...] = ()
    undone: Action | None = None
    if earlier is not None and earlier.status is Status.SUCCEEDED:
        later = tuple(a for a in await services.ledger.later_writes(earlier) if a.run == work.caller.run)
    if earlier is not None and earlier.status is Status.COMPENSATED:
        undone = await _undone_by(services, earlier)
    verdict = judge(
        earlier,
        newest_generation=standing.newest_generation,
        later=later,
        own_principals=frozenset({work.caller.principal}),
        undone_by=undone,
    )
    rule = work.decision.rule
    if work.side_by_side and rule is not None and rule.duplicates != "retry" and isinstance(verdict, Replay | Compare):
        return Go(standing.newest_generation + 1)
    return verdict


async def _undone_by(services: Services, action: Action) -> Action | None:
    undos = [a for a in await services.ledger.compensations(action.tenant, action.id) if a.origin is Origin.UNDO]
    return undos[-1] if undos else None


async def _compare(services: Services, work: Work, action: Action) -> Verdict:
    """A `set` in force: is the target still as the action left it?"""
    if action.after is None or not work.readings:
        return Replay(action)
    left = Image.from_document(loads(await services.ledger.image(action.after)))
    current = await current_image(services, work)
    if not current.readable:
        return Replay(action)
    fields = action.fields or tuple({d.field for d in differences(left, current, ignore=work.ignore)})
    as_left = all(same(field_value(left, name), field_value(current, name)) for name in fields if name not in work.ignore)
    return judge_current(action, as_left=as_left)


async def current_image(services: Services, work: Work) -> Image:
    """The targets as they are now, as they would be stored."""
    image = await take_image(services.catalog, work.readings, work.variables)
    return services.stored_image(image, work.redact)


async def _go(services: Services, work: Work, standing: Standing, go: Go) -> Reply | None:
    if standing.refused_by is not None or standing.occupants:
        return await _wait_for_target(services, work, standing)
    limit = exceeded(limits_of(services, work), standing.counters)
    if limit is not None:
        return await _free(services, standing, own_word(limit_reached(limit), layer=RetryLayer.HUMAN))
    before = await before_image(services, work)
    known = go.attempt_of
    try:
        arguments = work.purpose.ready(work, before)
    except Refusal as refusal:
        return await _free(services, standing, own_word(str(refusal), layer=RetryLayer.HUMAN))
    if _must_ask(work):
        action, approval = await approving.ask(
            services, work, standing, before, generation=go.generation, known=known
        )
        return own_word(pending(action, approval), action, layer=RetryLayer.HUMAN, pending=approval)
    begun = await claim(services, work, standing, before, arguments, generation=go.generation, known=known)
    return await _carry_out(services, begun)


def _must_ask(work: Work) -> bool:
    rule = work.decision.rule
    meant = rule is not None and rule.duplicates == "ask" and work.side_by_side
    return work.decision.verdict == "ask" or meant


async def _carry_out(services: Services, begun: Begun) -> Reply:
    sent = await run(services, begun)
    try:
        if sent.unknown is not None:
            return await lost(services, begun, sent)
        return await conclude(services, begun, sent)
    except LedgerFailure as failure:
        # The claim stands, so whoever comes next finds the action running under a lapsed lease, and looks.
        why = f"the call was sent, and its outcome could not be recorded ({failure})"
        return own_word(in_doubt(begun.action, why), begun.action, layer=RetryLayer.WORKFLOW)


async def _wait_for_target(services: Services, work: Work, standing: Standing) -> Reply | None:
    """Another action is on the target, here or at another guard: wait a little, then refuse. Nothing is allocated."""
    await services.ledger.release(standing.leases)
    if standing.occupants:
        other = standing.occupants[0]
        if other.status is not Status.RUNNING:
            return own_word(occupied(other), other, layer=RetryLayer.HUMAN)
        within = services.join_within.total_seconds()
        await services.ledger.wait_for_change(other.tenant, other.id, other.version, within)
        now = await services.ledger.action(other.tenant, other.id)
        return own_word(occupied(now), now, layer=RetryLayer.TOOL) if now.version == other.version else None
    await services.clock.sleep(0.2)
    return None


async def _join(services: Services, work: Work, standing: Standing, action: Action) -> Reply | None:
    if standing.refused_by is not None and action.status in _UNDER_WAY:
        within = services.join_within.total_seconds()
        await services.ledger.wait_for_change(action.tenant, action.id, action.version, within)
        now = await services.ledger.action(action.tenant, action.id)
        text = in_progress(now, round(within))
        return own_word(text, now, layer=RetryLayer.TOOL) if now.version == action.version else None
    match action.status:
        case Status.RUNNING | Status.IN_DOUBT:
            return await _take_over(services, work, standing, action)
        case Status.AWAITING_APPROVAL:
            return await _free(services, standing, await _still_pending(services, action))
        case Status.APPROVED:
            return await _approved(services, work, standing, action)
        case Status.NEEDS_OPERATOR:
            text = in_doubt(action, "it waits for an operator in the recovery queue")
            return await _free(services, standing, own_word(text, action, layer=RetryLayer.HUMAN))
        case _:
            return await _free(services, standing, own_word(in_progress(action, 5), action, layer=RetryLayer.TOOL))


async def _take_over(services: Services, work: Work, standing: Standing, action: Action) -> Reply:
    """We hold the leases of an action that was left running or in doubt: whoever ran it is gone."""
    before = await stored_image(services, action.before)
    begun = Begun(
        work=work,
        action=action,
        arguments=work.arguments,
        before=before,
        leases=standing.leases,
        deadline=services.clock.now() + whole_call(work, work.decision.retry),
    )
    return await take_over(services, begun)


async def stored_image(services: Services, digest: str | None) -> Image | None:
    """An image from the ledger."""
    return Image.from_document(loads(await services.ledger.image(digest))) if digest is not None else None


async def _still_pending(services: Services, action: Action) -> Reply:
    approval = await services.ledger.approval(action.tenant, action.approval or "")
    if services.clock.now() >= approval.expires_at:
        gone = await approving.expire(services, action, approval)
        return own_word(denied(gone, "nobody answered in time"), gone, layer=RetryLayer.HUMAN)
    return own_word(pending(action, approval), action, layer=RetryLayer.HUMAN, pending=approval)


async def _approved(services: Services, work: Work, standing: Standing, action: Action) -> Reply | None:
    """A person agreed: run it, if it still is what they saw."""
    if standing.refused_by is not None or standing.occupants:
        return await _wait_for_target(services, work, standing)
    approval = await services.ledger.approval(action.tenant, action.approval or "")
    if services.clock.now() >= approval.expires_at:
        gone = await approving.expire(services, action, approval)
        return await _free(services, standing, own_word(denied(gone, "the approval has expired"), gone, layer=RetryLayer.HUMAN))
    before = await before_image(services, work)
    stored = services.stored_image(before, work.redact) if before is not None else None
    if not approving.still_covers(work, approval, stored):
        await approving.void(services, action, approval, "what was shown has changed since")
        return None
    try:
        arguments = work.purpose.ready(work, before)
    except Refusal as refusal:
        return await _free(services, standing, own_word(str(refusal), layer=RetryLayer.HUMAN))
    begun = await claim(
        services, work, standing, before, arguments, generation=action.generation, known=action, approval=approval
    )
    return await _carry_out(services, begun)


async def _replay(services: Services, work: Work, action: Action) -> Reply:
    if action.result is None:
        image = await stored_image(services, action.after)
        state = image.variable() if image is not None else None
        return own_word(f"{replayed(action)} {took_effect(action, state)}", action, layer=RetryLayer.MODEL)
    result: Mapping[str, Any] = loads(await services.ledger.image(action.result))
    return own_result(result, action, line=None, lead=replayed(action))


async def _refuse(services: Services, work: Work, refusal: Refuse) -> Reply:
    action = refusal.action
    match refusal.why:
        case "mismatch":
            text = mismatch(action)
        case "undone_by_other":
            undo = await _undone_by(services, action)
            text = undone_by(action, undo.principal if undo else "a person", undo.reason if undo else None)
        case "changed_meanwhile":
            left, now = await stored_image(services, action.after), await current_image(services, work)
            text = changed_meanwhile(action, differences(left, now, ignore=work.ignore) if left is not None else ())
        case "expired" | "other_arguments" | "occupied":
            text = refused(f"{action.id} stands in the way ({refusal.why})", "Tell the user.")
    return own_word(text, action, layer=RetryLayer.HUMAN)


async def _deny(services: Services, work: Work) -> Reply:
    await open_run(services, work)
    standing = await _approach(services, work)
    fact = first(services, work, Happening.DENY, generation=standing.newest_generation + 1)
    await services.ledger.commit(
        Change(actions=(fact,), tenant=work.caller.tenant, leases=standing.leases, release=standing.leases)
    )
    return own_word(denied(fact[1], work.decision.why), fact[1], layer=RetryLayer.HUMAN)


async def open_run(services: Services, work: Work) -> None:
    """Make sure that the ledger knows the run: once for each run and guard."""
    caller = work.caller
    if caller.run in services.known_runs:
        return
    now = services.clock.now()
    await services.ledger.open_run(
        Run(
            id=caller.run,
            tenant=caller.tenant,
            principal=caller.principal,
            opened_at=now,
            active_at=now,
            client=caller.client,
            trace=caller.trace,
        )
    )
    services.known_runs.add(caller.run)
