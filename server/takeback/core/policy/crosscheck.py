"""What no single key can show to be wrong: how the parts of a policy fit together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.policy import tools
from takeback.core.policy.automatic import automatic_mistakes
from takeback.core.policy.classes import class_mistakes
from takeback.core.policy.mistakes import Keys, Mistake
from takeback.core.policy.places import is_read_back, names_in, targets
from takeback.core.policy.schema import PolicyFile, Retention, Retry, Rule
from takeback.core.policy.stale import stale_mistakes
from takeback.core.policy.tools import Numbered
from takeback.core.policy.upstreams import condition_mistakes, idempotency_mistakes, upstream_mistakes
from takeback.core.tracing import template_mistake


@dataclass(frozen=True, slots=True)
class Sound:
    """The parts of a policy that are well-formed by themselves.

    `rules` keep their places in the file; `broken` are the tables of the others, of which only the tools are looked at.
    `upstreams` are all names that the file declares, those of broken tables, too.
    """

    file: PolicyFile
    rules: tuple[Numbered, ...]
    upstreams: frozenset[str]
    broken: tuple[tuple[int, Any], ...] = ()


def cited(index: int, rule: Rule) -> str:
    """What decisions and messages call the rule at `index` (counted from 0): its `id`, else its number and tool."""
    return rule.id or f"rule {index + 1} ({rule.tool})"


def crosscheck(sound: Sound) -> list[Mistake]:
    """Everything that does not fit together."""
    found = [*upstream_mistakes(sound.file), *_retry(("defaults", "retry"), sound.file.defaults.retry)]
    found += _retention(sound.file.retention)
    found += _trace_link(sound.file.defaults.trace_link)
    for index, rule in sound.rules:
        within = [*_rule(sound, index, rule), *_retry(("retry",), rule.retry)]
        found += [Mistake(("rule", index, *one.keys), one.message, one.suggestion) for one in within]
    for index, table in sound.broken:
        found += [Mistake(("rule", index, *keys), *wrong) for keys, wrong in tools.mistakes_in(table, sound.upstreams)]
    return found


def _retention(kept: Retention) -> Iterator[Mistake]:
    if kept.images is not None and kept.runs is not None and kept.images > kept.runs:
        yield Mistake(("retention", "images"), "may not outlast `runs`: what they belong to would be gone before them")


def _trace_link(template: str | None) -> Iterator[Mistake]:
    if template is not None and (wrong := template_mistake(template)):
        yield Mistake(("defaults", "trace_link"), *wrong)


def _rule(sound: Sound, index: int, rule: Rule) -> Iterator[Mistake]:
    """The mistakes of one rule, with keys within it."""
    yield from _place(sound, index, rule)
    yield from class_mistakes(rule)
    yield from automatic_mistakes(rule)
    if rule.is_read:
        return
    yield from names_in(rule)
    yield from _calls(sound, rule)
    yield from _reads(rule)
    yield from stale_mistakes(rule, sound.rules, complete=not sound.broken)
    upstream = sound.file.upstream.get(rule.tool.partition(".")[0])
    yield from idempotency_mistakes(("idempotency",), rule.idempotency, upstream)
    yield from condition_mistakes(rule, upstream)


def _place(sound: Sound, index: int, rule: Rule) -> Iterator[Mistake]:
    if wrong := tools.pattern_mistake(rule.tool, sound.upstreams):
        yield Mistake(("tool",), *wrong)
    name = cited(index, rule)
    if twin := next((one for one in sound.rules if one[0] < index and cited(*one) == name), None):
        yield Mistake(("id",), f'"{name}" is the name of rule[{twin[0] + 1}], too', "ids tell rules apart")
    if earlier := tools.hiding(sound.rules, (index, rule)):
        yield Mistake(
            (),
            f"can never hold: rule[{earlier[0] + 1}] ({earlier[1].tool}) comes first and matches the same tools",
            "move this rule above it, or give that one a `when`",
        )


def _calls(sound: Sound, rule: Rule) -> Iterator[Mistake]:
    for keys, call in tools.named_calls(rule):
        writes = keys[0] in _WRITING
        wrong = tools.tool_mistake(call.tool, sound.upstreams, code=writes)
        if wrong := wrong or _governed(sound, call.tool, writes=writes):
            yield Mistake((*keys, "tool"), *wrong)
        if not isinstance(call.args.source, dict):
            yield Mistake((*keys, "args"), "must be a table of arguments")


_WRITING: Final = frozenset({"undo", "correct"})


def _governed(sound: Sound, tool: str, *, writes: bool) -> tuple[str, str] | None:
    """A way back must be allowed to write, and a read must not."""
    holds = tools.governing(sound.rules, tool)
    if holds is not None and holds[1].is_read is writes:
        name = f"rule[{holds[0] + 1}] ({holds[1].tool})"
        if writes:
            return f"{tool} only reads, by {name}, and cannot take anything back", f"give {tool} a rule of its own"
        return f"{tool} writes, by {name}, and what the guard asks must only read", "name a tool that reads"
    denied = sound.file.defaults.unknown_tools == "deny" and not tool.startswith(f"{tools.CODE}.")
    if writes and denied and not sound.broken and not tools.is_known(sound.rules, tool):
        return f"no rule knows {tool}, and unknown tools are denied, so this could never run", f"give {tool} a rule"
    return None


def _reads(rule: Rule) -> Iterator[Mistake]:
    own = [keys for keys, spec in targets(rule) if spec.read is not None]
    if rule.read is not None and len(rule.target) > 1:
        yield Mistake(("read",), f"one read cannot read {len(rule.target)} targets", "give each target its own `read`")
    elif rule.read is not None and own:
        yield Mistake(
            (*own[0], "read"), "the rule has a `read`, too, and only that one is used", "take one of them out"
        )
    elif own and not is_read_back(rule):
        bare = next(keys for keys, spec in targets(rule) if spec.read is None)
        yield Mistake(bare, "has no `read`, though another target has; then none is read", "give it a `read`")
    names = [spec.name for spec in rule.target]
    for keys, spec in targets(rule):
        if names.count(spec.name) > 1 and keys != ("target", names.index(spec.name)):
            yield Mistake(
                (*keys, "name"), f'"{spec.name}" names another target, too', "give each target a name of its own"
            )


def _retry(keys: Keys, retry: Retry | None) -> Iterator[Mistake]:
    if retry is not None and retry.backoff > retry.max:
        yield Mistake((*keys, "backoff"), "is longer than `max`, the longest pause")
