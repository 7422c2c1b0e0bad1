"""Submitting a plan: held against schemas and policy as a whole, agreed to as a whole, claimed, and carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.canonical import NotCanonical, canonical
from takeback.core.operation import logical_operation
from takeback.core.phrases import quoted
from takeback.core.plan import PlanDocument, arranged, no_return, problems
from takeback.core.run import CLOSED
from takeback.core.states import Happening
from takeback.core.vocabulary import RetryLayer, Status
from takeback.core.wording import in_progress, pending, refused
from takeback.guard.answering import expired, run_stopped
from takeback.guard.carrying import free
from takeback.guard.freezing import any_stopped, told
from takeback.guard.joining import still_pending
from takeback.guard.pausing import pausing_now
from takeback.guard.pausing import told as told_paused
from takeback.guard.plans.asking import ask
from takeback.guard.plans.beginning import approach, begun, driven
from takeback.guard.plans.facts import PlanRequest, first
from takeback.guard.plans.judging import Judged, judged, shared
from takeback.guard.plans.previewing import TOOL, Shown, lines, seen
from takeback.guard.recording import Fact, next_fact
from takeback.guard.replies import Reply, own_word
from takeback.guard.runs import inheriting, opened
from takeback.guard.services import Listener, Services, caller_of
from takeback.ports import Caller, Change, KeyTaken, Lease, LeaseLost, Stale, Standing

_ROUNDS: Final = 8
_MEND: Final = "Mend the plan and submit it again."
_MOST_PROBLEMS: Final = 12
_AGAIN: Final = frozenset({Status.COMPENSATED, Status.CANCELLED, Status.DENIED})
"""After these an equal plan is a new one."""

_BEGINS: Final = _AGAIN | {Status.APPROVED, Status.FAILED}
"""From these a plan begins, unless something in it is frozen."""


class _Refused(Exception):
    """The plan cannot run as it is; the message says everything that is wrong with it."""


async def preview_only(services: Services, request: PlanRequest) -> Reply:
    """What the plan would do, in which order, and what of it could be taken back. Nothing is changed."""
    try:
        shown = await _shown(services, request)
    except _Refused as refusal:
        return _malformed(refusal)
    asks = ", ".join(one.step.id for one in shown.asks)
    wanted = f"A person must agree ({asks}); one answer covers all of it." if asks else "No person is asked."
    text = "\n".join(["Preview, nothing was changed.", *lines(shown), wanted])
    return own_word(text, layer=RetryLayer.MODEL, error=False)


async def submit(services: Services, request: PlanRequest) -> Reply:
    """Carry a plan out, or say what it waits for. An equal plan of the same run is the same one.

    When the awaiting task is cancelled before a step was begun, the plan is cancelled; later it goes on.

    Raises:
        LedgerFailure: the ledger is out of reach; no step was begun by this call.
    """
    try:
        shown = await _shown(services, request)
    except _Refused as refusal:
        return _malformed(refusal)
    listener = Listener()
    try:
        return await services.tasks.shielded(_rounds(services, request, shown, listener))
    except asyncio.CancelledError:
        listener.cancel()
        raise


async def _shown(services: Services, request: PlanRequest) -> Shown:
    """The plan as it would run, with what its targets are now. Raises _Refused with everything that is wrong."""
    plan = await _translated(services, request.document)
    most = services.policy.file.plans.steps
    if len(plan.steps) > most:
        raise _Refused(f"it has {len(plan.steps)} steps; the policy allows {most}")
    if wrong := problems(plan):
        raise _Refused("; ".join(wrong[:_MOST_PROBLEMS]))
    steps, wrong = judged(services, request.caller, plan)
    if wrong:
        raise _Refused("; ".join(wrong[:_MOST_PROBLEMS]))
    return await seen(services, _in_order(services, plan, steps), steps)


async def _translated(services: Services, document: Mapping[str, Any]) -> PlanDocument:
    """With the tools named as policies name them, and in a form that can be kept."""
    try:
        canonical(dict(document))
    except NotCanonical as error:
        raise _Refused(str(error)) from None
    plan = PlanDocument.from_document(document)
    known = {tool: await services.catalog.current(tool) for tool in dict.fromkeys(step.tool for step in plan.steps)}
    if strange := sorted(name for name, entry in known.items() if entry is None):
        raise _Refused("; ".join(f"there is no tool {quoted(name, 60)}" for name in strange[:_MOST_PROBLEMS]))
    groups = tuple(
        replace(
            group,
            steps=tuple(
                replace(step, tool=entry.policy_name) for step in group.steps if (entry := known[step.tool]) is not None
            ),
        )
        for group in plan.groups
    )
    return replace(plan, groups=groups)


def _in_order(services: Services, plan: PlanDocument, steps: list[Judged]) -> PlanDocument:
    """The order in which it runs. Raises _Refused where the policy allows none."""
    wanted = services.policy.file.plans.irreversible
    irreversible = frozenset(one.step.id for one in steps if one.irreversible)
    if wanted == "as_given" or not irreversible:
        return plan
    about = shared(steps)
    found = arranged(plan, irreversible, lambda one, other: not about[one].isdisjoint(about[other]))
    turning = no_return(found, irreversible)
    writes = {one.step.id for one in steps if not one.is_read}
    rest = [s.id for g in found.groups[turning or 0 :] for s in g.steps if s.id in writes - irreversible]
    if wanted == "refuse" and rest:
        what = ", ".join(sorted(irreversible))
        raise _Refused(f"{', '.join(rest[:5])} would have to come after what cannot be taken back ({what})")
    return found


# --- what the ledger says of it ---


async def _rounds(services: Services, request: PlanRequest, shown: Shown, listener: Listener) -> Reply:
    before = await opened(services, request.caller)
    operation, inherits = _operation(request.caller, request.caller.run, shown), None
    if before is not None:
        inherits = _operation(request.caller, before, shown)
    for _ in range(_ROUNDS):
        standing = await inheriting(services, await approach(services, request.caller, operation, inherits=inherits))
        if standing.earlier is not None and standing.earlier.operation != operation:
            operation, inherits = standing.earlier.operation, None  # it goes on from the run before
            await services.ledger.release(standing.leases)
            continue
        try:
            reply = await _act(services, request, shown, operation, standing, listener)
        except (KeyTaken, Stale, LeaseLost):
            reply = None
        if reply is not None:
            return reply
        await services.ledger.release(standing.leases)
        shown = await seen(services, shown.plan, list(shown.steps.values()))
    return own_word(refused("others keep changing the same thing", "Ask again later."), layer=RetryLayer.TOOL)


def _operation(caller: Caller, run: str, shown: Shown) -> str:
    return logical_operation(tenant=caller.tenant, run=run, tool=TOOL, targets=(), operation=shown.plan.document())


async def _act(
    services: Services, request: PlanRequest, shown: Shown, operation: str, standing: Standing, listener: Listener
) -> Reply | None:
    """One round. None: look again."""
    known = standing.earlier
    if (stop := _stop(services, request, shown, standing)) is not None:
        return await free(services, standing, stop)
    if standing.refused_by is not None:
        return await _join(services, known)
    if known is None and standing.tombstone is not None:
        return await free(services, standing, expired(standing.tombstone))
    if known is None or known.status in _AGAIN:
        return await _new(services, request, shown, operation, standing, listener)
    match known.status:
        case Status.SUCCEEDED:
            plan = PlanDocument.from_document(known.arguments)
            text = f"Already done as {known.id}; nothing more is needed. [takeback {known.id}] {plan.title}"
            return await free(services, standing, own_word(text, known, layer=RetryLayer.MODEL, error=False))
        case Status.AWAITING_APPROVAL:
            return await free(services, standing, await still_pending(services, known))
        case Status.APPROVED:
            return await begun(services, known, standing.leases, shown, progress=request.progress)
        case Status.NEEDS_OPERATOR:
            text = refused(f"{known.id} waits for a person in the recovery queue", "Tell the user.")
            return await free(services, standing, own_word(text, known, layer=RetryLayer.HUMAN))
        case Status.FAILED:
            claimed = next_fact(services, known, Happening.CLAIM, detail="submitted again", error=None)
            await _write(services, claimed, standing.leases)
            return await driven(services, caller_of(claimed[1]), claimed[1], standing.leases, request.progress)
        case _:
            return await driven(services, caller_of(known), known, standing.leases, request.progress)


def _stop(services: Services, request: PlanRequest, shown: Shown, standing: Standing) -> Reply | None:
    """Why it does not begin: its run takes no writes or is paused, or something in it is frozen."""
    if standing.run_status in CLOSED:
        return own_word(run_stopped(standing), layer=RetryLayer.HUMAN)
    known, tools = standing.earlier, [step.tool for step in shown.plan.steps]
    if known is not None and known.status not in _BEGINS:
        return None
    if (freeze := any_stopped(request.caller, tools, standing)) is not None:
        return told(freeze)
    worries = pausing_now(services, standing)
    return told_paused(worries) if worries else None


async def _join(services: Services, known: Action | None) -> Reply | None:
    """Somebody is at it: wait a little, then say how far it is."""
    within = services.join_within.total_seconds()
    if known is None:
        await services.clock.sleep(0.2)
        return None
    await services.ledger.wait_for_change(known.tenant, known.id, known.version, within)
    now = await services.ledger.action(known.tenant, known.id)
    if now.version != known.version:
        return None
    return own_word(in_progress(now, round(within)), now, layer=RetryLayer.TOOL)


async def _new(
    services: Services, request: PlanRequest, shown: Shown, operation: str, standing: Standing, listener: Listener
) -> Reply:
    generation = standing.newest_generation + 1
    if listener.left:
        text = refused("it was cancelled before anything was done", "Nothing more is needed.")
        return await free(services, standing, own_word(text, layer=RetryLayer.MODEL))
    if shown.asks:
        action, approval = await ask(services, request, shown, operation, generation, standing.leases)
        return own_word(pending(action, approval), action, layer=RetryLayer.HUMAN, pending=approval)
    fact = first(services, request, shown, operation, generation, Happening.CLAIM)
    await _write(services, fact, standing.leases)
    return await driven(services, request.caller, fact[1], standing.leases, request.progress)


async def _write(services: Services, fact: Fact, leases: tuple[Lease, ...]) -> None:
    await services.ledger.commit(Change(actions=(fact,), tenant=fact[1].tenant, leases=tuple(leases)))


def _malformed(refusal: _Refused) -> Reply:
    return own_word(refused(f"the plan cannot run: {refusal}", _MEND), layer=RetryLayer.MODEL)
