"""One action taken back: planned, judged, carried out, and told in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from takeback.core.action import Action
from takeback.core.images import Difference
from takeback.core.phrases import LONGEST_REASON, quoted
from takeback.core.queue import EVERY_CAUSE, Cause, QueueDecision
from takeback.core.states import VOID, Happening
from takeback.core.undo import Outcome
from takeback.core.vocabulary import Origin, Status, UndoOutcome
from takeback.core.wording import changes, targets_of
from takeback.guard.recording import next_fact, recovery_item, settled
from takeback.guard.replies import Reply
from takeback.guard.services import Services
from takeback.guard.undo import undoing
from takeback.guard.undo.manner import NotUndoable
from takeback.guard.undo.plan import ChangedNothing, Plan, conflict_text, plan
from takeback.guard.undo.redoing import stands_again
from takeback.ports import Caller, Change, Pruned

_WAITING: Final = frozenset({Status.AWAITING_APPROVAL, Status.APPROVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of one action. `gone`: it stands in the world no longer. `kept`: left because of what rests on it.

    `outcome` is None while a person must decide first, or thaw it (`frozen`). `unconditioned`: an edit of others in the
    instant of the write would not have been seen.
    """

    text: str
    outcome: UndoOutcome | None
    gone: bool = False
    kept: bool = False
    unconditioned: bool = False
    frozen: bool = False


async def undo_one(services: Services, caller: Caller, action_id: str, reason: str) -> Step:
    """Take one action back, unless something that rests on it stands. Asked again, it tells what was done."""
    try:
        action = await services.ledger.action(caller.tenant, action_id)
    except Pruned as gone:
        return Step(text=f"{action_id} not undone: {gone}. Nothing was changed.", outcome=UndoOutcome.REFUSED)
    if action.status is Status.COMPENSATED:
        return already(action)
    try:
        found = await plan(services, action, reason)
    except ChangedNothing as error:
        return await _back_already(services, caller, action, reason, str(error))
    except NotUndoable as error:
        return _refused(action, f"{error}")
    if resting := [one.id for one in found.dependents]:
        return Step(
            text=f"{action.id} kept: {', '.join(resting[:3])} rests on it and stands",
            outcome=UndoOutcome.REFUSED,
            kept=True,
        )
    return await carried_out(services, caller, found, reason)


def already(action: Action) -> Step:
    """It was taken back before."""
    outcome = (action.outcome or {}).get("outcome") or UndoOutcome.COMPENSATED.value
    how = f" as {action.compensated_by}" if action.compensated_by else ""
    text = f"{action.id} was already undone{how}; nothing more is needed."
    return Step(text=text, outcome=UndoOutcome(outcome), gone=True)


def _refused(action: Action, why: str) -> Step:
    return Step(text=f"{action.id} not undone: {why}. Nothing was changed.", outcome=UndoOutcome.REFUSED)


async def carried_out(services: Services, caller: Caller, found: Plan, reason: str) -> Step:
    """Do what was planned, if nobody's edit is in the way. A conflict goes to the recovery queue with both versions."""
    action = found.action
    if found.standoff.conflicts:
        if await _moved_on(services, action):
            return await undo_one(services, caller, action.id, reason)
        return await in_conflict(services, found)
    try:
        redone = await stands_again(services, action)
    except Pruned as gone:
        return _refused(action, str(gone))
    if found.nothing_to_do:
        why = f"{action.id}: everything already is as before it; nothing was changed"
        return await _back_already(services, caller, action, reason, why, redone)
    try:
        reply, done = await undoing.carry_out(services, caller, found, reason, redone)
    except NotUndoable as error:
        return _refused(action, str(error))
    return told(action, reply, done)


async def _moved_on(services: Services, action: Action) -> bool:
    """Whether another guard went on with the action while it was looked at: then what was seen may be its doing."""
    return (await services.ledger.action(action.tenant, action.id)).version != action.version


async def _back_already(
    services: Services, caller: Caller, action: Action, reason: str, why: str, redone: Action | None = None
) -> Step:
    """Nothing needs to be called: that the action stands no longer is written down, with who asked and why."""
    actor = f"undo for {caller.principal}"
    began = next_fact(services, action, Happening.COMPENSATE, actor=actor, detail=reason)
    outcome = Outcome(UndoOutcome.EXACT, why, unconditioned=False, evidence={"by": caller.principal}).document()
    ended = next_fact(services, began[1], Happening.RESTORE, actor=actor, detail=why, in_force=False, outcome=outcome)
    facts = [began, ended]
    if redone is not None:
        facts.append(next_fact(services, redone, Happening.REDO, actor=actor, detail=why, in_force=True, outcome=None))
    over = settled(services, action, EVERY_CAUSE, why, by=caller.principal, decision=QueueDecision.COMPENSATE)
    await services.ledger.commit(Change(actions=tuple(facts), settled=(over,), tenant=action.tenant))
    return Step(text=f"{why}.", outcome=UndoOutcome.EXACT, gone=True)


async def in_conflict(services: Services, found: Plan) -> Step:
    """Nothing is written; both versions of each field wait for a person."""
    action = found.action
    foreign = any(not conflict.why for conflict in found.standoff.conflicts)
    lead = "was changed by others since" if foreign else "is not safely to be put back"
    why = f"{lead}: {conflict_text(found.standoff)}"
    item = recovery_item(services, action, f"an undo found that it {why}", Cause.CONFLICT)
    await services.ledger.commit(Change(queue=(item,), tenant=action.tenant))
    known = await services.ledger.items_of(action.tenant, action.id)
    named = next((one.id for one in known if one.cause is Cause.CONFLICT), item.id)
    text = f"Not undone: {targets_of(action.targets)} {why}. Nothing was changed; a person must decide "
    return Step(text=f"{text}({named} in the recovery queue).", outcome=UndoOutcome.REFUSED)


def told(action: Action, reply: Reply, done: undoing.Undoing) -> Step:
    """What a compensation came to."""
    undo, outcome = reply.action, done.outcome
    if undo is not None and undo.status is Status.SUCCEEDED and outcome is None:
        stored = undo.outcome or {}
        text = f"{action.id} was already undone as {undo.id}: {stored.get('text', 'it could not be read back')}."
        return Step(text=text, outcome=UndoOutcome(stored.get("outcome", UndoOutcome.COMPENSATED.value)), gone=True)
    if undo is None or undo.status is not Status.SUCCEEDED or outcome is None:
        text = _failed(reply)
        if not done.first:
            text = f"Undone in part only: an earlier step of {action.id} was carried out, this one was not. {text}"
        frozen = reply.frozen is not None
        return Step(text=text, outcome=None if frozen else _unfinished(undo, done), frozen=frozen)
    bare = outcome.unconditioned and not done.plan.corrects
    return Step(text=_success(undo, done), outcome=outcome.outcome, gone=True, unconditioned=bare)


def _success(undo: Action, done: undoing.Undoing) -> str:
    outcome, target = done.outcome, targets_of(done.plan.place.targets)
    assert outcome is not None
    if done.plan.corrects:
        return f"[takeback {undo.id}] Corrected, not undone: {target}; {outcome.text}."
    redo = undo.origin is Origin.REDO
    if outcome.outcome is UndoOutcome.EXACT:
        text = f"[takeback {undo.id}] {'Redone' if redo else 'Undone'}, exactly: {target}: {outcome.text}, read back."
    else:
        text = f"[takeback {undo.id}] {'Redone, not exactly' if redo else 'Compensated'}: {target}: {outcome.text}."
    if done.redone is not None:
        text += f" {done.redone.id} stands again."
    if done.moved:
        text += f" It has a new id: {quoted(done.moved['to'], LONGEST_REASON)}."
    if outcome.unconditioned:
        text += " (The write was unconditioned: an edit by others in the same instant would not have been seen.)"
    return text


def _unfinished(undo: Action | None, done: undoing.Undoing) -> UndoOutcome | None:
    """What an undo that did not succeed came to. One that waits for a person has come to nothing yet."""
    if undo is not None and undo.status in _WAITING:
        return None
    without_effect = undo is None or undo.status in VOID or (undo.status is Status.FAILED and not undo.in_force)
    return UndoOutcome.REFUSED if without_effect and done.first else UndoOutcome.FAILED


def _failed(reply: Reply) -> str:
    """Why a step of an undo did not succeed: our own word, and what the tool said, marked as its own."""
    texts = [block["text"] for block in (reply.result or {}).get("content") or () if isinstance(block.get("text"), str)]
    if not texts:
        return f"The tool refused: {quoted(str(reply.answered), LONGEST_REASON)}."
    *theirs, ours = texts
    return f"{ours} It said: {quoted(' '.join(theirs), LONGEST_REASON)}." if theirs else ours


def changes_back(found: Plan) -> str:
    """What would go back, field by field."""
    return changes([Difference(d.field, d.after, d.before) for d in found.standoff.restore])
