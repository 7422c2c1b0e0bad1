"""Undo of one action: an action like any other, with key, policy, approval, images, verification and ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from takeback.core.action import Action, Event
from takeback.core.canonical import digest
from takeback.core.expressions import Expression, ExpressionError
from takeback.core.images import Difference, Image, differences
from takeback.core.jsontext import JSON
from takeback.core.operation import fingerprint
from takeback.core.policy.decide import Decision, Undecidable, decide, target_variables
from takeback.core.redaction import is_redacted
from takeback.core.states import Happening
from takeback.core.undo import Outcome, Step, judge_outcome
from takeback.core.verification import Verification
from takeback.core.vocabulary import Effect, Origin, Status, UndoOutcome, Verified
from takeback.guard.code_tools import CODE
from takeback.guard.execution import conditions_of
from takeback.guard.purposes import check_boundary, image_variables
from takeback.guard.recording import next_fact
from takeback.guard.replies import Reply
from takeback.guard.services import Refusal, Services, Work
from takeback.guard.undo_plan import NotUndoable, Plan, conflict_text, material_of, rule_fields, standoff_of
from takeback.guard.writing import write
from takeback.ports import Caller, Impossible

_AS_IT_WAS: Final = frozenset({Status.SUCCEEDED, Status.COMPENSATING})
"""Originals that an undo without effect leaves standing; one that had failed or waited for a person needs one again."""


@dataclass(slots=True)
class Undoing:
    """The purpose of a compensation. Each turning point of its execution moves the original action along with it.

    `last` says whether this is the last step of the chain: only then is the original compensated. `unconditioned` says
    whether an earlier step changed the target without a condition; what changes nothing of it needs none.
    """

    services: Services
    plan: Plan
    step: Step
    reason: str
    first: bool
    last: bool
    unconditioned: bool = False
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
        if not self.plan.goes_on:
            return _filled(self._planned(current, work), before, self.reason)
        return _filled(self.step, before, self.reason)

    def _planned(self, current: Image | None, work: Work) -> Step:
        """The first step as the compensation would plan it for the world as it is now."""
        try:
            standoff = standoff_of(self.original, self.plan.before, self.plan.after, current, work.ignore)
            material = material_of(
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
        if standoff.already and not standoff.restore and not standoff.conflicts and not self.plan.by_difference:
            raise Refusal("Not undone: everything already is as it was before. Nothing was changed.")
        if standoff.conflicts and not self.plan.by_difference:
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
        judged = judge_outcome(
            expected, stored_before, stored_after, ignore=work.ignore, residue=self.plan.remedy.residue
        )
        touches = self.first or bool(differences(stored_before, stored_after, ignore=work.ignore))
        bare = touches and not conditions_of(self.services, work, before)
        self.outcome = replace(judged, unconditioned=self.unconditioned or bare)
        if self.outcome.outcome is UndoOutcome.FAILED and not self.last:
            return Verification(Verified.IMPOSSIBLE, "nothing_named")  # the whole chain is judged at its end
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
            case Happening.CLAIM if self.first and not self.plan.goes_on:
                # From what was loaded: a claim that was refused is made again, and moved nothing.
                loaded = self.plan.action
                return next_fact(self.services, loaded, Happening.COMPENSATE, actor=actor, detail=self.reason)
            case Happening.SUCCEED if self.last:
                document = self.outcome.document() if self.outcome is not None else None
                return next_fact(
                    self.services, self.original, Happening.RESTORE, actor=actor, detail=self.reason,
                    compensated_by=action.id, in_force=self.plan.corrects, outcome=document,
                )  # fmt: skip
            case Happening.FAIL if action.in_force or not self.first or self.plan.action.status not in _AS_IT_WAS:
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
    """The arguments with those that need `current` or `reason`.

    Raises:
        Refusal: one has no value, or is not kept: a redacted value can be compared and never written.
    """
    variables = {"reason": reason, **image_variables(current=current)}
    try:
        late = {name: Expression(source).value(variables) for name, source in step.late.items()}
    except ExpressionError as error:
        raise Refusal(f"Not undone: {error}. Nothing was changed.") from None
    arguments = {**step.arguments, **late}
    if lost := [name for name, value in arguments.items() if is_redacted(value)]:
        raise Refusal(f"Not undone: {', '.join(lost)} was redacted and cannot be written back. Nothing was changed.")
    return arguments


async def carry_out(services: Services, caller: Caller, plan_: Plan, reason: str) -> tuple[Reply, Undoing]:
    """Run the compensation, step by step; stops at the first that does not succeed, never because the caller has gone.

    Raises:
        NotUndoable: a step's tool is gone, or the policy of today does not allow it.
    """
    return await services.tasks.shielded(_steps(services, caller, plan_, reason))


async def _steps(services: Services, caller: Caller, plan_: Plan, reason: str) -> tuple[Reply, Undoing]:
    reply: Reply | None = None
    undoing: Undoing | None = None
    steps, unconditioned = plan_.remedy.steps, plan_.goes_on
    for index, step in enumerate(steps):
        undoing = Undoing(services, plan_, step, reason, index == 0, index == len(steps) - 1, unconditioned)
        work = _work(services, caller, undoing, index)
        reply = await write(services, work)
        if reply.action is None or reply.action.status is not Status.SUCCEEDED:
            break
        unconditioned = undoing.outcome is None or undoing.outcome.unconditioned
        plan_ = replace(undoing.plan, action=await services.ledger.action(caller.tenant, plan_.action.id))
    if reply is None or undoing is None:
        raise NotUndoable("the compensation has no step to take")
    return reply, undoing


def _work(services: Services, caller: Caller, undoing: Undoing, index: int) -> Work:
    action, step = undoing.original, undoing.step
    entry = services.catalog.named(step.tool)
    if entry is None:
        raise NotUndoable(f"the tool {step.tool} that would take it back is not there any more")
    try:
        arguments = _filled(step, undoing.plan.current, undoing.reason)
    except Refusal as refusal:
        raise NotUndoable(str(refusal).removeprefix("Not undone: ").removesuffix(". Nothing was changed.")) from None
    ignore, redact = rule_fields(services, action)
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
