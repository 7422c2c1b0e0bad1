"""What a plan's steps would be: each held against its tool's schema, and decided by the policy, before any runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.action import Target
from takeback.core.canonical import NotCanonical
from takeback.core.expressions import ExpressionError
from takeback.core.jsontext import JSON
from takeback.core.phrases import quoted
from takeback.core.plan import PlanDocument, PlanStep, Reference, references, with_holes
from takeback.core.policy.decide import Decision, Undecidable
from takeback.core.undo import Forecast
from takeback.core.vocabulary import ActionClass, Does, Origin, Risk, UndoOutcome
from takeback.guard.barring import barred, cautioned
from takeback.guard.calling import CallRequest, make_work
from takeback.guard.catalog import Entry
from takeback.guard.purposes import forecast
from takeback.guard.services import Services, Work
from takeback.ports import Caller

_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One step as it looks now. `work` is None for a read, and where its arguments have to wait for a result.

    `targets` are those that do not depend on a result.
    """

    step: PlanStep
    entry: Entry
    decision: Decision
    outlook: Forecast | None
    targets: tuple[Target, ...] = ()
    work: Work | None = None

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.decision.verdict == "forward"

    @property
    def irreversible(self) -> bool:
        """Whether nothing takes it back; a correction that is sent after it does not."""
        if self.is_read:
            return False
        refused = self.outlook is None or self.outlook.outcome is UndoOutcome.REFUSED
        return refused or self.decision.action_class is ActionClass.EXTERNAL_IRREVERSIBLE

    @property
    def open(self) -> bool:
        """Whether something of its arguments is known only later."""
        return any(True for _ in references(dict(self.step.arguments)))


def judged(services: Services, caller: Caller, plan: PlanDocument) -> tuple[list[Judged], list[str]]:
    """Every step as it looks now, and what is wrong with them, in sentences without a full stop."""
    found: list[Judged] = []
    problems: list[str] = []
    by_id = {step.id: services.catalog.named(step.tool) for step in plan.steps}
    for step in plan.steps:
        entry = by_id[step.id]
        if entry is None:
            problems.append(f"step {step.id}: there is no tool {quoted(step.tool, _SHOWN)}")
            continue
        wrong = [*_against_schema(entry, step), *_against_results(step, by_id)]
        one = _one(services, caller, step, entry) if not wrong else None
        problems += [f"step {step.id}: {why}" for why in (*wrong, *([one] if isinstance(one, str) else []))]
        if isinstance(one, Judged):
            found.append(one)
    return found, problems + beyond_limits(found)


def _against_schema(entry: Entry, step: PlanStep) -> list[str]:
    """What the tool's schema says; not about what comes from results."""
    arguments = dict(step.arguments)
    holes = [one.place for one in references(arguments)]
    filled = with_holes(arguments, lambda _: None)
    unknown = [f"the tool knows no argument {name}" for name in sorted(entry.unknown(arguments))]
    return unknown + entry.problems(filled, holes=holes)


def _against_results(step: PlanStep, by_id: Mapping[str, Entry | None]) -> list[str]:
    """References to what the referred tool's output schema does not know."""
    found = []
    for one in references(dict(step.arguments)):
        entry = by_id.get(one.step)
        known = _outputs(entry) if entry is not None else None
        if known and one.path and one.path[0] not in known:
            part = quoted(str(one.path[0]), _SHOWN)
            found.append(f"the result of {one.step} has no {part}; it has {', '.join(sorted(known))}")
    return found


def _outputs(entry: Entry) -> set[str] | None:
    """The parts of a tool's result, where its output schema lists them and does not invite others."""
    schema = entry.definition.raw.get("outputSchema")
    if not isinstance(schema, Mapping) or schema.get("additionalProperties") not in {None, False}:
        return None
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or set(properties) == {"result"}:  # a framework's wrapper, taken off
        return None
    return {name for name in properties if isinstance(name, str)}


def _one(services: Services, caller: Caller, step: PlanStep, entry: Entry) -> Judged | str:
    arguments = with_holes(dict(step.arguments), _hole)
    known = not any(True for _ in references(dict(step.arguments)))
    try:
        decision = services.decide(caller, step.tool, arguments)
        if (refusal := barred(services.catalog, entry, decision)) is not None:
            return _first_text(refusal.result)
        if decision.verdict == "deny":
            return f"{decision.why} ({decision.rule_id})"
        if decision.verdict == "forward":
            return Judged(step=step, entry=entry, decision=decision, outlook=None)
        decision = cautioned(services.catalog, decision)
        targets = _certain(services, caller, step, decision)
        if not services.kept_whole(arguments, decision.rule.redact if decision.rule else ()):
            return "it has arguments that are not kept, so that nobody could go on with the plan; call it by itself"
        request = CallRequest(caller=caller, name=entry.exposed, arguments=arguments, origin=Origin.PLAN)
        work = make_work(services, request, entry, decision) if known else None
    except (Undecidable, ExpressionError, NotCanonical) as error:
        return str(error)
    later = outlook(services, decision)
    return Judged(step=step, entry=entry, decision=decision, outlook=later, targets=targets, work=work)


def _certain(services: Services, caller: Caller, step: PlanStep, decision: Decision) -> tuple[Target, ...]:
    """The targets that stay the same whatever the results are that its arguments wait for."""
    other = with_holes(dict(step.arguments), lambda reference: f"{_hole(reference)}, another")
    again = services.decide(caller, step.tool, other)
    return tuple(target for target in decision.targets if target in again.targets)


def outlook(services: Services, decision: Decision) -> Forecast | None:
    """What an undo of the step would come to; None where no rule says."""
    if decision.rule is None:
        return None
    readable = bool(decision.rule.read) or bool(decision.late_targets)
    return forecast(services.policy, decision.rule, readable=readable, now=None, resolved=None)


def _hole(reference: Reference) -> JSON:
    way = ".".join(map(str, reference.path))
    return f"<{reference.step}{f': {way}' if way else ''}>"


def _first_text(result: Mapping[str, Any] | None) -> str:
    blocks = (result or {}).get("content") or [{}]
    return str(blocks[0].get("text", "it cannot be called")).rstrip(".")


def beyond_limits(steps: Sequence[Judged]) -> list[str]:
    """The limits of a run that the plan alone would exceed."""
    writes = [one for one in steps if not one.is_read]
    deletes = [one for one in writes if one.decision.does is Does.DELETE]
    found = []
    for name, ones in (("writes_per_run", writes), ("deletes_per_run", deletes)):
        allowed = [getattr(one.decision.limits, name) for one in ones]
        least = min((most for most in allowed if most is not None), default=None)
        if least is not None and len(ones) > least:
            found.append(f"it has {len(ones)} of what `{name}` allows {least} of")
    return found


def shared(steps: Iterable[Judged]) -> dict[str, frozenset[str]]:
    """By step: what it is about, as far as that is known before it runs."""
    return {one.step.id: frozenset(target.lease_name for target in one.targets) for one in steps}


def highest(steps: Iterable[Judged]) -> Risk:
    """The risk of the whole: that of its riskiest step."""
    return max((one.decision.risk for one in steps if not one.is_read), key=lambda risk: risk.rank, default=Risk.LOW)
