"""What was done, in lines and in sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from takeback.core.action import Action
from takeback.core.images import Image
from takeback.core.phrases import LONGEST_REASON, quoted
from takeback.core.plan import PlanDocument, by_step
from takeback.core.plan_trail import plan_trail
from takeback.core.queue import QueueState
from takeback.core.trail import Facts, Sentence, trail
from takeback.core.vocabulary import COMPENSATIONS, Origin, Verified
from takeback.core.voice import Audience
from takeback.core.wording import targets_of
from takeback.guard.judging import stored_image
from takeback.guard.services import Services
from takeback.ports import HistoryQuery, Pruned, QueueEntry

_PAGE: Final = 200


async def every(services: Services, tenant: str, run: str) -> AsyncIterator[Action]:
    """All actions of a run, newest first, read page by page."""
    query = HistoryQuery(tenant=tenant, run=run, limit=_PAGE)
    while True:
        page = await services.ledger.history(query)
        for action in page.actions:
            yield action
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)


def line(action: Action) -> str:
    """One action on one line, without images: id, time, tool, target, fields, where it stands, what undo can do."""
    fields = f" [{', '.join(action.changed)}]" if action.changed else ""
    origin = f" ({part_of(action)})" if action.original else ""
    undo = f" · undo: {action.forecast['text']}" if action.in_force and action.forecast else ""
    state = f"{action.status.value}{_verified(action)}"
    when = f"{action.created_at:%Y-%m-%d %H:%M:%S}"
    return f"{action.id} {when} {action.name} {about(action)}{fields}{origin} · {state}{undo}"


def _verified(action: Action) -> str:
    words = {Verified.YES: ", verified", Verified.MISMATCH: ", MISMATCH", Verified.IMPOSSIBLE: ", not read back"}
    return ", not read back yet" if action.is_unread else words.get(action.verified, "")


def part_of(action: Action) -> str:
    """What it belongs to: `undo of a7k2p`, `step of w4yud`; empty where to nothing."""
    origin = "step" if action.origin is Origin.PLAN else action.origin.value
    return f"{origin} of {action.original}" if action.original else ""


def about(action: Action) -> str:
    """What it changes; for a plan, what it is for."""
    if action.is_plan:
        return quoted((action.arguments or {}).get("title", ""), LONGEST_REASON)
    return targets_of(action.targets)


def queue_line(entry: QueueEntry) -> str:
    """One entry of the recovery queue on one line, with where it stands."""
    item = entry.item
    state = entry.state.value
    if entry.state is QueueState.HANDLING:
        state = f"being handled ({item.handling})"
    elif item.assignee is not None:
        state = f"{state}, somebody looks at it"
    opened = f"{item.opened_at:%Y-%m-%d %H:%M} UTC"
    return f"{item.id} {item.action} {item.risk.value} risk, since {opened}, {state}: {item.why}"


async def facts_of(services: Services, action: Action) -> Facts:
    """Everything the ledger knows about one action."""
    approval = None
    if action.approval is not None:
        approval = await services.ledger.approval(action.tenant, action.approval)
    rules = [n.rule.ignore for n in services.policy.rules_for(action.name) if n.id == action.rule]
    undos = await services.ledger.compensations(action.tenant, action.id)
    before, after, pruned = await _kept(services, action)
    return Facts(
        action=action,
        events=await services.ledger.events(action.tenant, action.id),
        before=before,
        after=after,
        pruned=pruned,
        undos=tuple(a for a in undos if a.origin in COMPENSATIONS),
        others=await _others(services, action),
        approval=approval,
        ignore=rules[0] if rules else (),
    )


async def _kept(services: Services, action: Action) -> tuple[Image | None, Image | None, str]:
    """An action's images, and which of them retention took, in sentences."""
    images: list[Image | None] = []
    gone = []
    for digest, name in ((action.before, "before-image"), (action.after, "after-image")):
        try:
            images.append(await stored_image(services, digest, f"Its {name}"))
        except Pruned as pruned:
            images.append(None)
            gone.append(f"{pruned}.")
    return images[0], images[1], " ".join(gone)


async def _others(services: Services, action: Action) -> tuple[Action, ...]:
    """What else the run did, the newest first, within a bound."""
    page = await services.ledger.history(HistoryQuery(tenant=action.tenant, run=action.run, limit=_PAGE))
    return tuple(a for a in page.actions if a.id != action.id and a.origin not in COMPENSATIONS)


async def explain(
    services: Services, tenant: str, action_id: str, audience: Audience = "internal"
) -> tuple[Sentence, ...]:
    """The correction trail of one action, for the inside or for a customer. Raises NotFound."""
    action = await find(services, tenant, action_id)
    facts = replace(await facts_of(services, action), audience=audience)
    if action.is_plan:
        return plan_trail(facts, await _steps(services, action))
    return trail(facts)


async def _steps(services: Services, plan: Action) -> dict[str, Facts]:
    """What is known of the steps of a plan that changed something, by their ids."""
    document = PlanDocument.from_document(plan.arguments)
    steps = by_step(document, plan, await services.ledger.steps(plan.tenant, plan.id))
    return {step: await facts_of(services, action) for step, action in steps.items()}


async def find(services: Services, tenant: str, action_id: str) -> Action:
    """An action by id, as people and models write it (`[takeback a7k2p]` is forgiven). Raises NotFound."""
    text = action_id.strip().strip("[]").removeprefix("takeback ").strip()
    return await services.ledger.action(tenant, text)
