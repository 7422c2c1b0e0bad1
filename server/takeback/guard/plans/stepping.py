"""One step of a plan: its arguments from earlier results, the call through the guard, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from takeback.core.action import Action
from takeback.core.canonical import NotCanonical
from takeback.core.expressions import ExpressionError
from takeback.core.jsontext import JSON, loads
from takeback.core.phrases import one_line
from takeback.core.plan import PlanStep, Unresolvable, resolved
from takeback.core.policy.decide import Decision, Undecidable
from takeback.core.redaction import is_redacted, redact_result
from takeback.core.results import is_error, record
from takeback.core.vocabulary import Origin, Status, Verified
from takeback.guard.barring import barred, cautioned
from takeback.guard.calling import CallRequest, forward, make_work
from takeback.guard.catalog import Entry
from takeback.guard.replies import META, Reply
from takeback.guard.retrying import jittered
from takeback.guard.services import Services
from takeback.guard.writing import write
from takeback.ports import Caller, NotFound

Kind = Literal["done", "failed", "waits", "stuck"]

_LONGEST_WHY: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """What a step came to. `waits`: it goes on by itself, or when a person agreed; `stuck`: a person must look.

    `again`: it certainly did nothing, and may be tried once more. `read` is what a read answered, as it is kept.
    """

    step: str
    kind: Kind
    why: str = ""
    action: Action | None = None
    again: bool = False
    read: JSON = None


@dataclass(slots=True)
class Results:
    """What the steps done so far answered, as it is kept: the same for whoever goes on with the plan."""

    services: Services
    actions: dict[str, Action] = field(default_factory=dict)
    reads: dict[str, JSON] = field(default_factory=dict)

    def took(self, end: StepEnd) -> None:
        """One more step is done."""
        if end.action is not None:
            self.actions[end.step] = end.action
        else:
            self.reads[end.step] = end.read

    async def wanted(self, steps: set[str]) -> dict[str, JSON]:
        """The data of these steps' results, as far as they are kept."""
        found = {name: record(self.reads[name]) for name in steps & self.reads.keys()}
        for name in steps & self.actions.keys():
            digest = self.actions[name].result
            if digest is not None:
                try:
                    found[name] = record(loads(await self.services.ledger.image(digest)))
                except NotFound:
                    continue
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepper:
    """Carries out the steps of one plan. `agreed`: by step, what a person agreed to with the plan."""

    services: Services
    caller: Caller
    plan: str
    agreed: Mapping[str, str]
    retries: int
    results: Results

    async def run(self, step: PlanStep, wanted: set[str]) -> StepEnd:
        """Carry one step out, again where it certainly did nothing and the plan says so. Never executes it twice."""
        end = await self._once(step, wanted)
        for number in range(self.retries):
            if not end.again:
                break
            backoff = self.services.policy.file.defaults.retry.backoff.total_seconds() * 2**number
            await self.services.clock.sleep(jittered(self.services, backoff))
            end = await self._once(step, wanted)
        return end

    async def _once(self, step: PlanStep, wanted: set[str]) -> StepEnd:
        known = self.results.actions.get(step.id)
        try:
            arguments = await self._arguments(step, known, wanted)
            entry = self.services.catalog.named(step.tool)
            if entry is None:
                return _failed(step, f"there is no tool {step.tool} any more")
            decision = self._decide(step, arguments)
            if (refusal := barred(self.services.catalog, entry, decision)) is not None:
                return StepEnd(step=step.id, kind="stuck", why=said(refusal))
            if not entry.valid(arguments):
                return _failed(step, "; ".join(entry.problems(arguments)))
            request = self._request(step, entry, arguments)
            if decision.verdict == "forward":
                return await self._read(step, request, entry, decision)
            return await self._write(step, request, entry, decision)
        except (Unresolvable, Undecidable, ExpressionError, NotCanonical) as problem:
            return _failed(step, str(problem))

    async def _arguments(self, step: PlanStep, known: Action | None, wanted: set[str]) -> dict[str, JSON]:
        """What it was begun with, where it was; else what the plan says, with the results filled in."""
        if known is not None:
            return dict(known.arguments)
        found = resolved(dict(step.arguments), await self.results.wanted(wanted))
        if is_redacted(found):
            raise Unresolvable("what it refers to was redacted and is not kept")
        return dict(found)

    def _decide(self, step: PlanStep, arguments: Mapping[str, JSON]) -> Decision:
        return cautioned(self.services.catalog, self.services.decide(self.caller, step.tool, arguments))

    def _request(self, step: PlanStep, entry: Entry, arguments: dict[str, JSON]) -> CallRequest:
        return CallRequest(
            caller=self.caller,
            name=entry.exposed,
            arguments=arguments,
            origin=Origin.PLAN,
            original=self.plan,
            reason=f"step {step.id} of {self.plan}",
            step=step.id,
        )

    async def _read(self, step: PlanStep, request: CallRequest, entry: Entry, decision: Decision) -> StepEnd:
        reply = await forward(self.services, request, entry, decision)
        result = reply.result
        if reply.frozen is not None:
            return StepEnd(step=step.id, kind="waits", why=said(reply))
        if result is None or is_error(result):
            return StepEnd(step=step.id, kind="failed", why=said(reply), again=True)
        fields = decision.rule.redact if decision.rule is not None else ()
        kept = redact_result(result, fields=fields, key=self.services.redaction_key, hide=frozenset())
        return StepEnd(step=step.id, kind="done", read=kept)

    async def _write(self, step: PlanStep, request: CallRequest, entry: Entry, decision: Decision) -> StepEnd:
        if decision.verdict == "deny":
            return _failed(step, decision.why)
        work = make_work(self.services, request, entry, decision)
        if not self.services.kept_whole(request.arguments, work.redact):
            return _failed(step, "it has arguments that are not kept")
        return ended(step.id, await write(self.services, replace(work, agreed=self.agreed.get(step.id))))


def ended(step: str, reply: Reply) -> StepEnd:
    """What the guard's answer to a step's call says of it."""
    action, why = reply.action, said(reply)
    if reply.frozen is not None or reply.paused:
        return StepEnd(step=step, kind="waits", why=why, action=action)
    if action is None:
        transient = (reply.result or {}).get("_meta", {}).get(f"{META}layer") == "tool"
        return StepEnd(step=step, kind="waits" if transient else "stuck", why=why)
    match action.status:
        case Status.SUCCEEDED if action.is_unread:
            return StepEnd(step=step, kind="waits", why="its effect could not be read back yet", action=action)
        case Status.SUCCEEDED if action.verified is not Verified.MISMATCH:
            return StepEnd(step=step, kind="done", action=action)
        case Status.RUNNING | Status.IN_DOUBT | Status.AWAITING_APPROVAL | Status.APPROVED | Status.COMPENSATING:
            return StepEnd(step=step, kind="waits", why=why, action=action)
        case Status.NEEDS_OPERATOR:
            return StepEnd(step=step, kind="stuck", why=why, action=action)
        case Status.FAILED:
            return StepEnd(step=step, kind="failed", why=why, action=action, again=not action.in_force)
        case _:
            return StepEnd(step=step, kind="failed", why=why, action=action)


def said(reply: Reply) -> str:
    """What an answer says, on one line."""
    return one_line(reply.text, _LONGEST_WHY)


def _failed(step: PlanStep, why: str) -> StepEnd:
    return StepEnd(step=step.id, kind="failed", why=one_line(why, _LONGEST_WHY))
