"""The decision about one call: a pure function of policy and call that names the rule that made it and why."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Literal

from takeback.core.action import Target
from takeback.core.expressions import Expression, ExpressionError
from takeback.core.jsontext import JSON
from takeback.core.policy.load import NumberedRule, Policy
from takeback.core.policy.schema import Limits, Retry, Rule, TargetSpec
from takeback.core.vocabulary import ActionClass, Does, Effect, Risk

Verdict = Literal["forward", "run", "ask", "deny"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to happen with a call. `forward` is the short way of a read; `run`, `ask` and `deny` are for writes."""

    verdict: Verdict
    why: str
    rule_id: str
    rule: Rule | None
    policy_digest: str
    action_class: ActionClass
    effect: Effect
    does: Does
    risk: Risk
    upstream: str = ""
    targets: tuple[Target, ...] = ()
    late_targets: tuple[TargetSpec, ...] = ()
    limits: Limits = field(default_factory=Limits)
    retry: Retry = field(default_factory=Retry)
    timeout: timedelta = timedelta(seconds=30)


class Undecidable(Exception):
    """The call does not have what its rule needs (a target's id, say): the caller can mend it. Nothing was executed."""


_UNKNOWN: Final[dict[str, tuple[Verdict, str]]] = {
    "deny": ("deny", "no rule of the policy knows this tool, and the policy denies unknown tools"),
    "ask": ("ask", "no rule of the policy knows this tool, so a person must agree"),
    "allow": ("run", "no rule of the policy knows this tool, and the policy allows unknown tools"),
}


def match(policy: Policy, tool: str, variables: Mapping[str, JSON]) -> NumberedRule | None:
    """The first rule that matches the tool and whose `when`, if it has one, is true.

    Raises:
        Undecidable: a `when` has no value for these arguments, so that it is unknown which rule holds.
    """
    for numbered in policy.rules_for(tool):
        when = numbered.rule.when
        try:
            if when is None or when.truth(variables):
                return numbered
        except ExpressionError as error:
            raise Undecidable(f"{numbered.id}: {error}") from None
    return None


def decide(policy: Policy, tool: str, arguments: Mapping[str, JSON], *, tenant: str, user: str, run: str) -> Decision:
    """Decide about one call.

    Raises:
        Undecidable: the arguments lack what the rule needs.
    """
    variables = {"args": arguments, "tenant": tenant, "user": user, "run": run}
    numbered = match(policy, tool, variables)
    if numbered is None:
        return _unknown(policy)
    rule, upstream = numbered.rule, tool.partition(".")[0]
    if rule.is_read:
        return _decision(policy, numbered, "forward", "the rule says that this tool only reads", ())
    try:
        targets, late = _targets(rule, variables, upstream)
        verdict, why = approval_of(policy, rule, variables | target_variables(targets))
    except ExpressionError as error:
        raise Undecidable(f"{numbered.id}: {error}") from None
    return replace(_decision(policy, numbered, verdict, why, targets), late_targets=late, upstream=upstream)


def resolve_late(decision: Decision, variables: Mapping[str, JSON]) -> tuple[Target, ...]:
    """All targets, once the tool's `result` names those that it created.

    Raises:
        ExpressionError: the result does not name them.
    """
    return (*decision.targets, *(_target(spec, variables, decision.upstream) for spec in decision.late_targets))


def target_variables(targets: tuple[Target, ...]) -> dict[str, JSON]:
    """`target` (the only one, or a map by name) as expressions see it."""
    as_json = {target.name: {"type": target.type, "id": target.id} for target in targets}
    if len(targets) == 1:
        return {"target": next(iter(as_json.values()))}
    return {"target": as_json, "targets": as_json} if targets else {}


def canonical_id(spec: TargetSpec, value: JSON) -> str:
    """One spelling for an id: as it is, trimmed, lower case, a normalised path, or the rule's expression over `id`."""
    text = value if isinstance(value, str) else str(value)
    if isinstance(spec.canonical, Expression):
        return str(spec.canonical.value({"id": text}))
    match spec.canonical:
        case "exact":
            return text
        case "trim":
            return text.strip()
        case "lower":
            return text.strip().lower()
        case "path":
            return posixpath.normpath(text.strip())


def _targets(
    rule: Rule, variables: Mapping[str, JSON], upstream: str
) -> tuple[tuple[Target, ...], tuple[TargetSpec, ...]]:
    """Targets that are known now, and those that only the result will name."""
    known: list[Target] = []
    late: list[TargetSpec] = []
    for spec in rule.target:
        try:
            known.append(_target(spec, variables, upstream))
        except ExpressionError:
            if "result" not in spec.id.names:
                raise
            late.append(spec)
    return tuple(known), tuple(late)


def _target(spec: TargetSpec, variables: Mapping[str, JSON], upstream: str) -> Target:
    """The target of a call. Unless the rule names the thing itself, it is the upstream's own.

    Several guards share a ledger, and another system's ticket of the same number is another ticket.
    """
    value = spec.id.value(variables)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ExpressionError(f"`{spec.id.source}` must name the target by a string or an integer")
    found = canonical_id(spec, value)
    own = f"{upstream}/{spec.type}:{found}"
    resource = own if spec.resource is None else str(spec.resource.value({**variables, "id": found}))
    return Target(spec.type, found, spec.name, None, resource)


def approval_of(policy: Policy, rule: Rule, variables: Mapping[str, JSON]) -> tuple[Verdict, str]:
    """Whether a write asks a person, and why.

    Raises:
        ExpressionError: the rule's `approval` has no value for these variables.
    """
    risk, asked = rule.effective_risk, rule.approval
    if asked == "always":
        return "ask", "the rule asks for approval always"
    if asked == "never":
        return "run", "the rule asks for no approval"
    if isinstance(asked, Expression):
        wanted = asked.truth(variables)
        return ("ask", f"`{asked.source}` is true") if wanted else ("run", f"`{asked.source}` is false")
    threshold = asked if isinstance(asked, Risk) else policy.file.defaults.approval
    if rule.action_class is ActionClass.EXTERNAL_IRREVERSIBLE and asked is None:
        return "ask", "it cannot be undone, so a person must agree"
    if risk.rank >= threshold.rank:
        return "ask", f"its risk is {risk.value}, and a person must agree from {threshold.value}"
    return "run", f"its risk is {risk.value}, below {threshold.value}"


def _decision(
    policy: Policy, numbered: NumberedRule, verdict: Verdict, why: str, targets: tuple[Target, ...]
) -> Decision:
    rule, defaults = numbered.rule, policy.file.defaults
    upstream = policy.file.upstream.get(rule.tool.partition(".")[0])
    timeout = rule.timeout or (upstream.timeout if upstream else None) or defaults.timeout
    return Decision(
        verdict=verdict,
        why=why,
        rule_id=numbered.id,
        rule=rule,
        policy_digest=policy.digest,
        action_class=rule.action_class,
        effect=rule.effect,
        does=rule.effective_does,
        risk=rule.effective_risk,
        targets=targets,
        limits=rule.limits or defaults.limits,
        retry=rule.retry or defaults.retry,
        timeout=timeout,
    )


def _unknown(policy: Policy) -> Decision:
    verdict, why = _UNKNOWN[policy.file.defaults.unknown_tools]
    return Decision(
        verdict=verdict,
        why=why,
        rule_id="defaults.unknown_tools",
        rule=None,
        policy_digest=policy.digest,
        action_class=ActionClass.EXTERNAL_IRREVERSIBLE,
        effect=Effect.ONCE,
        does=Does.SEND,
        risk=Risk.HIGH,
        limits=policy.file.defaults.limits,
        retry=policy.file.defaults.retry,
        timeout=policy.file.defaults.timeout,
    )
