"""What the ledger says about a call: the core judges, this part fetches what it needs to know."""

from __future__ import annotations

from takeback.core.action import Action
from takeback.core.images import Image
from takeback.core.jsontext import loads
from takeback.core.operation import Compare, Go, Refuse, Replay, Verdict, judge, judge_current
from takeback.core.undo import changed
from takeback.core.vocabulary import COMPENSATIONS, Origin, Status
from takeback.guard.reading import take_image
from takeback.guard.services import Services, Work
from takeback.ports import NotFound, Pruned, Standing


async def judge_call(services: Services, work: Work, standing: Standing) -> Verdict:
    """The verdict of the table on this call, with what later actions and undos make of it."""
    earlier = standing.earlier
    later: tuple[Action, ...] = ()
    undone: str | None = None
    if earlier is not None and (verdict := _for_good(work, earlier)) is not None:
        return verdict
    if earlier is not None and earlier.status is Status.SUCCEEDED:
        own = {work.caller.run, earlier.run}
        found = await services.ledger.later_writes(earlier)
        later = tuple(a for a in found if a.run in own and ran_after(a, earlier))
    if earlier is not None and earlier.status is Status.COMPENSATED:
        undone = await undone_by_whom(services, earlier)
    verdict = judge(
        earlier,
        newest_generation=standing.newest_generation,
        later=later,
        own_principals=frozenset({work.caller.principal}),
        undone_by=undone,
        tombstone=standing.tombstone,
    )
    rule = work.decision.rule
    if work.side_by_side and rule is not None and rule.duplicates != "retry" and isinstance(verdict, Replay | Compare):
        return Go(standing.newest_generation + 1)
    return verdict


def _for_good(work: Work, earlier: Action) -> Verdict | None:
    """A client's key, a step of a plan and an undo each name one thing: it is done, whatever was written since.

    Where it was taken back, only the undo may be meant anew.
    """
    once = work.client_key is not None or work.origin is Origin.PLAN
    if earlier.status is Status.SUCCEEDED and (once or work.origin in COMPENSATIONS):
        return Replay(earlier)
    return Refuse(earlier, "undone_by_other") if once and earlier.status is Status.COMPENSATED else None


def ran_after(action: Action, earlier: Action) -> bool:
    """Whether an action was sent after another one; one that was begun first may have waited for a person."""
    return action.sent_at is None or earlier.sent_at is None or action.sent_at > earlier.sent_at


async def undone_by_whom(services: Services, action: Action) -> str | None:
    """Who took an action back last; also where that needed no call, because it was back already."""
    undo = await newest_undo(services, action)
    return (action.outcome or {}).get("by") or (undo.principal if undo is not None else None)


async def newest_undo(services: Services, action: Action) -> Action | None:
    """The newest undo of an action."""
    undos = [a for a in await services.ledger.compensations(action.tenant, action.id) if a.origin is Origin.UNDO]
    return undos[-1] if undos else None


async def compare(services: Services, work: Work, action: Action) -> Verdict:
    """Judge a `set` in force by whether the target still is as the action left it."""
    try:
        left = await stored_image(services, action.after) if work.readings else None
    except Pruned:
        return Refuse(action, "expired")
    if left is None:
        return Replay(action)
    current = await current_image(services, work)
    if not current.readable:
        return Replay(action)
    as_left = not changed(left, current, declared=action.fields, ignore=work.ignore)
    return judge_current(action, as_left=as_left)


async def current_image(services: Services, work: Work) -> Image:
    """The targets as they are now, as they would be stored."""
    image = await take_image(services, work.readings, work.variables)
    return services.stored_image(image, work.redact)


async def stored_image(services: Services, digest: str | None, what: str = "an image") -> Image | None:
    """An image from the ledger. Raises Pruned where retention took it; `what` it is, for that sentence."""
    if digest is None:
        return None
    try:
        return Image.from_document(loads(await services.ledger.image(digest)))
    except NotFound as error:  # what an action refers to was there: nothing but retention removes it
        at = error.at if isinstance(error, Pruned) else None
        raise Pruned(f"{what} was pruned{f' on {at:%Y-%m-%d}' if at else ''} by retention", at) from None


async def image_or_none(services: Services, digest: str | None) -> Image | None:
    """An image from the ledger; None also where retention took it."""
    try:
        return await stored_image(services, digest)
    except Pruned:
        return None
