"""What a checkpoint holds, and the checkpoints that nobody asked for: each verified write is one.

Those are told from the ledger whenever somebody asks, by the action's id, and stored nowhere: the commit that recorded
the verification is all that there is to keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from takeback.core.action import Action
from takeback.core.jsontext import JSON
from takeback.core.run import Approval, ApprovalStatus, Checkpoint
from takeback.core.states import UNSETTLED
from takeback.core.vocabulary import COMPENSATIONS, Verified
from takeback.core.wording import targets_of
from takeback.guard.accounting import actions_of
from takeback.guard.services import Services
from takeback.ports import NotFound

MOST_TARGETS: Final = 200
"""Targets that are looked at when a run goes on from a checkpoint."""

MOST_WRITES: Final = 20
"""Verified writes, the newest ones, that are listed as checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What an agent leaves for whoever goes on: a summary for the user, its own state, and what it meant to do next."""

    name: str
    summary: str
    state: JSON = None
    next: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where a run stands, or stood. `done` and `pending` are oldest first; `left_out`: there were more before them."""

    done: Sequence[Action]
    pending: Sequence[Action]
    approvals: Sequence[Approval]
    left_out: bool = False


async def stand(services: Services, tenant: str, run: str) -> Stand:
    """Where a run stands now. Raises LedgerFailure."""
    actions, left_out = await actions_of(services, tenant, run)
    pending = [one for one in actions if one.status in UNSETTLED]
    approvals = [one for one in await services.ledger.approvals(tenant) if one.run == run]
    return Stand(done=actions, pending=pending, approvals=approvals, left_out=left_out)


def body(services: Services, notes: Notes, trace: str | None, here: Stand, point: Action | None = None) -> JSON:
    """What a checkpoint holds. `point` is the verified write that it is about, if it is about one."""
    return {
        "completed": [one.id for one in here.done if one.in_force and one.origin not in COMPENSATIONS],
        "pending": [one.id for one in here.pending],
        "approvals": [{"id": one.id, "status": one.status.value} for one in here.approvals],
        "waits_for": [one.id for one in here.approvals if one.status is ApprovalStatus.PENDING],
        "verified": [
            {"action": one.id, "target": targets_of(one.targets), "after": one.after, "at": one.updated_at.isoformat()}
            for one in _last_verified(here.done, point)
        ],
        "recovery": {"mode": "undo", "instructions": f'takeback_undo with what="since {notes.name}"'},
        **services.policy.traces.beside(trace),
        "summary": notes.summary,
        "state": notes.state,
        "next": list(notes.next),
        "left_out": here.left_out,
    }


def _last_verified(actions: Sequence[Action], point: Action | None) -> list[Action]:
    """By target, the newest action in force that was read back; oldest first. `point` is named, in force or not."""
    newest: dict[str, Action] = {}
    for one in actions:
        if _is_verified(one) and (one.in_force or one is point):
            newest |= dict.fromkeys((target.lease_name for target in one.targets), one)
    found = {one.id: one for one in newest.values()}
    return list(found.values())[-MOST_TARGETS:]


def _is_verified(action: Action) -> bool:
    return action.verified is Verified.YES and bool(action.after) and not action.is_plan


# --- those that nobody asked for ---


async def after_write(services: Services, tenant: str, run: str, action_id: str) -> Checkpoint:
    """The checkpoint that a verified write of the run is. Raises NotFound."""
    here = await stand(services, tenant, run)
    for one in here.done:
        if one.id == action_id and _is_verified(one):
            return _checkpoint(services, one, here)
    raise NotFound(f"run {run} has no verified write {action_id}")


async def after_writes(services: Services, tenant: str, run: str) -> list[Checkpoint]:
    """The newest verified writes of a run that stand, as checkpoints, newest first."""
    here = await stand(services, tenant, run)
    stands = [one for one in reversed(here.done) if one.in_force and one.origin not in COMPENSATIONS]
    newest = [one for one in stands if _is_verified(one)][:MOST_WRITES]
    return [_checkpoint(services, one, here) for one in newest]


def _checkpoint(services: Services, action: Action, here: Stand) -> Checkpoint:
    at = action.ended_at
    notes = Notes(name=action.id, summary=f"{action.name} {targets_of(action.targets)} was read back as expected.")
    then = Stand(
        done=[one for one in here.done if one.status not in UNSETTLED and one.ended_at <= at],
        pending=[one for one in here.done if one.created_at <= at and (one.status in UNSETTLED or one.ended_at > at)],
        approvals=[one for one in here.approvals if one.requested_at <= at],
        left_out=here.left_out,
    )
    return Checkpoint(
        id=action.id,
        tenant=action.tenant,
        run=action.run,
        name=action.id,
        at=at,
        action=action.id,
        body=body(services, notes, action.trace, then, action),
    )
