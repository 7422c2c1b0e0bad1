"""Loading a policy: from a file's text to rules that decide, or to every mistake in it. No file is opened here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import reduce
from typing import Any, Final

from pydantic import ValidationError

from takeback.core.canonical import digest
from takeback.core.policy.crosscheck import Sound, cited, crosscheck
from takeback.core.policy.document import Unreadable, parse, shape, without
from takeback.core.policy.durations import durations
from takeback.core.policy.environment import fill
from takeback.core.policy.extending import Base, Extended, extended
from takeback.core.policy.later import later
from takeback.core.policy.mistakes import Mistake, PolicyMistakes, told
from takeback.core.policy.schema import LedgerTable, PolicyFile, Rule
from takeback.core.policy.stale import Watched, watched
from takeback.core.policy.violations import violations
from takeback.core.tracing import TraceLinks

_LEDGER: Final = LedgerTable().url


@dataclass(frozen=True, slots=True)
class NumberedRule:
    """A rule and the name under which decisions cite it: its `id`, else its place in the file and its tool."""

    id: str
    rule: Rule


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy without mistakes.

    `digest` is over the file's content before anything from the environment was put in; `secrets` are the values that
    were put in. `place` is where the file lies: what is pinned under one policy says nothing about another's upstreams.
    `written` tells in which file, and where there, a key stands. `watched` are the tools whose answers are remembered.
    """

    file: PolicyFile = field(repr=False)
    digest: str
    rules: tuple[NumberedRule, ...]
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    place: str = ""
    written: Extended = field(default=Extended({}, {}), repr=False)
    watched: Mapping[str, Watched] = field(default_factory=dict, repr=False)
    _by_tool: dict[str, tuple[NumberedRule, ...]] = field(default_factory=dict, init=False, repr=False)

    def rules_for(self, tool: str) -> tuple[NumberedRule, ...]:
        """The rules whose pattern matches a tool (`upstream.tool`), in the file's order."""
        found = self._by_tool.get(tool)
        if found is None:
            found = tuple(numbered for numbered in self.rules if fnmatchcase(tool, numbered.rule.tool))
            self._by_tool[tool] = found
        return found

    @property
    def traces(self) -> TraceLinks:
        """Where traces can be looked at."""
        return TraceLinks(self.file.defaults.trace_link)

    def read_lag(self, rule: Rule | None, upstream: str) -> timedelta:
        """For how long a read may still show the state before a write: as the rule says, else as its upstream does."""
        if rule is not None and rule.read_lag is not None:
            return rule.read_lag
        table = self.file.upstream.get(upstream)
        return table.read_lag if table is not None else timedelta(0)

    def lands_within(self, rule: Rule | None, upstream: str) -> timedelta | None:
        """How long after the send a call may still take effect, said likewise; None where the policy does not know."""
        if rule is not None and rule.lands_within is not None:
            return rule.lands_within
        table = self.file.upstream.get(upstream)
        return table.lands_within if table is not None else None


def load(text: str | bytes, *, env: Mapping[str, str], source: str = "policy.toml", base: Base | None = None) -> Policy:
    """Load a policy. `env` is what `${NAME}` stands for, with `STATE`; `source` names the file in errors.

    `base` is the file that it extends, where it names one.

    Raises:
        PolicyMistakes: it has mistakes; all of them, and no value of `env` in their words.
    """
    try:
        whole = extended(parse(text), base)
    except Unreadable as unreadable:
        raise PolicyMistakes([unreadable.mistake], source) from None
    document = whole.document
    filled = fill(_with_ledger(document, env), env)
    known = [*whole.mistakes, *shape(document), *filled.mistakes, *later(document), *durations(filled.document)]
    usable = reduce(without, (mistake.keys for mistake in known if mistake not in filled.mistakes), filled.document)
    file, wrong = _validated(usable, document)
    mistakes = told(document, known, wrong, crosscheck(_sound(usable, [*_breaking(known), *wrong])))
    if mistakes or file is None:
        raise PolicyMistakes(whole.placed(mistakes), source)
    rules = tuple(map(_numbered, range(len(file.rule)), file.rule))
    return Policy(file, digest(document), rules, filled.secrets, written=whole, watched=watched(file.rule))


def _numbered(index: int, rule: Rule) -> NumberedRule:
    return NumberedRule(cited(index, rule), rule)


def _with_ledger(document: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """The schema's own default for the ledger names a variable, too; it is filled in where the file says nothing."""
    ledger = document.get("ledger", {})
    if "STATE" not in env or not isinstance(ledger, dict) or "url" in ledger:
        return document
    return {**document, "ledger": {**ledger, "url": _LEDGER}}


def _validated(usable: dict[str, Any], document: Mapping[str, Any]) -> tuple[PolicyFile | None, list[Mistake]]:
    try:
        return PolicyFile.model_validate(usable, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, violations(error, document)


def _breaking(known: Sequence[Mistake]) -> list[Mistake]:
    """Those that leave a hole: a rule without a key of a later version is still whole, an upstream may not be."""
    return [mistake for mistake in known if mistake.keys[0] != "rule" or len(mistake.keys) < len(("rule", 0, "key"))]


def _sound(usable: dict[str, Any], mistakes: Sequence[Mistake]) -> Sound:
    """What is sound by itself, so that how it fits together is looked at even where something else is wrong."""
    broken = {mistake.keys[:2] if mistake.keys[0] in {"rule", "upstream"} else mistake.keys[:1] for mistake in mistakes}
    rules = usable.get("rule", []) if ("rule",) not in broken else []
    upstreams = usable.get("upstream", {}) if ("upstream",) not in broken else {}
    kept = {key: value for key, value in usable.items() if (key,) not in broken}
    kept["upstream"] = {name: table for name, table in upstreams.items() if ("upstream", name) not in broken}
    whole = [index for index in range(len(rules)) if ("rule", index) not in broken]
    file, _ = _validated({**kept, "rule": [rules[index] for index in whole]}, kept)
    assert file is not None  # everything that the schema had something against is left out
    others = tuple((index, rule) for index, rule in enumerate(rules) if ("rule", index) in broken)
    return Sound(file, tuple(zip(whole, file.rule, strict=True)), frozenset(upstreams), others)
