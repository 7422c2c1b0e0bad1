"""What a rule guarantees: against duplicates, in doubt, and for undo; each from weak to strong."""

from __future__ import annotations

from dataclasses import dataclass

from takeback.core.policy.schema import PolicyFile, Rule
from takeback.core.vocabulary import ActionClass, Does, Effect


@dataclass(frozen=True, slots=True)
class Guarantees:
    """In a few words each; `stronger` names what would make them stronger (empty: nothing)."""

    duplicates: str
    in_doubt: str
    undo: str
    stronger: str


def guarantees(rule: Rule, file: PolicyFile) -> Guarantees:
    """What the guard can promise for a rule, from the policy alone."""
    if rule.is_read:
        return Guarantees("-", "-", "-", "")
    upstream = file.upstream.get(rule.tool.partition(".")[0])
    keyed = rule.idempotency is not None or (upstream is not None and upstream.idempotency is not None)
    readable = rule.read is not None or (bool(rule.target) and all(spec.read is not None for spec in rule.target))
    lands = rule.lands_within is not None or (upstream is not None and upstream.lands_within is not None)
    wishes: list[str] = []
    return Guarantees(
        _duplicates(rule, keyed, wishes),
        _in_doubt(rule, keyed, readable, lands, wishes),
        _undo(rule, readable, wishes),
        "; ".join(dict.fromkeys(wishes)),
    )


def _duplicates(rule: Rule, keyed: bool, wishes: list[str]) -> str:
    if keyed:
        return "strong: the upstream honours the key"
    if rule.effect is Effect.SET:
        return "strong: repeating it changes nothing"
    if not rule.target and rule.operation is None:
        wishes.append("a target")
        return "fair: by equal arguments"
    return "good: by target and arguments"


def _in_doubt(rule: Rule, keyed: bool, readable: bool, lands: bool, wishes: list[str]) -> str:
    if keyed:
        return "strong: the same call again"
    if rule.effect is Effect.SET and readable:
        if lands:
            return "strong: the target is compared, and sent again if unchanged"
        wishes.append("lands_within")
        return "good: the target is compared"
    if rule.probe is not None:
        if not lands:
            wishes.append("lands_within")
        return "good: the probe looks for it"
    wishes.append("probe" if rule.effect is Effect.ONCE else "read")
    return "weak: a person looks"


def _undo(rule: Rule, readable: bool, wishes: list[str]) -> str:
    if isinstance(rule.undo, tuple) and rule.undo:
        if not readable:
            wishes.append("read")
            return "fair: possible, never read back"
        return "strong: exact, read back" + (" (for a time)" if rule.undo_within else "")
    if rule.correct is not None:
        return "weak: only a correction"
    if rule.undo != "none" and rule.action_class is not ActionClass.EXTERNAL_IRREVERSIBLE:
        wishes.append("undo")
    elif rule.action_class is ActionClass.EXTERNAL_IRREVERSIBLE and rule.effective_does is Does.SEND:
        wishes.append("correct")
    return "none"
