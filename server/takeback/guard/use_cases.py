"""The use cases behind every face: what agents may ask for, and what people may."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from takeback.core.action import Action
from takeback.core.freezing import Freeze, FreezeKind
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.queue import Comment, RecoveryItem
from takeback.core.redaction import is_redacted
from takeback.core.run import Approval, Checkpoint, Run
from takeback.core.run_state import RunState
from takeback.core.tracing import TraceLinks
from takeback.core.trail import Sentence, as_text
from takeback.core.vocabulary import Origin, RetryLayer, Status
from takeback.core.voice import Audience
from takeback.core.wording import refused
from takeback.guard import approving, checkpoints, closing, deciding, entries, handling, history
from takeback.guard.accounting import Account, account
from takeback.guard.calling import CallRequest, call
from takeback.guard.checkpoints import Stale
from takeback.guard.freezing import lines as frozen_lines
from takeback.guard.freezing import unreadable
from takeback.guard.offers import Offers
from takeback.guard.pausing import lines as paused_lines
from takeback.guard.pausing import states
from takeback.guard.plans.facts import PlanRequest
from takeback.guard.plans.resuming import call_off
from takeback.guard.plans.submitting import preview_only, submit
from takeback.guard.replies import META, Reply, own_word
from takeback.guard.safe_points import Notes
from takeback.guard.services import Services
from takeback.guard.switching import Switched, freeze, freezes, thaw
from takeback.guard.undo.selecting import own
from takeback.guard.undo.taking_back import take_back
from takeback.ports import Caller, HistoryQuery, Page, ProgressSink, QueuePage, QueueQuery, UndoAnswer

_MOST_ENTRIES = 50
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

    async def unreadable(self, caller: Caller) -> Mapping[str, str]:
        """The upstreams of which nothing is read now, each with why."""
        return await unreadable(self.services, caller)

    # --- what agents may ask for ---

    async def history(
        self, caller: Caller, *, text: str | None, action: str | None, needs_attention: bool, cursor: str | None
    ) -> str:
        """Twenty lines at a time, newest first; the trail of one action, or the account of the run. Raises NotFound."""
        if action is not None and action.strip().lower() in {"run", "this run"}:
            return (await account(self.services, caller.tenant, caller.run)).text()
        if action is not None:
            found = await own(self.services, caller, action)
            return as_text(await history.explain(self.services, caller.tenant, found.id))
        query = HistoryQuery(
            tenant=caller.tenant, run=caller.run, text=text, needs_attention=needs_attention, cursor=cursor
        )
        page = await self.services.ledger.history(query)
        lines = [] if cursor or text else await self._stops(caller)
        lines += [history.line(found) for found in page.actions]
        if needs_attention:
            of_run = QueueQuery(tenant=caller.tenant, run=caller.run, limit=_MOST_ENTRIES)
            waiting = await self.services.ledger.entries(of_run, self.services.clock.now())
            lines += [history.queue_line(entry) for entry in waiting.entries]
        if page.cursor:
            lines.append(f'More: call again with cursor "{page.cursor}".')
        return "\n".join(lines) or "Nothing yet: this run has made no change."

    async def _stops(self, caller: Caller) -> list[str]:
        """Why the run may write nothing now."""
        return [*await frozen_lines(self.services, caller), *await paused_lines(self.services, caller)]

    async def undo(self, caller: Caller, *, what: str | None, reason: str, confirm: str | None) -> UndoAnswer:
        """Take back an action, the last few, everything since a point, or a run. What is not simple is previewed."""
        services = (await self._for(caller)).services
        return await take_back(services, caller, what=what, reason=reason, confirm=confirm)

    async def repeat(self, caller: Caller, *, action: str, reason: str) -> Mapping[str, Any]:
        """Create the successor of an action: do the same again on purpose. Returns a tool result. Raises NotFound."""
        if not reason.strip():
            return _word("a reason is required", "Say why it is meant again.")
        original = await own(self.services, caller, action)
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

    async def checkpoint(self, caller: Caller, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep a checkpoint of the caller's run, or go on from one. Returns a tool result. Raises NotFound."""
        services = (await self._for(caller)).services
        if (point := arguments.get("resume")) is not None:
            text, good = await checkpoints.resume(services, caller, str(point))
            return own_word(text, layer=RetryLayer.MODEL, error=not good).result or {}
        notes = Notes(
            name=str(arguments["name"]),
            summary=str(arguments["summary"]),
            state=arguments.get("state"),
            next=tuple(arguments.get("next") or ()),
        )
        try:
            made = await checkpoints.make(services, caller, notes)
        except checkpoints.TooMuch as error:
            return _word(str(error), "Keep less, and make it again.")
        text = f"Checkpoint {made.name} is kept as {made.id}. To go on from it: resume={made.name!r}."
        return _told(text, checkpoint=made.id)

    async def own_checkpoints(self, caller: Caller, after: str | None = None) -> checkpoints.Listed:
        """A page of the checkpoints of the caller's run, from the one that follows `after`. Raises NotFound."""
        return await checkpoints.own_page(self.services, caller, after)

    async def own_checkpoint(self, caller: Caller, checkpoint_id: str) -> Checkpoint:
        """A checkpoint of the caller's run, by its id. Raises NotFound."""
        return await checkpoints.own(self.services, caller, checkpoint_id)

    async def checkpoints_of(self, tenant: str, run: str) -> Sequence[Checkpoint]:
        """A run's checkpoints, newest first."""
        return await checkpoints.of_run(self.services, tenant, run)

    async def stale(self, tenant: str, run: str, point: str) -> tuple[Checkpoint, Sequence[Stale]]:
        """A checkpoint, and those of its targets that changed since. Needs the upstreams. Raises NotFound."""
        found = await checkpoints.find(self.services, tenant, run, point)
        return found, await checkpoints.staleness(self.services, found)

    async def plan(
        self, caller: Caller, document: Mapping[str, Any], *, progress: ProgressSink | None = None
    ) -> Mapping[str, Any]:
        """Carry out, preview or cancel a plan of the caller's own run. Returns a tool result. Raises NotFound."""
        services, reason = (await self._for(caller)).services, str(document["reason"])
        if (plan_id := document.get("cancel")) is not None:
            found = await own(services, caller, plan_id)
            return _told(await call_off(services, caller.tenant, found.id, by=caller.principal, reason=reason))
        request = PlanRequest(caller=caller, document=document, reason=reason, progress=progress)
        does = preview_only if document.get("preview") else submit
        reply = await does(services, request)
        return reply.result or {}

    # --- what only people may ask for ---

    @property
    def traces(self) -> TraceLinks:
        """Where traces can be looked at, by the policy."""
        return self.services.policy.traces

    async def decide_approval(
        self, tenant: str, approval_id: str, *, agree: bool, by: str, how: str, reason: str | None = None
    ) -> tuple[Action, Approval]:
        """Record a person's answer. Raises NotFound, NotDecidable."""
        return await approving.decide_approval(
            self.services, tenant, approval_id, agree=agree, by=by, how=how, reason=reason
        )

    async def resolve(
        self, tenant: str, item: str, *, decision: deciding.Decision, by: str, reason: str, seen: int | None = None
    ) -> tuple[RecoveryItem, Action]:
        """Record a person's word on an entry of the recovery queue. Raises NotFound, NotResolvable."""
        return await deciding.resolve(self.services, tenant, item, decision=decision, by=by, reason=reason, seen=seen)

    async def resume(
        self, tenant: str, item: str, *, by: str, reason: str, seen: int | None = None
    ) -> handling.Resolved:
        """Settle or try an entry's action again, now. Raises NotFound, NotResolvable."""
        return await handling.resume(self.services, tenant, item, by=by, reason=reason, seen=seen)

    async def compensate(
        self, caller: Caller, item: str, *, reason: str, confirm: str | None = None, seen: int | None = None
    ) -> handling.Resolved:
        """Take back what an entry's action did; previewed first where the undo is. Raises NotFound, NotResolvable."""
        return await handling.compensate(self.services, caller, item, reason=reason, confirm=confirm, seen=seen)

    async def assign(self, tenant: str, item: str, *, to: str | None, by: str) -> RecoveryItem:
        """Make an entry somebody's, or nobody's. Raises NotFound, NotResolvable."""
        return await entries.assign(self.services, tenant, item, to=to, by=by)

    async def comment(self, tenant: str, item: str, *, by: str, text: str) -> Comment:
        """Add what somebody says of an entry. Raises NotFound, NotResolvable."""
        return await entries.comment(self.services, tenant, item, by=by, text=text)

    async def entry(self, tenant: str, item: str) -> entries.Shown:
        """One entry with its comments and what may be decided. Raises NotFound, NotResolvable."""
        return await entries.show(self.services, tenant, item)

    async def abandon(self, tenant: str, run: str, *, by: str, reason: str) -> tuple[Run, list[Action]]:
        """Close a run for good; returns also what of it is still under way. Raises NotFound."""
        return await closing.abandon(self.services, tenant, run, by=by, reason=reason)

    async def freeze(
        self,
        tenant: str,
        kind: FreezeKind,
        name: str,
        *,
        reads: bool = False,
        by: str,
        reason: str,
        tools: Collection[str] = (),
    ) -> Switched:
        """Stop an upstream, a tool, a run or the whole tenant, on every guard. Raises NotSwitchable."""
        return await freeze(self.services, tenant, kind, name, reads=reads, by=by, reason=reason, tools=tools)

    async def thaw(self, tenant: str, kind: FreezeKind, name: str, *, by: str, reason: str) -> Switched:
        """Let it go on. Raises NotSwitchable."""
        return await thaw(self.services, tenant, kind, name, by=by, reason=reason)

    async def freezes(self, tenant: str, *, in_force_only: bool = True) -> Sequence[Freeze]:
        """Uses of the stop switch, the newest first."""
        return await freezes(self.services, tenant, in_force_only=in_force_only)

    async def explain(self, tenant: str, action_id: str, audience: Audience = "internal") -> tuple[Sentence, ...]:
        """The correction trail of any action of the tenant, for the inside or for a customer. Raises NotFound."""
        return await history.explain(self.services, tenant, action_id, audience)

    async def account(self, tenant: str, run: str) -> Account:
        """What a run changed, what of it can be undone, and what is proven to be back. Raises NotFound."""
        return await account(self.services, tenant, run)

    async def page(self, query: HistoryQuery) -> Page:
        """A page of actions."""
        return await self.services.ledger.history(query)

    async def approval(self, tenant: str, approval_id: str) -> Approval:
        """One approval. Raises NotFound."""
        return await self.services.ledger.approval(tenant, approval_id)

    async def approvals(self, tenant: str, *, pending_only: bool = True) -> Sequence[Approval]:
        """Approvals, oldest first."""
        return await self.services.ledger.approvals(tenant, pending_only=pending_only)

    async def queue(self, query: QueueQuery) -> QueuePage:
        """A page of what needs a look, the longest waiting first."""
        return await self.services.ledger.entries(query, self.services.clock.now())

    async def runs(self, tenant: str) -> Sequence[RunState]:
        """Runs with where they stand, the most recently active first."""
        return await states(self.services, await self.services.ledger.runs(tenant))


def _told(text: str, **marks: str) -> dict[str, Any]:
    result = own_word(text, layer=RetryLayer.MODEL, error=False).result or {}
    return {**result, "_meta": {**result["_meta"], **{META + name: value for name, value in marks.items()}}}


def _word(why: str, next_step: str, *, ok: bool = False) -> dict[str, Any]:
    text = f"{why[0].upper()}{why[1:]}. {next_step}" if ok else refused(why, next_step)
    return own_word(text, layer=RetryLayer.MODEL, error=not ok).result or {}
