"""The use cases behind every face: what agents may ask for, and what people may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from takeback.core.action import Action
from takeback.core.images import Difference
from takeback.core.phrases import LONGEST_REASON, one_line, quoted
from takeback.core.redaction import is_redacted
from takeback.core.run import Approval, RecoveryItem, Run
from takeback.core.states import VOID
from takeback.core.trail import Sentence, as_text
from takeback.core.undo import Forecast
from takeback.core.vocabulary import Origin, RetryLayer, Risk, Status, UndoOutcome
from takeback.core.wording import changes, refused, targets_of
from takeback.guard import approving, history, undo_plan, undoing
from takeback.guard.calling import CallRequest, call
from takeback.guard.offers import Offers
from takeback.guard.replies import Reply, own_word
from takeback.guard.services import Services
from takeback.ports import Caller, HistoryQuery, NotFound, Page, UndoAnswer

_LATER = ("run", "checkpoint", "last ")
_SETTLED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.COMPENSATED, Status.DENIED, Status.CANCELLED})


class UseCases:
    """Everything that can be asked of the guard. Faces translate; they decide nothing."""

    def __init__(self, services: Services, offers: Offers | None = None) -> None:
        self.services = services
        self.offers = offers or Offers(services.catalog)

    async def _for(self, caller: Caller) -> UseCases:
        """The same, with the upstreams as the caller's client meets them."""
        if caller.downstream is None:
            return self
        catalog = await self.offers.behind(caller.downstream)
        return UseCases(replace(self.services, catalog=catalog), self.offers)

    # --- calls ---

    async def call(self, request: CallRequest) -> Reply:
        """Guard one call. Raises LedgerFailure when the ledger is out of reach (nothing was sent)."""
        return await call((await self._for(request.caller)).services, request)

    # --- what agents may ask for ---

    async def history(
        self, caller: Caller, *, text: str | None, action: str | None, needs_attention: bool, cursor: str | None
    ) -> str:
        """Twenty lines at a time, newest first; the correction trail for one action. Raises NotFound."""
        if action is not None:
            found = await self._own(caller, action)
            return as_text(await history.explain(self.services, caller.tenant, found.id))
        query = HistoryQuery(
            tenant=caller.tenant, run=caller.run, text=text, needs_attention=needs_attention, cursor=cursor
        )
        page = await self.services.ledger.history(query)
        lines = [history.line(found) for found in page.actions]
        if needs_attention:
            items = await self.services.ledger.queue(caller.tenant)
            lines += [history.queue_line(item) for item in items if item.run == caller.run]
        if page.cursor:
            lines.append(f'More: call again with cursor "{page.cursor}".')
        return "\n".join(lines) or "Nothing yet: this run has made no change."

    async def undo(self, caller: Caller, *, what: str | None, reason: str, confirm: str | None) -> UndoAnswer:
        """Take back one action. A single exact step of low risk runs at once; anything else is previewed first."""
        if not reason.strip():
            return UndoAnswer("Not undone: a reason is required. Nothing was changed.", ok=False)
        if what is not None and what.strip().lower().startswith(_LATER):
            return UndoAnswer("Not undone: this version undoes one action at a time; name its id.", ok=False)
        try:
            action = await self._selected(caller, what)
        except NotFound as error:
            return UndoAnswer(f"Not undone: {error}. Nothing was changed.", ok=False)
        if action.status is Status.COMPENSATED:
            text = f"{action.id} was already undone as {action.compensated_by}; nothing more is needed."
            return UndoAnswer(text, ok=True, action=action.id, outcome=(action.outcome or {}).get("outcome"))
        return await self._undo(caller, action, one_line(reason, LONGEST_REASON), confirm)

    async def _selected(self, caller: Caller, what: str | None) -> Action:
        if what is None or not what.strip():
            return await history.last_write(self.services, caller.tenant, caller.run)
        return await self._own(caller, what)

    async def _own(self, caller: Caller, action_id: str) -> Action:
        """An action in the caller's scope: the own run; a person's is the whole tenant. Raises NotFound."""
        action = await history.find(self.services, caller.tenant, action_id)
        if not caller.person and action.run != caller.run:
            raise NotFound(f"{action.id} belongs to another run; only a person can act on it")
        return action

    async def _undo(self, caller: Caller, action: Action, reason: str, confirm: str | None) -> UndoAnswer:
        services = (await self._for(caller)).services
        try:
            plan = await undo_plan.plan(services, action, reason)
            if plan.standoff.conflicts and not plan.by_difference:
                return _conflict(plan)
            if _nothing_to_do(plan):
                return UndoAnswer(f"{action.id}: everything already is as before it; nothing was changed.", ok=True)
            if not _at_once(plan) and confirm != plan.confirm:
                return _preview(plan, stale=confirm is not None)
            reply, done = await undoing.carry_out(services, caller, plan, reason)
        except undo_plan.NotUndoable as error:
            text = f"Not undone: {error}. Nothing was changed."
            return UndoAnswer(text, ok=False, action=action.id, outcome=UndoOutcome.REFUSED.value)
        return await self._undone(action, reply, done)

    async def _undone(self, action: Action, reply: Reply, done: undoing.Undoing) -> UndoAnswer:
        undo = reply.action
        if undo is not None and undo.status is Status.SUCCEEDED and done.outcome is None:
            return self._joined(action, undo)
        outcome = done.outcome
        if undo is None or undo.status is not Status.SUCCEEDED or outcome is None:
            text = _failed(reply)
            if not done.first:
                text = f"Undone in part only: an earlier step of {action.id} was carried out, this one was not. {text}"
            return UndoAnswer(text, ok=False, action=action.id, outcome=_unfinished(undo))
        target = targets_of(action.targets)
        if done.plan.corrects:
            text = f"[takeback {undo.id}] Corrected, not undone: {target}; {outcome.text}."
        elif outcome.outcome is UndoOutcome.EXACT:
            text = f"[takeback {undo.id}] Undone, exactly: {target}: {outcome.text}, read back."
        else:
            text = f"[takeback {undo.id}] Compensated: {target}: {outcome.text}."
        if outcome.unconditioned and not done.plan.corrects:
            text += " (The write was unconditioned: an edit by others in the same instant would not have been seen.)"
        return UndoAnswer(text, ok=True, action=action.id, outcome=outcome.outcome.value)

    @staticmethod
    def _joined(action: Action, undo: Action) -> UndoAnswer:
        """An equal undo was carried out beside this one."""
        outcome = undo.outcome or {}
        text = f"{action.id} was already undone as {undo.id}: {outcome.get('text', 'it could not be read back')}."
        return UndoAnswer(text, ok=True, action=action.id, outcome=outcome.get("outcome"))

    async def repeat(self, caller: Caller, *, action: str, reason: str) -> Mapping[str, Any]:
        """Create the successor of an action: do the same again on purpose. Returns a tool result. Raises NotFound."""
        if not reason.strip():
            return _word("a reason is required", "Say why it is meant again.")
        original = await self._own(caller, action)
        if original.status not in _SETTLED:
            return _word(
                f"{original.id} is {original.status.value}",
                "It must be settled before it can be repeated; tell the user.",
            )
        successor = await self.services.ledger.successor(caller.tenant, original.id)
        if successor is not None and (successor.in_force or successor.status is Status.COMPENSATED):
            return _word(
                f"{original.id} was repeated already as {successor.id} ({successor.status.value})",
                "To do it once more, repeat that one.",
                ok=True,
            )
        entry = (await self._for(caller)).services.catalog.named(original.name)
        if entry is None:
            return _word(f"the tool {original.name} is not there any more", "Tell the user.")
        if is_redacted(original.arguments):
            return _word(f"{original.id} had redacted arguments, which are not kept", "Make the call itself again.")
        request = CallRequest(
            caller=caller,
            name=entry.exposed,
            arguments=original.arguments,
            origin=Origin.REPEAT,
            original=original.id,
            reason=one_line(reason, LONGEST_REASON),
        )
        reply = await self.call(request)
        return reply.result or _word(str(reply.answered), "Tell the user.")

    # --- what only people may ask for ---

    async def decide_approval(
        self, tenant: str, approval_id: str, *, agree: bool, by: str, how: str, reason: str | None = None
    ) -> tuple[Action, Approval]:
        """Record a person's answer. Raises NotFound, NotDecidable."""
        return await approving.decide_approval(
            self.services, tenant, approval_id, agree=agree, by=by, how=how, reason=reason
        )

    async def explain(self, tenant: str, action_id: str) -> tuple[Sentence, ...]:
        """The correction trail of any action of the tenant. Raises NotFound."""
        return await history.explain(self.services, tenant, action_id)

    async def page(self, query: HistoryQuery) -> Page:
        """A page of actions."""
        return await self.services.ledger.history(query)

    async def approvals(self, tenant: str, *, pending_only: bool = True) -> Sequence[Approval]:
        """Approvals, oldest first."""
        return await self.services.ledger.approvals(tenant, pending_only=pending_only)

    async def queue(self, tenant: str) -> Sequence[RecoveryItem]:
        """What needs a look."""
        return await self.services.ledger.queue(tenant)

    async def runs(self, tenant: str) -> Sequence[Run]:
        """Runs, the most recently active first."""
        return await self.services.ledger.runs(tenant)


def _unfinished(undo: Action | None) -> str | None:
    """What an undo that did not succeed came to. One that waits for a person has come to nothing yet."""
    if undo is not None and undo.status in {Status.AWAITING_APPROVAL, Status.APPROVED}:
        return None
    refused_ = undo is None or undo.status in VOID
    return UndoOutcome.REFUSED.value if refused_ else UndoOutcome.FAILED.value


def _failed(reply: Reply) -> str:
    """Why a step of an undo did not succeed: our own word, and what the tool said, marked as its own."""
    texts = [block["text"] for block in (reply.result or {}).get("content") or () if isinstance(block.get("text"), str)]
    if not texts:
        return f"The tool refused: {quoted(str(reply.answered), LONGEST_REASON)}."
    *theirs, ours = texts
    return f"{ours} It said: {quoted(' '.join(theirs), LONGEST_REASON)}." if theirs else ours


def _at_once(plan: undo_plan.Plan) -> bool:
    """A single, exact step of low risk needs no preview."""
    forecast = (plan.action.forecast or {}).get("outcome")
    exact = forecast == UndoOutcome.EXACT.value and bool(plan.remedy.expected) and not plan.corrects
    return exact and len(plan.remedy.steps) == 1 and plan.action.risk is Risk.LOW


def _nothing_to_do(plan: undo_plan.Plan) -> bool:
    standoff = plan.standoff
    if plan.by_difference or plan.goes_on:
        return False
    return bool(standoff.already) and not standoff.restore and not standoff.conflicts


def _conflict(plan: undo_plan.Plan) -> UndoAnswer:
    text = (
        f"Not undone: {targets_of(plan.action.targets)} was changed by others since: "
        f"{undo_plan.conflict_text(plan.standoff)}. Nothing was changed; a person must decide."
    )
    return UndoAnswer(text, ok=False, action=plan.action.id, outcome=UndoOutcome.REFUSED.value)


def _preview(plan: undo_plan.Plan, *, stale: bool) -> UndoAnswer:
    steps = "; ".join(f"{step.tool}({', '.join([*step.arguments, *step.late])})" for step in plan.remedy.steps)
    forecast = plan.action.forecast or Forecast(UndoOutcome.REFUSED, "impossible").document()
    kind = "correct" if plan.corrects else "undo"
    lead = "The state has changed since the preview. " if stale else ""
    text = (
        f"{lead}Preview, nothing was changed yet: to {kind} {plan.action.id} on {targets_of(plan.action.targets)} "
        f"I would call {steps}; expected: {forecast['text']}"
        f"{' (' + changes_back(plan) + ')' if plan.standoff.restore else ''}. "
        f'To go on, call takeback_undo again with what="{plan.action.id}", the same reason '
        f'and confirm="{plan.confirm}".'
    )
    return UndoAnswer(text, ok=True, action=plan.action.id, confirm=plan.confirm)


def changes_back(plan: undo_plan.Plan) -> str:
    """What would go back, field by field."""
    return changes([Difference(d.field, d.after, d.before) for d in plan.standoff.restore])


def _word(why: str, next_step: str, *, ok: bool = False) -> dict[str, Any]:
    text = f"{why[0].upper()}{why[1:]}. {next_step}" if ok else refused(why, next_step)
    return own_word(text, layer=RetryLayer.MODEL, error=not ok).result or {}
