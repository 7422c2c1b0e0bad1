"""What a rule leaves unprotected: nothing read back, no way back, nobody asked, or a way back that would be stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from takeback.core.expressions import Expression
from takeback.core.inventory.judging import Nature, judge
from takeback.core.inventory.offered import taken_apart
from takeback.core.policy.decide import approval_of
from takeback.core.policy.live.findings import Finding, error, note, warning
from takeback.core.policy.live.offers import Live, Tool, possible
from takeback.core.policy.load import Policy
from takeback.core.policy.places import is_read_back, undo_calls
from takeback.core.policy.schema import Call, Rule
from takeback.core.policy.tools import CODE
from takeback.core.vocabulary import ActionClass

_MOST_NAMES: Final = 12
_IRREVERSIBLE: Final = frozenset({ActionClass.EXTERNAL_IRREVERSIBLE, ActionClass.WORKFLOW})


def safety(policy: Policy, rule: Rule) -> Iterator[Finding]:
    """Findings about one write, from the policy alone. Keys are within the rule."""
    if rule.is_read:
        return
    if not is_read_back(rule) and rule.probe is None:
        yield warning((), "nothing is read back, so neither success nor an undo can be verified", "give it a `read`")
    yield from _way_back(rule)
    yield from _unasked(policy, rule)
    for keys, call in _going_back(rule):
        yield from _stopped(policy, keys, call)


def reads(rule: Rule, tool: Tool) -> Iterator[Finding]:
    """Whether what a rule calls a read looks like one."""
    if not rule.is_read or rule.when is not None:
        return
    judged = judge(taken_apart(tool.definition))
    against = [finding.reason for finding in judged.findings if finding.weight < 0]
    if judged.nature is Nature.WRITE and against:
        hints = tool.definition.get("annotations")
        agreed = isinstance(hints, Mapping) and hints.get("readOnlyHint") is True  # the server and the policy
        yield (note if agreed else warning)(
            ("class",), f"{tool.name} passes as a read, and its definition says otherwise: {'; '.join(against[:3])}",
            "if it changes anything, give it a rule of its own",
        )  # fmt: skip


def _way_back(rule: Rule) -> Iterator[Finding]:
    if isinstance(rule.undo, tuple) and rule.undo:
        return
    if rule.correct is not None:
        yield note((), "cannot be undone, only corrected")
    elif rule.undo == "none" or rule.action_class is ActionClass.EXTERNAL_IRREVERSIBLE:
        yield note((), "cannot be undone, and nothing corrects it", "a `correct` may mend what cannot be undone")
    else:
        yield warning((), "has no `undo`", 'give it one, or say `undo = "none"` where there is none')


def _unasked(policy: Policy, rule: Rule) -> Iterator[Finding]:
    """What cannot be taken back and runs without anybody having agreed."""
    final = rule.action_class in _IRREVERSIBLE or rule.undo == "none"
    if not final or isinstance(rule.approval, Expression):
        return
    verdict, why = approval_of(policy, rule, {})
    if verdict == "run":
        tell = warning if rule.action_class in _IRREVERSIBLE else note
        yield tell(("approval",), f"it cannot be undone, and nobody is asked: {why}", 'say `approval = "always"`')


def _going_back(rule: Rule) -> Iterator[tuple[tuple[str | int, ...], Call]]:
    for keys, call in undo_calls(rule):
        if isinstance(call, Call):
            yield keys, call
    if rule.correct is not None:
        yield ("correct",), rule.correct


def _stopped(policy: Policy, keys: tuple[str | int, ...], call: Call) -> Iterator[Finding]:
    """Whether today's policy would deny, or hold up, the call that takes it back."""
    if call.tool.startswith(f"{CODE}."):
        return
    here, tell = (*keys, "tool"), note if keys[0] == "correct" else warning
    rules = list(possible(policy, call.tool))
    unknown = policy.file.defaults.unknown_tools
    if not rules and unknown == "deny":
        yield error(here, f"no rule names {call.tool}, and unknown tools are denied", "give it a rule")
    elif not rules and unknown == "ask":
        yield tell(here, f"no rule names {call.tool}, so this would wait for a person", "give it a rule")
    elif len(rules) == 1 and not rules[0].is_read and not isinstance(rules[0].approval, Expression):
        verdict, why = approval_of(policy, rules[0], {})
        if verdict == "ask":
            yield tell(here, f"{call.tool} would wait for a person: {why}")


def unnamed(policy: Policy, upstream: str, tools: tuple[Tool, ...]) -> Iterator[Finding]:
    """The tools that no rule names, and what becomes of them."""
    names = [tool.name for tool in tools if tool.offered and not policy.rules_for(tool.name)]
    if not names:
        return
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    listed = ", ".join(names[:_MOST_NAMES]) + more
    fate = policy.file.defaults.unknown_tools
    told = {"ask": "a person is asked at each call", "deny": "every call is denied", "allow": "they run unprotected"}
    tell = warning if fate == "allow" else note
    yield tell(("upstream", upstream), f"no rule names {listed}: {told[fate]}")


def blocked(live: Live) -> Iterator[Finding]:
    """Tools whose definitions are not those that are pinned."""
    for tool in live.tools():
        if tool.blocked:
            shows = f"`takeback pin diff {tool.name}` shows the difference"
            yield error(("upstream", tool.upstream), tool.blocked, shows)
