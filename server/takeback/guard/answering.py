"""Answers that need no execution: a replay, a refusal, a run that is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from takeback.core import wording
from takeback.core.action import Action
from takeback.core.images import differences
from takeback.core.jsontext import loads
from takeback.core.operation import Refuse, Tombstone
from takeback.core.queue import Cause
from takeback.core.vocabulary import RetryLayer
from takeback.core.wording import (
    beyond_comparing,
    changed_meanwhile,
    mismatch,
    refused,
    replayed,
    took_effect,
    undone_by,
)
from takeback.guard.judging import current_image, image_or_none, newest_undo, undone_by_whom
from takeback.guard.recording import settled
from takeback.guard.replies import Reply, own_result, own_word
from takeback.guard.services import Services, Work
from takeback.ports import Change, NotFound, Standing


async def replay(services: Services, action: Action) -> Reply:
    """The recorded result of an action, marked as replayed."""
    await _told_at_last(services, action)
    if action.result is None:
        image = await image_or_none(services, action.after)
        state = image.variable() if image is not None else None
        return own_word(f"{replayed(action)} {took_effect(action, state, lost=False)}", action, layer=RetryLayer.MODEL)
    try:
        result: Mapping[str, Any] = loads(await services.ledger.image(action.result))
    except NotFound:
        text = f"{replayed(action)} What it returned then was pruned by retention. [takeback {action.id}]"
        return own_word(text, action, layer=RetryLayer.MODEL)
    return own_result(result, action, line=None, lead=replayed(action))


async def _told_at_last(services: Services, action: Action) -> None:
    """Somebody asks for what had come when nobody waited for it: the recovery queue is rid of it."""
    if any(one.cause is Cause.LATE for one in await services.ledger.items_of(action.tenant, action.id)):
        told = settled(services, action, frozenset({Cause.LATE}), "its caller asked again and was told")
        await services.ledger.commit(Change(settled=(told,), tenant=action.tenant))


async def refuse(services: Services, work: Work, refusal: Refuse) -> Reply:
    """Why an earlier action stands in the way of this call."""
    action = refusal.action
    match refusal.why:
        case "mismatch":
            text = mismatch(action)
        case "undone_by_other":
            undo, who = await newest_undo(services, action), await undone_by_whom(services, action)
            text = undone_by(action, who or "a person", undo.reason if undo else None)
        case "changed_meanwhile":
            left, now = await image_or_none(services, action.after), await current_image(services, work)
            text = changed_meanwhile(action, differences(left, now, ignore=work.ignore) if left is not None else ())
        case "expired":
            text = beyond_comparing(action)
        case "other_arguments" | "occupied":
            text = refused(f"{action.id} stands in the way ({refusal.why})", "Tell the user.")
    return own_word(text, action, layer=RetryLayer.HUMAN)


def expired(tombstone: Tombstone) -> Reply:
    """The call was made before, and nothing but a tombstone is left of that."""
    return own_word(wording.expired(tombstone), layer=RetryLayer.HUMAN)


def run_stopped(standing: Standing) -> str:
    """A run that is closed or paused takes no writes."""
    state = standing.run_status.value if standing.run_status else "closed"
    return refused(f"this run is {state}", "A person must look at it first; tell the user.")


def other_arguments(known: Action, work: Work) -> Reply:
    """A client's key that was used for something else; both fingerprints are named."""
    text = refused(
        f"the idempotency key {work.client_key!r} was used for {known.id} with other arguments "
        f"(fingerprint {known.fingerprint[:12]} then, {work.fingerprint[:12]} now)",
        "Use a new key for a new operation.",
    )
    return own_word(text, layer=RetryLayer.MODEL)
