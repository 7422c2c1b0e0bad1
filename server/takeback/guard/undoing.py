"""Undo of one action: an action like any other, with key, policy, approval, images, verification and ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from takeback.core.action import Action, Event
from takeback.core.canonical import digest
from takeback.core.expressions import Expression, ExpressionError
from takeback.core.images import Difference, Image
from takeback.core.jsontext import JSON
from takeback.core.operation import fingerprint
from takeback.core.policy.decide import Decision, Undecidable, decide, target_variables
from takeback.core.states import Happening
from takeback.core.undo import Outcome, Standoff, Step, changed, judge_outcome, stand
from takeback.core.verification import Verification
from takeback.core.vocabulary import Effect, Origin, Status, UndoOutcome, Verified
from takeback.guard.code_tools import CODE
from takeback.guard.judging import stored_image
from takeback.guard.purposes import check_boundary, image_variables
from takeback.guard.reading import Reading, take_image
from takeback.guard.recording import next_fact
from takeback.guard.replies import Reply
from takeback.guard.services import Refusal, Services, Work
from takeback.guard.writing import write
from takeback.ports import Caller, Compensation, Impossible, Material, Remedy


class NotUndoable(Exception):
    """The action cannot be taken back; the message says why, in a sentence for people and models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an action would be taken back, as things stand: for the preview, and for carrying it out."""

    action: Action
    steps: tuple[Step, ...]
    compensation: Compensation
    before: Image | None
    after: Image | None
    current: Image | None
    standoff: Standoff
    remedy: Remedy
    corrects: bool
    readings: tuple[Reading, ...]

    @property
    def confirm(self) -> str:
        """What a caller confirms: the action, its version, and the state that the preview showed."""
        shown = self.current.document() if self.current is not None else None
        return digest([self.action.id, self.action.version, shown])[:12]


def check_undoable(services: Services, action: Action) -> None:
    """Raises NotUndoable unless the action stands in the world and something can be done about it."""
    if action.status is Status.COMPENSATED:
        raise NotUndoable(f"{action.id} was already undone by {action.compensated_by}; nothing more is needed")
    if not action.in_force:
        raise NotUndoable(f"{action.id} is {action.status.value} and had no effect, so there is nothing to undo")
    if action.status not in {Status.SUCCEEDED, Status.FAILED, Status.NEEDS_OPERATOR, Status.COMPENSATING}:
        raise NotUndoable(f"{action.id} is {action.status.value}; it must be settled first")
    stored = action.compensation
    if not stored:
        raise NotUndoable(f"the policy knows no way to take {action.name} back")
    if stored.get("steps") is None:
        raise NotUndoable(f"the way back could not be prepared when {action.id} ran ({stored.get('problem')})")
    if stored.get("unwritable"):
        raise NotUndoable(
            f"{', '.join(stored['unwritable'])} was redacted and cannot be written back; a person must do it"
        )
    until = (action.forecast or {}).get("until")
    if until is not None and services.clock.now().isoformat() > until:
        raise NotUndoable(f"it could be undone until {until} only")


async def plan(services: Services, action: Action, reason: str) -> Plan:
    """Look at the world and work out what would have to be called now.

    Raises:
        NotUndoable: it cannot be taken back; nothing was changed.
    """
    check_undoable(services, action)
    stored = action.compensation
    compensation = services.compensations.get(stored["way"])
    if compensation is None:
        raise NotUndoable(f"the compensation {stored['way']!r} is not installed")
    readings = tuple(Reading.from_document(document) for document in stored["readings"])
    before, after = await stored_image(services, action.before), await stored_image(services, action.after)
    ignore, redact = _rule_fields(services, action)
    current = None
    if readings:
        variables = {"args": action.arguments, **target_variables(action.targets)}
        current = services.stored_image(await take_image(services.catalog, readings, variables), redact)
    standoff = _standoff(action, before, after, current, ignore)
    steps = tuple(Step.from_document(step) for step in stored["steps"])
    material = _material(
        services,
        action,
        steps=steps,
        images=(before, after, current),
        standoff=standoff,
        ignore=ignore,
        reason=reason,
    )
    try:
        remedy = compensation.plan(material)
    except Impossible as error:
        raise NotUndoable(str(error)) from None
    return Plan(
        action=action,
        steps=steps,
        compensation=compensation,
        before=before,
        after=after,
        current=current,
        standoff=standoff,
        remedy=remedy,
        corrects=bool(stored["corrects"]),
        readings=readings,
    )


def _rule_fields(services: Services, action: Action) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`ignore` and `redact` of the rule under which the action ran, as the policy has it today."""
    for numbered in services.policy.rules_for(action.name):
        if numbered.id == action.rule:
            return numbered.rule.ignore, numbered.rule.redact
    return (), ()


def _standoff(
    action: Action, before: Image | None, after: Image | None, current: Image | None, ignore: tuple[str, ...]
) -> Standoff:
    if before is None or after is None or current is None or not before.readable or not after.readable:
        return Standoff()
    if not current.readable:
        problem = "; ".join(part.problem or "unreadable" for part in current.parts)
        raise NotUndoable(f"the target cannot be read now ({problem}), so nothing can be put back safely")
    return stand(before, after, current, changed(before, after, declared=action.fields, ignore=ignore), ignore)


def _material(
    services: Services,
    action: Action,
    *,
    steps: tuple[Step, ...],
    images: tuple[Image | None, Image | None, Image | None],
    standoff: Standoff,
    ignore: tuple[str, ...],
    reason: str,
) -> Material:
    before, after, current = images
    entries = {step.tool: services.catalog.named(step.tool) for step in steps}
    return Material(
        action=action,
        steps=steps,
        before=before,
        after=after,
        current=current,
        standoff=standoff,
        ignore=ignore,
        reason=reason,
        keeps={tool: entry.required for tool, entry in entries.items() if entry is not None},
        options=action.compensation.get("options") or {},
    )


def conflict_text(standoff: Standoff) -> str:
    """Both versions of each field in conflict, before the person who decides."""
    parts = [f"{c.field} was {c.before!r}, was set to {c.after!r} and is {c.current!r} now" for c in standoff.conflicts]
    return "; ".join(parts)


@dataclass(slots=True)
class Undoing:
    """The purpose of a compensation. Each turning point of its execution moves the original action along with it.

    `last` says whether this is the last step of the chain: only then is the original compensated.
    """

    services: Services
    plan: Plan
    step: Step
    reason: str
    first: bool
    last: bool
    outcome: Outcome | None = None
    original: Action = field(init=False)

    def __post_init__(self) -> None:
        self.original = self.plan.action

    def ready(self, work: Work, before: Image | None) -> dict[str, JSON]:
        """The step's arguments, judged on what is there at the last moment. Raises Refusal on a conflict."""
        if not self.first:
            return _filled(self.step, before, self.reason)
        current = self.services.stored_image(before, work.redact) if before is not None else None
        rule = work.decision.rule
        if rule is not None and rule.require is not None and current is not None and current.variable() is not None:
            check_boundary(rule.require, work.variables, current)
        planned = self._planned(current, work)
        return _filled(planned, current, self.reason)

    def _planned(self, current: Image | None, work: Work) -> Step:
        """The first step as the compensation would plan it for the world as it is now."""
        try:
            standoff = _standoff(self.original, self.plan.before, self.plan.after, current, work.ignore)
            material = _material(
                self.services,
                self.original,
                steps=self.plan.steps,
                images=(self.plan.before, self.plan.after, current),
                standoff=standoff,
                ignore=work.ignore,
                reason=self.reason,
            )
            remedy = self.plan.compensation.plan(material)
        except (Impossible, NotUndoable) as error:
            raise Refusal(f"Not undone: {error}. Nothing was changed.") from None
        if standoff.conflicts and self.plan.compensation.name != "adjust":
            raise Refusal(
                f"Not undone: changed by others since ({conflict_text(standoff)}). "
                "Nothing was changed; a person must decide."
            )
        self.plan = replace(self.plan, current=current, standoff=standoff, remedy=remedy)
        return remedy.steps[0]

    def check(
        self, work: Work, sent: Mapping[str, JSON], before: Image | None, after: Image | None, result: JSON
    ) -> Verification:
        """What reading back shows about the restored state; the outcome follows from it."""
        expected = dict(self.plan.remedy.expected)
        if not expected or after is None or before is None:
            residue = self.plan.remedy.residue or ("it could not be read back",)
            self.outcome = Outcome(UndoOutcome.COMPENSATED, "; ".join(residue), (), residue)
            return Verification(Verified.IMPOSSIBLE, "no_read")
        stored_after = self.services.stored_image(after, work.redact)
        stored_before = self.services.stored_image(before, work.redact)
        self.outcome = judge_outcome(
            expected, stored_before, stored_after, ignore=work.ignore, residue=self.plan.remedy.residue
        )
        if self.outcome.outcome is UndoOutcome.FAILED:
            return Verification(Verified.MISMATCH, "different", expected, stored_after.variable())
        return Verification(Verified.YES)

    def companions(self, happening: Happening, action: Action, event: Event) -> tuple[tuple[Event, Action], ...]:
        """The original moves along: compensating at the claim, compensated when the last step was read back."""
        moved = self._moved(happening, action)
        if moved is None:
            return ()
        self.original = moved[1]
        return (moved,)

    def _moved(self, happening: Happening, action: Action) -> tuple[Event, Action] | None:
        actor = f"undo {action.id} for {action.principal}"
        match happening:
            case Happening.CLAIM if self.first and self.original.status is not Status.COMPENSATING:
                return next_fact(self.services, self.original, Happening.COMPENSATE, actor=actor, detail=self.reason)
            case Happening.SUCCEED if self.last:
                document = self.outcome.document() if self.outcome is not None else None
                return next_fact(
                    self.services, self.original, Happening.RESTORE, actor=actor, detail=self.reason,
                    compensated_by=action.id, in_force=self.plan.corrects, outcome=document,
                )  # fmt: skip
            case Happening.FAIL if action.in_force:
                return next_fact(self.services, self.original, Happening.GIVE_UP, actor=actor, detail="the undo failed")
            case Happening.FAIL:
                return next_fact(
                    self.services, self.original, Happening.SPARE, actor=actor, detail="the undo had no effect"
                )
            case Happening.GIVE_UP:
                return next_fact(
                    self.services, self.original, Happening.GIVE_UP, actor=actor, detail="the undo is in doubt"
                )
            case _:
                return None

    def conclusions(
        self, work: Work, before: Image | None, after: Image | None, verification: Verification, result: JSON
    ) -> dict[str, Any]:
        """The outcome, in the words of the forecast."""
        return {"outcome": self.outcome.document() if self.outcome is not None else None}


def _filled(step: Step, current: Image | None, reason: str) -> dict[str, JSON]:
    """The arguments with those that need `current` or `reason`. Raises Refusal where one has no value."""
    variables = {"reason": reason, **image_variables(current=current)}
    try:
        late = {name: Expression(source).value(variables) for name, source in step.late.items()}
    except ExpressionError as error:
        raise Refusal(f"Not undone: {error}. Nothing was changed.") from None
    return {**step.arguments, **late}


async def carry_out(services: Services, caller: Caller, plan_: Plan, reason: str) -> tuple[Reply, Undoing]:
    """Run the compensation, step by step; stops at the first that does not succeed.

    Raises:
        NotUndoable: a step's tool is gone, or the policy of today does not allow it.
    """
    reply: Reply | None = None
    undoing: Undoing | None = None
    steps = plan_.remedy.steps
    for index, step in enumerate(steps):
        undoing = Undoing(services, plan_, step, reason, first=index == 0, last=index == len(steps) - 1)
        work = _work(services, caller, undoing, index)
        reply = await services.tasks.shielded(write(services, work))
        if reply.action is None or reply.action.status is not Status.SUCCEEDED:
            break
        plan_ = replace(undoing.plan, action=await services.ledger.action(caller.tenant, plan_.action.id))
    if reply is None or undoing is None:
        raise NotUndoable("the compensation has no step to take")
    return reply, undoing


def _work(services: Services, caller: Caller, undoing: Undoing, index: int) -> Work:
    action, step = undoing.original, undoing.step
    entry = services.catalog.named(step.tool)
    if entry is None:
        raise NotUndoable(f"the tool {step.tool} that would take it back is not there any more")
    arguments = _filled(step, undoing.plan.current, undoing.reason)
    ignore, redact = _rule_fields(services, action)
    decision = replace(
        _today(services, caller, action, step, arguments), targets=action.targets, late_targets=(), effect=Effect.SET
    )
    if decision.verdict == "forward":
        raise NotUndoable(f"{step.tool} is a read by the policy and cannot take anything back")
    if caller.person and decision.verdict == "ask":
        decision = replace(decision, verdict="run", why="a person asked for it and confirmed the preview")
    operation = digest([caller.tenant, "undo", action.id, _round(action), index])
    return Work(
        caller=caller,
        entry=entry,
        arguments=arguments,
        decision=decision,
        operation=operation,
        fingerprint=fingerprint(tool=step.tool, arguments=arguments, principal=caller.principal),
        readings=undoing.plan.readings,
        variables=_variables(caller, action, arguments, undoing.reason),
        purpose=undoing,
        redact=redact,
        ignore=ignore,
        origin=Origin.UNDO,
        original=action.id,
        reason=undoing.reason,
    )


def _today(services: Services, caller: Caller, action: Action, step: Step, arguments: dict[str, JSON]) -> Decision:
    """Today's authorisation: by the rule of the tool that is called, or of the original where code does it."""
    coded = step.tool.startswith(CODE)
    tool, judged = (action.name, action.arguments) if coded else (step.tool, arguments)
    try:
        return decide(services.policy, tool, judged, tenant=caller.tenant, user=caller.principal, run=caller.run)
    except Undecidable as error:
        raise NotUndoable(str(error)) from None


def _variables(caller: Caller, action: Action, arguments: dict[str, JSON], reason: str) -> dict[str, JSON]:
    who: dict[str, JSON] = {"tenant": caller.tenant, "user": caller.principal, "run": caller.run, "reason": reason}
    return {"args": arguments, **who, **target_variables(action.targets)}


def _round(action: Action) -> str:
    """Tells an undo after a redo from the undo before it: the compensation that stood last."""
    return action.compensated_by or ""


def differences_text(differing: tuple[Difference, ...]) -> str:
    """For previews."""
    return ", ".join(f"{d.field} {d.after!r} -> {d.before!r}" for d in differing)
