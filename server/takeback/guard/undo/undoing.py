"""Undo of one action: an action like any other, with key, policy, approval, images, verification and ledger entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from takeback.core.action import Action, Event
from takeback.core.canonical import digest
from takeback.core.expressions import Expression, ExpressionError
from takeback.core.images import WHOLE, Image, differences, leaf
from takeback.core.jsontext import JSON
from takeback.core.operation import fingerprint
from takeback.core.policy.decide import Decision, canonical_id, target_variables
from takeback.core.policy.places import named_by_result
from takeback.core.queue import EVERY_CAUSE, Cause, QueueDecision, RecoveryItem, Settled
from takeback.core.redaction import is_redacted
from takeback.core.states import Happening
from takeback.core.undo import Outcome, Step, judge_outcome
from takeback.core.verification import Verification
from takeback.core.vocabulary import Effect, Origin, Status, UndoOutcome, Verified
from takeback.guard.code_tools import CODE
from takeback.guard.execution import conditions_of
from takeback.guard.purposes import check_boundary, declared_fields, image_variables
from takeback.guard.readings import Reading
from takeback.guard.recording import next_fact, recovery_item, settled
from takeback.guard.replies import Reply
from takeback.guard.services import Refusal, Services, Work
from takeback.guard.undo.authority import authority
from takeback.guard.undo.manner import NotUndoable, lists_of, rule_fields
from takeback.guard.undo.moved import MOVED, renamed
from takeback.guard.undo.plan import Plan, conflict_text, images_of, plan_for
from takeback.guard.undo.redoing import way_to_redo
from takeback.guard.writing import write
from takeback.ports import Caller, Pruned

_AS_IT_WAS: Final = frozenset({Status.SUCCEEDED, Status.COMPENSATING})
"""Originals that an undo without effect leaves standing; one that had failed or waited for a person needs one again."""


@dataclass(slots=True)
class Undoing:
    """The purpose of a compensation. Each turning point of its execution moves the original action along with it.

    `last` says whether this is the last step of the chain: only then is the original compensated. `unconditioned` says
    whether an earlier step changed the target without a condition; what changes nothing of it needs none. `redone` is
    the action that stands again once this one, its undo, is taken back.
    """

    services: Services
    plan: Plan
    step: Step
    reason: str
    first: bool
    last: bool
    unconditioned: bool = False
    redone: Action | None = None
    outcome: Outcome | None = None
    moved: Mapping[str, str] = field(default_factory=dict)
    original: Action = field(init=False)

    def __post_init__(self) -> None:
        self.original = self.plan.action

    async def ready(self, work: Work, before: Image | None) -> dict[str, JSON]:
        """The step's arguments, judged on what is there at the last moment. Raises Refusal on a conflict."""
        if not self.first:
            return filled(self.step, before, self.reason, self.plan.material.goal)
        current = self.services.stored_image(before, work.redact) if before is not None else None
        rule = work.decision.rule
        if rule is not None and rule.require is not None and current is not None and current.variable() is not None:
            check_boundary(rule.require, work.variables, current)
        if self.plan.goes_on:
            return filled(self.step, before, self.reason, self.plan.material.goal)
        return filled(await self._planned(current), before, self.reason, self.plan.material.goal)

    async def _planned(self, current: Image | None) -> Step:
        """The first step as the compensation would plan it for the world as it is now."""
        expected = frozenset(one.id for one in self.plan.dependents)
        try:
            images = (*await images_of(self.services, self.plan.place), current)
            self.plan = await plan_for(self.services, self.plan.place, images, self.reason)
        except (NotUndoable, Pruned) as error:
            raise Refusal(f"Not undone: {error}. Nothing was changed.") from None
        if self.plan.nothing_to_do:
            raise Refusal("Not undone: everything already is as it was before. Nothing was changed.")
        if self.plan.standoff.conflicts:
            raise Refusal(
                f"Not undone: changed by others since ({conflict_text(self.plan.standoff)}). "
                "Nothing was changed; a person must decide."
            )
        if new := [one.id for one in self.plan.dependents if one.id not in expected]:
            raise Refusal(f"Not undone: {', '.join(new)} rests on it meanwhile. Nothing was changed.")
        return self.plan.remedy.steps[0]

    def located(self, work: Work, result: JSON) -> Work:
        """What was made anew may have another id: it is read under that one, and known by it from then on."""
        rule, targets = work.decision.rule, work.decision.targets
        if self.plan.compensation.name != "recreate" or rule is None or not named_by_result(rule) or len(targets) != 1:
            return work
        spec = next(one for one in rule.target if "result" in one.id.names)
        try:
            new = canonical_id(spec, spec.id.value({**work.variables, "result": result}))
        except ExpressionError:
            return work
        if not new or new == targets[0].id:
            return work
        self.moved = {"from": targets[0].id, "to": new}
        names = {targets[0].id: new}
        found = tuple(Reading.from_document(renamed(reading.document(), names)) for reading in work.readings)
        decision = replace(work.decision, targets=(replace(targets[0], id=new, label=None),))
        return replace(work, decision=decision, readings=found)

    def declares(self, work: Work, before: Image | None) -> tuple[str, ...]:
        """What is to go back. The rest of a whole record is sent as it was found: that is others' still."""
        named = declared_fields(work, work.arguments, before)
        wanted = {leaf(name) for name in self.plan.remedy.expected}
        mine = tuple(name for name in named if name in wanted)
        return mine if mine and WHOLE not in wanted else named

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
            expected,
            stored_before,
            stored_after,
            ignore=work.ignore,
            residue=self.plan.remedy.residue,
            lists=lists_of(self.services, self.original),
            declared=declared_fields(work, sent, before),
        )
        evidence = {MOVED: dict(self.moved)} if self.moved else {}
        touches = self.first or bool(differences(stored_before, stored_after, ignore=work.ignore))
        bare = touches and not conditions_of(self.services, work, before)
        self.outcome = replace(judged, unconditioned=self.unconditioned or bare, evidence=evidence)
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
        if happening is not Happening.SUCCEED or self.redone is None:
            return (moved,)
        actor = f"redo {action.id} for {action.principal}"
        again = next_fact(
            self.services, self.redone, Happening.REDO, actor=actor, detail=self.reason, in_force=True, outcome=None
        )
        return (moved, again)

    def _moved(self, happening: Happening, action: Action) -> tuple[Event, Action] | None:
        actor = f"{action.origin.value} {action.id} for {action.principal}"
        match happening:
            case Happening.CLAIM if self.first and not self.plan.goes_on:
                # From what was loaded: a claim that was refused is made again, and moved nothing.
                loaded = self.plan.action
                return next_fact(self.services, loaded, Happening.COMPENSATE, actor=actor, detail=self.reason)
            case Happening.CLAIM if self.first:
                # It only says so; but where somebody has brought the undo to its end meanwhile, nothing is claimed.
                loaded, goes_on = self.plan.action, "the undo goes on"
                return next_fact(self.services, loaded, Happening.NOTE, actor=actor, detail=goes_on)
            case Happening.SUCCEED if self.last:
                document = self.outcome.document() if self.outcome is not None else None
                return next_fact(
                    self.services, self.original, Happening.RESTORE, actor=actor, detail=self.reason,
                    compensated_by=action.id, in_force=self.plan.corrects, outcome=document,
                )  # fmt: skip
            case Happening.CANCEL if not self.first or self.plan.goes_on:
                return None  # it goes on from here when somebody looks again
            case Happening.FAIL | Happening.CANCEL if (
                action.in_force or not self.first or self.plan.action.status not in _AS_IT_WAS
            ):
                return next_fact(self.services, self.original, Happening.GIVE_UP, actor=actor, detail="the undo failed")
            case Happening.FAIL | Happening.CANCEL:
                return next_fact(
                    self.services, self.original, Happening.SPARE, actor=actor, detail="the undo had no effect"
                )
            case Happening.GIVE_UP:
                return next_fact(
                    self.services, self.original, Happening.GIVE_UP, actor=actor, detail="the undo is in doubt"
                )
            case _:
                return None

    def queued(self) -> tuple[RecoveryItem, ...]:
        """An undo that failed leaves its original to a person."""
        if self.original.status is not Status.NEEDS_OPERATOR:
            return ()
        why = self.outcome.text if self.outcome is not None else "the call that should take it back failed"
        return (recovery_item(self.services, self.original, f"the undo failed: {why}", Cause.UNDO_FAILED),)

    def settles(self, action: Action) -> tuple[Settled, ...]:
        """What is taken back leaves nothing to look at."""
        if self.original.status is not Status.COMPENSATED:
            return ()
        reason, decision = f"taken back as {action.id}: {self.reason}", QueueDecision.COMPENSATE
        return (settled(self.services, self.original, EVERY_CAUSE, reason, by=action.principal, decision=decision),)

    def conclusions(
        self, work: Work, before: Image | None, after: Image | None, verification: Verification, result: JSON
    ) -> dict[str, Any]:
        """The outcome, in the words of the forecast; and how an undo could itself be taken back."""
        outcome = {"outcome": self.outcome.document() if self.outcome is not None else None}
        if work.origin is Origin.REDO or self.plan.corrects:
            return outcome
        return outcome | way_to_redo(self.services, work, self.plan.action, before, after, result)


def filled(step: Step, current: Image | None, reason: str, goal: JSON) -> dict[str, JSON]:
    """The arguments with those that need `current`, `restored` or `reason`.

    Raises:
        Refusal: one has no value, or is not kept: a redacted value can be compared and never written.
    """
    variables = {"reason": reason, "restored": goal, **image_variables(current=current)}
    try:
        late = {name: Expression(source).value(variables) for name, source in step.late.items()}
    except ExpressionError as error:
        raise Refusal(f"Not undone: {error}. Nothing was changed.") from None
    arguments = {**step.arguments, **late}
    if lost := [name for name, value in arguments.items() if is_redacted(value)]:
        raise Refusal(f"Not undone: {', '.join(lost)} was redacted and cannot be written back. Nothing was changed.")
    return arguments


async def carry_out(
    services: Services, caller: Caller, plan_: Plan, reason: str, redone: Action | None = None
) -> tuple[Reply, Undoing]:
    """Run the compensation, step by step; stops at the first that does not succeed, never because the caller has gone.

    Raises:
        NotUndoable: a step's tool is gone, or the policy of today does not allow it.
    """
    return await services.tasks.shielded(_steps(services, caller, plan_, reason, redone))


async def _steps(
    services: Services, caller: Caller, plan_: Plan, reason: str, redone: Action | None
) -> tuple[Reply, Undoing]:
    reply: Reply | None = None
    undoing: Undoing | None = None
    index, unconditioned = 0, plan_.goes_on
    while index < len(plan_.remedy.steps):
        step, last = plan_.remedy.steps[index], index == len(plan_.remedy.steps) - 1
        undoing = Undoing(services, plan_, step, reason, index == 0, last, unconditioned, redone)
        reply = await write(services, _work(services, caller, undoing, index))
        if reply.action is None or reply.action.status is not Status.SUCCEEDED:
            break
        unconditioned = undoing.outcome is None or undoing.outcome.unconditioned
        plan_ = replace(undoing.plan, action=await services.ledger.action(caller.tenant, plan_.action.id))
        index += 1
    if reply is None or undoing is None:
        raise NotUndoable("the compensation has no step to take")
    return reply, undoing


def _work(services: Services, caller: Caller, undoing: Undoing, index: int) -> Work:
    action, step, plan_ = undoing.original, undoing.step, undoing.plan
    entry = services.catalog.named(step.tool)
    if entry is None:
        raise NotUndoable(f"the tool {step.tool} that would take it back is not there any more")
    try:
        arguments = filled(step, plan_.current, undoing.reason, plan_.material.goal)
    except Refusal as refusal:
        raise NotUndoable(str(refusal).removeprefix("Not undone: ").removesuffix(". Nothing was changed.")) from None
    ignore, redact = rule_fields(services, action)
    today = authority(services, caller, action, step, arguments)
    decision = replace(today, targets=plan_.place.targets, late_targets=(), effect=Effect.SET)
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
        readings=plan_.readings,
        variables=_variables(caller, decision, arguments, undoing.reason),
        purpose=undoing,
        redact=redact,
        ignore=ignore,
        origin=Origin.REDO if action.origin is Origin.UNDO else Origin.UNDO,
        original=action.id,
        reason=undoing.reason,
        takes_back=action.name if step.tool.startswith(CODE) else "",
    )


def _variables(caller: Caller, decision: Decision, arguments: dict[str, JSON], reason: str) -> dict[str, JSON]:
    who: dict[str, JSON] = {"tenant": caller.tenant, "user": caller.principal, "run": caller.run, "reason": reason}
    return {"args": arguments, **who, **target_variables(decision.targets)}


def _round(action: Action) -> str:
    """Tells an undo after a redo from the undo before it: the compensation that stood last."""
    return action.compensated_by or ""
