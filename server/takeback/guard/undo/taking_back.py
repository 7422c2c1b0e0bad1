"""What agents and people ask for when they want something undone: at once where it is simple, else previewed first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from takeback.core.action import Action
from takeback.core.canonical import digest
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.run import Unwinding
from takeback.core.undo import Forecast
from takeback.core.vocabulary import Origin, Risk, Status, UndoOutcome
from takeback.core.wording import targets_of
from takeback.guard.services import Services
from takeback.guard.undo.manner import NotUndoable
from takeback.guard.undo.one import Step, already, carried_out, changes_back
from takeback.guard.undo.plan import Plan, plan
from takeback.guard.undo.selecting import PLAN, is_relative, known_before, own, remember, select, spelled
from takeback.guard.undo.unwinding import irreversible, listing, unwind
from takeback.ports import Caller, NotFound, UndoAnswer

_MOST_DEPENDENTS: Final = 200


async def take_back(
    services: Services, caller: Caller, *, what: str | None, reason: str, confirm: str | None
) -> UndoAnswer:
    """Take back what `what` means. A single exact step of low risk runs at once; anything else is previewed first."""
    if not reason.strip():
        return UndoAnswer("Not undone: a reason is required. Nothing was changed.", ok=False)
    selection, why = spelled(what), one_line(reason, LONGEST_REASON)
    try:
        if is_relative(selection):
            return await _several(services, caller, selection, why, confirm)
        action = await own(services, caller, selection)
        if action.is_plan:
            return await _several(services, caller, f"{PLAN}{action.id}", why, confirm)
        return await _one(services, caller, action, why, confirm)
    except NotFound as error:
        return UndoAnswer(f"Not undone: {error}. Nothing was changed.", ok=False)


async def _several(services: Services, caller: Caller, selection: str, reason: str, confirm: str | None) -> UndoAnswer:
    """A relative selection is resolved once: the same words mean the same actions until the run writes again."""
    known = await known_before(services, caller, selection)
    if known is None:
        actions = await select(services, caller, selection)
        confirm_by = _confirm(actions) if len(actions) > 1 else None
        known = await remember(services, caller, selection, actions, reason, confirm_by)
    if len(known.actions) == 1:
        action = await services.ledger.action(caller.tenant, known.actions[0])
        return await _one(services, caller, action, reason, confirm)
    if confirm is not None and confirm == known.confirm:
        return await unwind(services, caller, known, reason)
    return await _preview_of(services, caller, known, selection, stale=confirm is not None)


def _confirm(actions: Sequence[Action]) -> str:
    return digest([[action.id, action.version] for action in actions])[:12]


async def _preview_of(
    services: Services, caller: Caller, unwinding: Unwinding, selection: str, *, stale: bool
) -> UndoAnswer:
    actions = [await services.ledger.action(caller.tenant, one) for one in unwinding.actions]
    standing = [one for one in actions if one.in_force]
    if not standing:
        outcomes = {(one.outcome or {}).get("outcome") for one in actions}
        outcome = UndoOutcome.EXACT if outcomes == {UndoOutcome.EXACT.value} else UndoOutcome.COMPENSATED
        return UndoAnswer(
            f"{selection} was already undone: {', '.join(one.id for one in actions[:20])}; nothing more is needed. "
            "To take back something else, name its id.",
            ok=True,
            outcome=outcome.value,
        )
    lost = irreversible(standing)
    warned = f" {len(lost)} of them cannot be taken back: {', '.join(one.id for one in lost[:20])}." if lost else ""
    lead = "That is not what the preview showed. " if stale else ""
    lines = [
        f"{lead}Preview, nothing was changed yet: {len(standing)} changes would be taken back, newest first.{warned}",
        *listing(services, caller, standing),
        _go_on("To go on", selection, unwinding.confirm),
    ]
    return UndoAnswer("\n".join(lines), ok=True, action=unwinding.id, confirm=unwinding.confirm)


async def _one(services: Services, caller: Caller, action: Action, reason: str, confirm: str | None) -> UndoAnswer:
    if action.origin is Origin.REDO:
        action = await _root(services, action)
    if action.status is Status.COMPENSATED:
        return _answer(action, already(action))
    if (cascade := await _confirmed_cascade(services, caller, action.id, confirm)) is not None:
        return await unwind(services, caller, cascade, reason)
    try:
        found = await plan(services, action, reason)
    except NotUndoable as error:
        text = f"Not undone: {error}. Nothing was changed."
        return UndoAnswer(text, ok=False, action=action.id, outcome=UndoOutcome.REFUSED.value)
    if found.dependents:
        return await _cascade(services, caller, found, reason)
    if not (found.standoff.conflicts or found.nothing_to_do or at_once(found)) and confirm != found.confirm:
        return _preview(found, stale=confirm is not None)
    return _answer(action, await carried_out(services, caller, found, reason))


async def _root(services: Services, redo: Action) -> Action:
    """What a redo made stand again: taking the redo back means taking that back."""
    undo = await services.ledger.action(redo.tenant, redo.original or "")
    return await services.ledger.action(redo.tenant, undo.original or "")


def _answer(action: Action, step: Step) -> UndoAnswer:
    return UndoAnswer(
        step.text,
        ok=step.outcome in {UndoOutcome.EXACT, UndoOutcome.COMPENSATED},
        action=action.id,
        outcome=step.outcome.value if step.outcome is not None else None,
    )


def at_once(found: Plan) -> bool:
    """A single, exact step of low risk needs no preview."""
    forecast = (found.action.forecast or {}).get("outcome")
    exact = forecast == UndoOutcome.EXACT.value and bool(found.remedy.expected) and not found.corrects
    residue = found.remedy.residue or found.standoff.unwritable
    return exact and not residue and len(found.remedy.steps) == 1 and found.action.risk is Risk.LOW


def _go_on(lead: str, what: str, confirm: str | None) -> str:
    return f'{lead}, call takeback_undo again with what="{what}", the same reason and confirm="{confirm}".'


def _preview(found: Plan, *, stale: bool) -> UndoAnswer:
    steps = "; ".join(f"{step.tool}({', '.join([*step.arguments, *step.late])})" for step in found.remedy.steps)
    forecast = found.action.forecast or Forecast(UndoOutcome.REFUSED, "impossible").document()
    kind = "correct" if found.corrects else "redo" if found.action.origin is Origin.UNDO else "undo"
    lead = "The state has changed since the preview. " if stale else ""
    residue = f"; left over: {', '.join(found.remedy.residue)}" if found.remedy.residue else ""
    text = (
        f"{lead}Preview, nothing was changed yet: to {kind} {found.action.id} on {targets_of(found.place.targets)} "
        f"I would call {steps}; expected: {forecast['text']}{residue}"
        f"{' (' + changes_back(found) + ')' if found.standoff.restore else ''}. "
        f"{_go_on('To go on', found.action.id, found.confirm)}"
    )
    return UndoAnswer(text, ok=True, action=found.action.id, confirm=found.confirm)


# --- what rests on an action goes back with it, or it stays ---


async def _cascade(services: Services, caller: Caller, found: Plan, reason: str) -> UndoAnswer:
    """Taking it back alone would pull the ground from under others: all of them together are offered instead."""
    actions = await _closure(services, found, reason)
    foreign = [one for one in actions if one.run != found.action.run and not caller.person]
    resting = ", ".join(one.id for one in found.dependents[:5])
    if foreign or len(actions) > _MOST_DEPENDENTS:
        why = f"{resting} rests on {found.action.id} and is in force"
        text = f"Not undone: {why}; a person must decide. Nothing was changed."
        return UndoAnswer(text, ok=False, action=found.action.id, outcome=UndoOutcome.REFUSED.value)
    stored = await remember(services, caller, found.action.id, actions, reason, _confirm(actions))
    lost = irreversible(actions)
    warned = f" {', '.join(one.id for one in lost)} cannot be taken back." if lost else ""
    lines = [
        f"Not undone alone: {resting} rests on {found.action.id} and is in force. Nothing was changed.{warned}",
        "Together, newest first, these would be taken back:",
        *listing(services, caller, actions),
        _go_on("To take all of them back", found.action.id, stored.confirm),
    ]
    return UndoAnswer(
        "\n".join(lines), ok=False, action=found.action.id, outcome=UndoOutcome.REFUSED.value, confirm=stored.confirm
    )


async def _closure(services: Services, found: Plan, reason: str) -> list[Action]:
    """The action and all that rests on it, directly or through others, newest first."""
    known = {found.action.id: found.action}
    wave = list(found.dependents)
    while wave and len(known) <= _MOST_DEPENDENTS:
        one = wave.pop()
        if one.id in known:
            continue
        known[one.id] = one
        try:
            wave += (await plan(services, one, reason)).dependents
        except NotUndoable:
            continue  # it is named in the preview, and will keep what it rests on
    return sorted(known.values(), key=lambda one: (one.created_at, one.id), reverse=True)


async def _confirmed_cascade(
    services: Services, caller: Caller, action_id: str, confirm: str | None
) -> Unwinding | None:
    if confirm is None:
        return None
    found = await services.ledger.unwindings(caller.tenant, caller.run, what=action_id, limit=5)
    return next((one for one in found if one.confirm == confirm), None)
