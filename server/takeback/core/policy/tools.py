"""The tools that rules name: whether they can exist, which rule holds for them, and which rules never hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from takeback.core.policy.document import leaves
from takeback.core.policy.mistakes import Keys, did_you_mean
from takeback.core.policy.places import targets, undo_calls
from takeback.core.policy.schema import Call, Rule

CODE: Final = "python"
"""What stands where an upstream's name does, for a compensation in code."""

Numbered = tuple[int, Rule]


def named_calls(rule: Rule) -> Iterator[tuple[Keys, Call]]:
    """Every call that a rule describes, with its keys within the rule."""
    if rule.read is not None:
        yield ("read",), rule.read
    for keys, spec in targets(rule):
        if spec.read is not None:
            yield (*keys, "read"), spec.read
    if rule.probe is not None:
        yield ("probe",), rule.probe
    if rule.poll is not None:
        yield ("poll",), rule.poll
    for index, children in enumerate(rule.children):
        yield ("children",) if len(rule.children) == 1 else ("children", index), children
    for keys, call in undo_calls(rule):
        if isinstance(call, Call):
            yield keys, call
    if rule.correct is not None:
        yield ("correct",), rule.correct


def pattern_mistake(tool: str, upstreams: Iterable[str]) -> tuple[str, str] | None:
    """What is wrong with a rule's `tool`, where `*` and `?` match."""
    upstream, dot, name = tool.partition(".")
    if not dot or not name or not upstream:
        return f'must be an upstream and a tool, as in "upstream.tool", and is "{tool}"', ""
    if "[" in tool:
        return "only * and ? match", ""
    if any(fnmatchcase(known, upstream) for known in upstreams):
        return None
    return _no_upstream(upstream, upstreams)


def tool_mistake(tool: str, upstreams: Iterable[str], *, code: bool) -> tuple[str, str] | None:
    """What is wrong with the tool of a call that the guard makes. `code`: a compensation in code may stand here."""
    upstream, dot, name = tool.partition(".")
    if not dot or not name or not upstream:
        return f'must be an upstream and a tool, as in "upstream.tool", and is "{tool}"', ""
    if set("*?[") & set(tool):
        return "must be one tool", "patterns match only in a rule's own `tool`"
    if upstream in upstreams or (code and upstream == CODE):
        return None
    return _no_upstream(upstream, upstreams)


def mistakes_in(table: Any, upstreams: Iterable[str]) -> Iterator[tuple[Keys, tuple[str, str]]]:
    """What is wrong with the tools that a rule's table names, whatever else may be wrong with it."""
    for keys, tool in leaves(table):
        if keys[-1:] != ("tool",) or "args" in keys or not isinstance(tool, str):
            continue
        code = keys[0] in {"undo", "correct"}
        wrong = pattern_mistake(tool, upstreams) if len(keys) == 1 else tool_mistake(tool, upstreams, code=code)
        if wrong is not None:
            yield keys, wrong


def governing(rules: Iterable[Numbered], tool: str) -> Numbered | None:
    """The rule that certainly holds for a tool: the first that matches, unless its `when` may say no."""
    found = next((one for one in rules if fnmatchcase(tool, one[1].tool)), None)
    return found if found is not None and found[1].when is None else None


def is_known(rules: Iterable[Numbered], tool: str) -> bool:
    """Whether any rule may hold for a tool."""
    return any(fnmatchcase(tool, rule.tool) for _, rule in rules)


def hiding(rules: Iterable[Numbered], later: Numbered) -> Numbered | None:
    """The earlier rule without a condition that matches every tool that `later` matches."""
    return next(
        (one for one in rules if one[0] < later[0] and one[1].when is None and covers(one[1].tool, later[1].tool)), None
    )


def covers(pattern: str, other: str) -> bool:
    """Whether `pattern` matches whatever `other` matches. Asked with stand-ins for the wildcards of `other`."""
    stand_ins = [other.replace("?", "\0").replace("*", filling) for filling in ("", "\0", "\0\0")]
    return all(fnmatchcase(one, pattern) for one in stand_ins)


def _no_upstream(upstream: str, upstreams: Iterable[str]) -> tuple[str, str]:
    known = sorted(upstreams)
    declared = f"declared are {', '.join(known)}" if known else f"declare it as [upstream.{upstream}]"
    return f"there is no upstream `{upstream}`", did_you_mean(upstream, known) or declared
