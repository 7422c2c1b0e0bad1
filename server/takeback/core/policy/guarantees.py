"""What a rule guarantees: against duplicates, in doubt, and for undo; each from weak to strong.

Each column is a table of kinds of protection, the strongest first. The first that holds is what a rule has; those above
it are what would make it stronger, as far as they are possible. A new kind of protection is one more row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from takeback.core.policy.live.offers import Live, possible
from takeback.core.policy.load import Policy
from takeback.core.policy.places import is_read_back, undo_calls
from takeback.core.policy.schema import Call, Condition, Rule
from takeback.core.vocabulary import ActionClass, Does, Effect


class Strength(StrEnum):
    """How far a protection goes."""

    STRONG = "strong"
    GOOD = "good"
    FAIR = "fair"
    WEAK = "weak"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a rule: from the policy, and from its upstreams where they were asked."""

    rule: Rule
    keyed: bool
    readable: bool
    lands: bool
    conditional_undo: bool

    @property
    def undone(self) -> bool:
        """Whether the rule has a way back."""
        return isinstance(self.rule.undo, tuple) and bool(self.rule.undo)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of protection: when a rule has it (`holds`), and when it could (`possible`).

    `wish` is what would have to be added for it; empty: nothing that a policy can add.
    """

    strength: Strength
    says: str
    holds: Callable[[Facts], bool]
    wish: str = ""
    possible: Callable[[Facts], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class Protection:
    """What a rule has of one column. `stronger` are the wishes, the strongest first."""

    strength: Strength
    says: str
    stronger: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.strength}: {self.says}" if self.says else str(self.strength)


def _is_set(facts: Facts) -> bool:
    return facts.rule.effect is Effect.SET


def _can_be_undone(facts: Facts) -> bool:
    return facts.rule.undo != "none" and facts.rule.action_class is not ActionClass.EXTERNAL_IRREVERSIBLE


_KEY: Final = "idempotency (where the upstream takes a key)"

DUPLICATES: Final = (
    Kind(Strength.STRONG, "the upstream honours the key", lambda f: f.keyed, _KEY, lambda f: not _is_set(f)),
    Kind(Strength.STRONG, "repeating it changes nothing", _is_set),
    Kind(Strength.GOOD, "by target and arguments", lambda f: bool(f.rule.target or f.rule.operation), "a target"),
    Kind(Strength.FAIR, "by equal arguments", lambda _: True),
)

IN_DOUBT: Final = (
    Kind(Strength.STRONG, "the same call again", lambda f: f.keyed, _KEY, lambda f: not _is_set(f)),
    Kind(
        Strength.STRONG, "the target is compared, and sent again if unchanged",
        lambda f: _is_set(f) and f.readable and f.lands, "lands_within", lambda f: _is_set(f) and f.readable,
    ),
    Kind(Strength.GOOD, "the target is compared", lambda f: _is_set(f) and f.readable, "read", _is_set),
    Kind(
        Strength.GOOD, "the probe looks for it, and it is sent again if it is not there",
        lambda f: f.rule.probe is not None and f.lands, "lands_within", lambda f: f.rule.probe is not None,
    ),
    Kind(
        Strength.FAIR, "the probe looks for it", lambda f: f.rule.probe is not None, "probe", lambda f: not _is_set(f)
    ),
    Kind(Strength.WEAK, "a person looks", lambda _: True),
)  # fmt: skip

UNDO: Final = (
    Kind(
        Strength.STRONG, "by the difference, read back", lambda f: f.undone and f.readable and bool(f.rule.by)
    ),
    Kind(
        Strength.STRONG, "exact, read back, and on condition that nobody changed it since",
        lambda f: f.undone and f.readable and f.conditional_undo, "condition (in the rule of the tool that undoes it)",
        lambda f: f.undone and f.readable,
    ),
    Kind(
        Strength.GOOD, "exact, read back", lambda f: f.undone and f.readable, "read", lambda f: f.undone
    ),
    Kind(Strength.FAIR, "possible, never read back", lambda f: f.undone, "undo", _can_be_undone),
    Kind(
        Strength.WEAK, "only a correction", lambda f: f.rule.correct is not None, "correct",
        lambda f: not _can_be_undone(f) and f.rule.effective_does is Does.SEND,
    ),
    Kind(Strength.NONE, "", lambda _: True),
)  # fmt: skip

COLUMNS: Final[Mapping[str, tuple[Kind, ...]]] = {"duplicates": DUPLICATES, "in doubt": IN_DOUBT, "undo": UNDO}


def guarantees(policy: Policy, rule: Rule, live: Live | None = None) -> Mapping[str, Protection]:
    """What the guard can promise for a rule, by column; empty for a read. `live` adds what the upstreams say."""
    if rule.is_read:
        return {}
    facts = _facts(policy, rule, live or Live())
    found = {column: _best(kinds, facts) for column, kinds in COLUMNS.items()}
    if facts.undone and rule.undo_within is not None:
        undo = found["undo"]
        found["undo"] = Protection(undo.strength, f"{undo.says} (for a time)", undo.stronger)
    return found


def wishes(protections: Mapping[str, Protection]) -> tuple[str, ...]:
    """What would make a rule stronger, each said once."""
    return tuple(dict.fromkeys(wish for protection in protections.values() for wish in protection.stronger))


def _best(kinds: tuple[Kind, ...], facts: Facts) -> Protection:
    stronger: list[str] = []
    for kind in kinds:
        if kind.holds(facts):
            return Protection(kind.strength, kind.says, tuple(stronger))
        if kind.wish and kind.possible(facts):
            stronger.append(kind.wish)
    raise AssertionError("the last kind of each column always holds")


def _facts(policy: Policy, rule: Rule, live: Live) -> Facts:
    upstream = policy.file.upstream.get(rule.tool.partition(".")[0])
    return Facts(
        rule,
        keyed=rule.idempotency is not None or (upstream is not None and upstream.idempotency is not None),
        readable=is_read_back(rule),
        lands=rule.lands_within is not None or (upstream is not None and upstream.lands_within is not None),
        conditional_undo=_all_conditional(policy, rule, live),
    )


def _all_conditional(policy: Policy, rule: Rule, live: Live) -> bool:
    """Whether the first call of the undo, which restores, travels on condition: by its own rule, or by its API."""
    calls = [call for _, call in undo_calls(rule)]
    return bool(calls) and isinstance(calls[0], Call) and _is_conditional(policy, calls[0].tool, live)


def _is_conditional(policy: Policy, tool: str, live: Live) -> bool:
    rules = list(possible(policy, tool))
    if len(rules) != 1:
        return False
    if rules[0].condition is not None:
        return isinstance(rules[0].condition, Condition)
    upstream = policy.file.upstream.get(tool.partition(".")[0])
    found = live.tool(tool)
    return upstream is not None and upstream.kind == "http" and found is not None and found.conditional
