"""What an agent's call asks of its execution: the boundary, the verification, the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from takeback.core.action import Action, Event
from takeback.core.expressions import Expression, ExpressionError
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.policy.decide import resolve_late, target_variables
from takeback.core.policy.load import Policy
from takeback.core.policy.places import named_by_result
from takeback.core.policy.schema import NamedUndo, Rule, Undo
from takeback.core.queue import RecoveryItem, Settled
from takeback.core.redaction import is_redacted
from takeback.core.states import Happening
from takeback.core.undo import Forecast, changed
from takeback.core.verification import Verification, verify
from takeback.core.vocabulary import ActionClass, Does, UndoOutcome, Verified
from takeback.core.wording import refused
from takeback.guard.readings import readings
from takeback.guard.services import Refusal, Work
from takeback.guard.undo.step import step_of


@dataclass(frozen=True, slots=True)
class AgentCall:
    """The purpose of a call that the agent made."""

    now: datetime
    policy: Policy

    async def ready(self, work: Work, before: Image | None) -> dict[str, JSON]:
        """The client's own arguments, once the boundary holds on what was read. Raises Refusal where it does not."""
        rule = work.decision.rule
        if rule is not None and rule.require is not None:
            check_boundary(rule.require, work.variables, before)
        return work.arguments

    def declares(self, work: Work, before: Image | None) -> tuple[str, ...]:
        """What the rule says, or the arguments."""
        return declared_fields(work, work.arguments, before)

    def check(
        self, work: Work, sent: Mapping[str, JSON], before: Image | None, after: Image | None, result: JSON
    ) -> Verification:
        """The rule's `verify`, else the fields that the arguments name, else presence."""
        rule = work.decision.rule
        if rule is None:
            return Verification(Verified.IMPOSSIBLE, "no_read")
        variables = {**work.variables, "result": result, **image_variables(before=before, after=after)}
        return verify(
            rule=rule.verify,
            does=work.decision.does,
            arguments=sent,
            writes=rule.writes,
            before=before,
            after=after,
            variables=variables,
            identity=identity(rule),
            ignore=rule.ignore,
        )

    def located(self, work: Work, result: JSON) -> Work:
        """Targets that the call created are known now, and can be read."""
        rule = work.decision.rule
        if not work.decision.late_targets or rule is None:
            return work
        variables = {**work.variables, "result": result}
        try:
            targets = resolve_late(work.decision, variables)
            variables |= target_variables(targets)
            found = readings(rule, variables)
        except ExpressionError:
            return work
        decision = replace(work.decision, targets=targets, late_targets=())
        return replace(work, decision=decision, readings=found, variables=variables)

    def companions(self, happening: Happening, action: Action, event: Event) -> tuple[tuple[Event, Action], ...]:
        """None: an agent's call moves no other action."""
        return ()

    def queued(self) -> tuple[RecoveryItem, ...]:
        """None: what becomes of the call itself is not its purpose's to say."""
        return ()

    def settles(self, action: Action) -> tuple[Settled, ...]:
        """None, for the same reason."""
        return ()

    def conclusions(
        self, work: Work, before: Image | None, after: Image | None, verification: Verification, result: JSON
    ) -> dict[str, Any]:
        """The compensation, resolved and stored, and the forecast for it."""
        return way_back(self.policy, work, before, after, result, self.now)


def way_back(
    policy: Policy, work: Work, before: Image | None, after: Image | None, result: JSON, now: datetime
) -> dict[str, Any]:
    """The compensation of a write that took effect, resolved by the rule that it ran under, and the forecast for it."""
    rule = work.decision.rule
    if rule is None:
        return {"forecast": Forecast(UndoOutcome.REFUSED, "impossible").document()}
    variables = {**work.variables, "result": result, **image_variables(before=before, after=after)}
    compensation = resolve(rule, variables, work)
    readable = after is not None and after.readable and (before is None or before.readable)
    outlook = forecast(policy, rule, readable=readable, now=now, resolved=compensation)
    return {"compensation": compensation, "forecast": outlook.document()}


def check_boundary(require: Expression, variables: Mapping[str, JSON], before: Image | None) -> None:
    """Refuse unless `require` holds on what was read. What cannot be evaluated does not hold."""
    try:
        held = require.truth({**variables, **image_variables(before=before)})
    except ExpressionError:
        held = False
    if not held:
        raise Refusal(
            refused("the target is outside what this agent may change", "Tell the user; do not try another way.")
        )


def image_variables(**images: Image | None) -> dict[str, JSON]:
    """Images as expressions see them. One that was not taken or could not be read has no variable: it is not absent."""
    return {name: image.variable() for name, image in images.items() if image is not None and image.readable}


def identity(rule: Rule) -> frozenset[str]:
    """The arguments that only name the target: they are not fields that the call writes."""
    paths = [spec.id.path for spec in rule.target]
    return frozenset(path[1] for path in paths if path and len(path) > 1 and path[0] == "args")


def forecast(policy: Policy, rule: Rule, *, readable: bool, now: datetime | None, resolved: JSON) -> Forecast:
    """What an undo would come to, in the words of its outcome.

    `now` is the time from which `undo_within` counts (None: not yet known); `resolved` is the stored compensation (null
    before the write).
    """
    until = now + rule.undo_within if now is not None and rule.undo_within is not None else None
    within = f" until {until:%Y-%m-%d %H:%M} UTC" if until else " for a time" if rule.undo_within else ""
    if isinstance(rule.undo, tuple) and rule.undo and (resolved is None or resolved.get("steps") is not None):
        residue = (*(resolved or {}).get("unwritable", ()), *_new_names(policy, rule, resolved))
        if residue:
            return Forecast(UndoOutcome.COMPENSATED, f"all but {', '.join(residue)}{within}", until, residue)
        if readable:
            return Forecast(UndoOutcome.EXACT, f"exact{within}", until)
        return Forecast(UndoOutcome.COMPENSATED, f"possible{within}, but it cannot be read back", until)
    if rule.correct is not None:
        return Forecast(UndoOutcome.COMPENSATED, "only a correction", None, ("what was done stays done",))
    return Forecast(UndoOutcome.REFUSED, "impossible")


def _new_names(policy: Policy, rule: Rule, resolved: JSON) -> tuple[str, ...]:
    """What is made anew gets another id, where the tool that makes it names what it made in its result.

    Unless the undo asks for the old one: whether the upstream then gave it is for the outcome to say.
    """
    if (resolved or {}).get("way", way(rule, _calls(rule)[0], {})) != "recreate":
        return ()
    calls = [call for call in _calls(rule) if isinstance(call, Undo)][:1]
    if any(expression.path == ("target", "id") for call in calls for expression in call.args.expressions()):
        return ()
    makers = [rules[0].rule for call in calls if (rules := policy.rules_for(call.tool))]
    return ("its id",) if any(named_by_result(maker) for maker in makers) else ()


def resolve(rule: Rule, variables: Mapping[str, JSON], work: Work) -> JSON:
    """The compensation with every argument filled in that can be filled in now; null where the rule has none.

    An argument that cannot be resolved makes the whole compensation unusable, with the reason (`problem`).
    """
    declared = _calls(rule)
    if not declared:
        return None
    base = {
        "policy": work.decision.policy_digest,
        "readings": [reading.document() for reading in work.readings],
        "way": way(rule, declared[0], variables),
        "corrects": not isinstance(rule.undo, tuple),
        "options": {},
        "ignore": list(rule.ignore),
        "redact": list(rule.redact),
    }
    try:
        calls = [call for call in declared if _applies(call, variables)]
        steps = [step_of(call, variables) for call in calls]
        moved = {name: by.value(variables) for name, by in rule.by.items()}
    except ExpressionError as error:
        return {**base, "steps": None, "problem": str(error)}
    if not calls:
        return {**base, "steps": None, "problem": "no undo call of the rule applies to what it did"}
    base |= {
        "way": way(rule, calls[0], variables),
        "options": calls[0].options if isinstance(calls[0], NamedUndo) else moved,
    }
    marked = [name for step in steps for name, value in step.arguments.items() if is_redacted(value)]
    return {**base, "steps": [step.document() for step in steps], "unwritable": marked}


def _calls(rule: Rule) -> tuple[Any, ...]:
    if isinstance(rule.undo, tuple):
        return rule.undo
    return (rule.correct,) if rule.correct is not None else ()


def _applies(call: Undo | NamedUndo, variables: Mapping[str, JSON]) -> bool:
    when = getattr(call, "when", None)
    return when is None or when.truth(variables)


def way(rule: Rule, first: Undo | NamedUndo, variables: Mapping[str, JSON]) -> str:
    """Which compensation takes the write back: the one the call names, else the one that fits what the write did."""
    if not isinstance(rule.undo, tuple):
        return "correct"
    if first.compensation:
        return first.compensation
    if rule.by:
        return "adjust"
    does = _did(rule, variables)
    if does is Does.CREATE:
        return "remove"
    if does is Does.DELETE:
        return "recreate"
    return "inverse" if rule.action_class is ActionClass.EXTERNAL_REVERSIBLE else "restore"


def _did(rule: Rule, variables: Mapping[str, JSON]) -> Does:
    """What the write did, by its images: writing a file may create it."""
    declared = rule.effective_does
    if declared is Does.UPDATE and "before" in variables and "after" in variables:
        appeared, vanished = variables["before"] is None, variables["after"] is None
        if appeared is not vanished:
            return Does.CREATE if appeared else Does.DELETE
    return declared


def declared_fields(work: Work, sent: Mapping[str, JSON], image: Image | None) -> tuple[str, ...]:
    """The fields that a call declares to write: the rule's `writes`, else those that its arguments name."""
    rule = work.decision.rule
    if rule is None or work.decision.does in {Does.CREATE, Does.DELETE}:
        return ()
    if rule.writes is not None:
        return rule.writes
    if rule.by:
        return tuple(rule.by)
    values = [p.value for p in image.parts if isinstance(p.value, Mapping)] if image is not None else []
    only_name = identity(rule)
    return tuple(name for name in sent if name not in only_name and any(name in value for value in values))


def differing(work: Work, action: Action, before: Image | None, after: Image | None) -> tuple[Any, ...]:
    """What the action changed, by its images."""
    if before is None or after is None or not before.readable or not after.readable:
        return ()
    return changed(before, after, declared=action.fields, ignore=work.ignore)
