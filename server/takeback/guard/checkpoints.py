"""Checkpoints: safe pauses of a run, with what was done and last verified by then, and what it takes to go on.

Every verified write is one by itself, by its id (`safe_points`). One that is named also keeps the agent's own bounded
notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from takeback.core.action import Action
from takeback.core.images import Difference, differences
from takeback.core.jsontext import JSON, dumps
from takeback.core.phrases import LONGEST_REASON, one_line, quoted, with_the_rest
from takeback.core.policy.decide import target_variables
from takeback.core.run import Checkpoint
from takeback.core.tracing import traced
from takeback.core.wording import changes, refused, targets_of
from takeback.guard.judging import image_or_none
from takeback.guard.reading import take_image
from takeback.guard.runs import opened
from takeback.guard.safe_points import Notes, after_write, after_writes, body, stand
from takeback.guard.services import Services
from takeback.guard.undo.manner import rule_fields
from takeback.guard.undo.moved import whereabouts
from takeback.guard.undo.plan import readings_of
from takeback.ports import Caller, Change, NotFound

LONGEST_STATE: Final = 16_384
"""Bytes of an agent's own state that a checkpoint keeps, as JSON."""

MOST_LISTED: Final = 200
"""Elements of one of its lists, the newest ones, that a checkpoint's document holds."""

_NAMED: Final = 20
_PAGE: Final = 50


class TooMuch(ValueError):
    """What is to be kept is too large; the message says by how much. Nothing was kept."""


async def make(services: Services, caller: Caller, notes: Notes) -> Checkpoint:
    """Keep a checkpoint of the run as it stands.

    Raises:
        TooMuch: the agent's state is larger than is kept.
        LedgerFailure: it could not be kept.
    """
    size = len(dumps(notes.state))
    if size > LONGEST_STATE:
        raise TooMuch(f"the state has {size} bytes; a checkpoint keeps {LONGEST_STATE}")
    await opened(services, caller)
    checkpoint = Checkpoint(
        id=services.ids.new("c"),
        tenant=caller.tenant,
        run=caller.run,
        name=notes.name,
        at=services.clock.now(),
        body=body(services, notes, caller.trace, await stand(services, caller.tenant, caller.run)),
    )
    await services.ledger.commit(Change(checkpoints=(checkpoint,), tenant=caller.tenant))
    return checkpoint


# --- going on ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A target that is not any more as it was last verified, or cannot be seen."""

    action: str
    target: str
    differing: tuple[Difference, ...] = ()
    why: str = ""

    @property
    def line(self) -> str:
        """For people and models."""
        return f"{self.target} (last verified by {self.action}): {self.why or changes(self.differing)}"


async def find(services: Services, tenant: str, run: str, point: str) -> Checkpoint:
    """A checkpoint by id, or the newest of that name; or that which a verified write is, by its id. Raises NotFound."""
    for checkpoint in await services.ledger.checkpoints(tenant, run):
        if point in {checkpoint.id, checkpoint.name} and not _of_a_plan(checkpoint):
            return checkpoint
    try:
        return await after_write(services, tenant, run, point)
    except NotFound:
        raise NotFound(f"run {run} has no checkpoint {quoted(point, LONGEST_REASON)}") from None


def _of_a_plan(checkpoint: Checkpoint) -> bool:
    """Whether it is a plan's own, which goes on by itself."""
    return isinstance(checkpoint.body, Mapping) and "plan" in checkpoint.body


async def of_run(services: Services, tenant: str, run: str) -> list[Checkpoint]:
    """A run's checkpoints, newest first: the named ones, and its newest verified writes. Those of plans are theirs."""
    named = [one for one in await services.ledger.checkpoints(tenant, run) if not _of_a_plan(one)]
    return sorted([*named, *await after_writes(services, tenant, run)], key=lambda one: one.at, reverse=True)


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a run's checkpoints, newest first. `last` is the id by which the next page is asked for, if any."""

    checkpoints: tuple[Checkpoint, ...]
    last: str | None = None


async def own_page(services: Services, caller: Caller, after: str | None = None) -> Listed:
    """A page of the checkpoints of the caller's run, from the one that follows `after`. Raises NotFound."""
    before = await own(services, caller, after) if after is not None else None
    found = await services.ledger.named_checkpoints(caller.tenant, caller.run, before=before, limit=_PAGE + 1)
    return Listed(tuple(found[:_PAGE]), found[_PAGE - 1].id if len(found) > _PAGE else None)


async def own(services: Services, caller: Caller, checkpoint_id: str) -> Checkpoint:
    """A checkpoint of the caller's own run, by its id, which may be a verified write's. Raises NotFound."""
    try:
        found = await services.ledger.checkpoint(caller.tenant, checkpoint_id)
    except NotFound:
        with suppress(NotFound):
            return await after_write(services, caller.tenant, caller.run, checkpoint_id)
        raise
    if found.run != caller.run or _of_a_plan(found):
        raise NotFound(f"there is no checkpoint {checkpoint_id}")
    return found


async def staleness(services: Services, checkpoint: Checkpoint) -> list[Stale]:
    """The targets that do not hold any more what was last verified by then. Nothing is written."""
    found = []
    for entry in (checkpoint.body or {}).get("verified") or ():
        action = await services.ledger.action(checkpoint.tenant, entry["action"])
        if (one := await _stale(services, action)) is not None:
            found.append(one)
    return found


async def _stale(services: Services, action: Action) -> Stale | None:
    place = await whereabouts(services, action)
    known = Stale(action=action.id, target=targets_of(place.targets))
    if not action.in_force:
        return replace(known, why=f"{action.id} is {action.status.value}")
    left = place.image(await image_or_none(services, action.after))
    readings = readings_of(place)
    if left is None or not readings:
        return replace(known, why="it cannot be compared: nothing of it is kept, or there is no way to read it")
    ignore, redact = rule_fields(services, action)
    variables = {"args": place.renamed(action.arguments), **target_variables(place.targets)}
    now = services.stored_image(await take_image(services, readings, variables), redact)
    if not now.readable:
        return replace(known, why="it cannot be read now")
    differing = differences(left, now, ignore=ignore)
    return replace(known, differing=tuple(differing)) if differing else None


async def resume(services: Services, caller: Caller, point: str) -> tuple[str, bool]:
    """What whoever goes on from a checkpoint is told, and whether they may: not where a target has changed since.

    Raises:
        NotFound: the run has no such checkpoint.
    """
    checkpoint = await find(services, caller.tenant, caller.run, point)
    if stale := await staleness(services, checkpoint):
        what = with_the_rest([f"- {one.line}" for one in stale[:_NAMED]], len(stale) - _NAMED)
        lead = refused(
            f"checkpoint {checkpoint.name} ({checkpoint.id}) is stale: {len(stale)} of its targets changed since",
            "Look at them anew, and make another checkpoint.",
        )
        return "\n".join([lead, *what]), False
    return told(checkpoint), True


def document(checkpoint: Checkpoint) -> JSON:
    """A checkpoint for programs, within bounds: of long lists the newest, and how many are left out."""
    body = checkpoint.body or {}
    kept = {name: list(body.get(name) or ()) for name in ("completed", "pending", "approvals", "waits_for", "verified")}
    return {
        "id": checkpoint.id,
        "name": checkpoint.name,
        "run": checkpoint.run,
        "at": checkpoint.at.isoformat(),
        **{name: body.get(name) for name in ("summary", "recovery", "state", "next", "trace", "trace_link")},
        **{name: found[-MOST_LISTED:] for name, found in kept.items()},
        "last_verified": max((entry["at"] for entry in kept["verified"]), default=None),
        "left_out": {name: len(found) - MOST_LISTED for name, found in kept.items() if len(found) > MOST_LISTED},
        "newest_actions_only": bool(body.get("left_out")),
    }


def told(checkpoint: Checkpoint) -> str:
    """A checkpoint in words."""
    body = checkpoint.body or {}
    when = f"{checkpoint.at:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        f"Checkpoint {checkpoint.name} ({checkpoint.id}) of {when}: {body.get('summary')}",
        f"Done by then: {', '.join(body.get('completed') or ()) or 'nothing'}.",
    ]
    if body.get("pending"):
        lines.append(f"Not settled then: {', '.join(body['pending'])}.")
    if body.get("waits_for"):
        lines.append(f"Waiting for a person then: {', '.join(body['waits_for'])}.")
    if body.get("next"):
        lines.append("Next: " + "; ".join(one_line(str(one), LONGEST_REASON) for one in body["next"]) + ".")
    if body.get("state") is not None:
        lines.append(f"State: {dumps(body['state']).decode()}")
    if body.get("trace"):
        lines.append(f"Trace: {traced(body['trace'], body.get('trace_link'))}.")
    return "\n".join([*lines, f"To take back what came after it: {(body.get('recovery') or {}).get('instructions')}."])
