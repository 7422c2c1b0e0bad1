"""Stale memory: which tools' answers a policy has remembered, and what a rule with `stale` needs to work at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from takeback.core.policy.mistakes import Keys, Mistake, spelled
from takeback.core.policy.places import is_read_back, named_by_result, targets
from takeback.core.policy.schema import Read, Rule
from takeback.core.policy.tools import Numbered

_KEY: Final = ("stale",)


@dataclass(frozen=True, slots=True)
class Watched:
    """How the answers of a tool are remembered that a rule with `stale` reads with.

    `redact` are the fields that any such rule never has stored. An answer is kept before it is known which rule will
    ask, and before its `select`: so a dotted path counts by its last name, at any depth. `errors`: the `absent` of a
    rule may tell from an error text that the target is not there, so that all of them are remembered.
    """

    redact: tuple[str, ...] = ()
    errors: bool = False


def watched(rules: Iterable[Rule]) -> Mapping[str, Watched]:
    """By tool, as the policy names it: what is remembered of its answers; no other tool's are."""
    found: dict[str, Watched] = {}
    for rule in rules:
        for _, read in _reads(rule) if rule.stale == "refuse" else ():
            known = found.get(read.tool, Watched())
            names = {field.rpartition(".")[2] for field in rule.redact}
            told = read.absent is not None and "error" in read.absent.names
            found[read.tool] = Watched(tuple(sorted({*known.redact, *names})), known.errors or told)
    return found


def stale_mistakes(rule: Rule, rules: Iterable[Numbered], *, complete: bool) -> Iterator[Mistake]:
    """What stands against `stale`, with keys within the rule. `complete`: `rules` are all rules of the policy."""
    if rule.stale != "refuse" or rule.is_read:
        return
    if not is_read_back(rule):
        why = "needs a `read`: what is never read cannot be seen to have changed"
        yield Mistake(_KEY, why, "give the rule a `read`")
    elif named_by_result(rule):
        yield Mistake(_KEY, "there is nothing to have read before the call creates it", "take it out")
    elif complete:
        yield from (_unseen(keys, read) for keys, read in _reads(rule) if not _agent_reads(rules, read.tool))


def _unseen(keys: Keys, read: Read) -> Mistake:
    named = f"{read.tool} only reads, which `{spelled(keys)}` names"
    return Mistake(
        _KEY,
        f"no rule says that {named}: so what a run read by it is not known",
        f'give {read.tool} a rule with class = "read_only"',
    )


def _agent_reads(rules: Iterable[Numbered], tool: str) -> bool:
    return any(rule.is_read and fnmatchcase(tool, rule.tool) for _, rule in rules)


def _reads(rule: Rule) -> Iterator[tuple[Keys, Read]]:
    if rule.read is not None:
        yield ("read",), rule.read
        return
    yield from (((*keys, "read"), spec.read) for keys, spec in targets(rule) if spec.read is not None)
