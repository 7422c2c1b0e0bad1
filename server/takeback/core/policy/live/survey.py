"""The whole look: every rule against every tool that it holds for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from takeback.core.policy.live.calls import calls, missing, unrestored
from takeback.core.policy.live.fields import fields
from takeback.core.policy.live.findings import Finding, error, warning
from takeback.core.policy.live.offers import Live, governed
from takeback.core.policy.live.safety import blocked, reads, safety, unnamed
from takeback.core.policy.live.schemas import Fate, look, whole
from takeback.core.policy.live.shapes import Shapes
from takeback.core.policy.load import Policy
from takeback.core.policy.mistakes import Keys
from takeback.core.policy.schema import Rule

MOST_TOOLS: Final = 200
"""Tools that one rule is held against; what a pattern matches beyond them is no news."""


def survey(policy: Policy, live: Live) -> tuple[Finding, ...]:
    """Everything that is found, in the order of the file. Pure, and never raises for what a policy or schema holds."""
    found = [*blocked(live), *_keys_of_upstreams(policy, live)]
    for upstream, tools in live.reached.items():
        found += unnamed(policy, upstream, tools)
    for index, numbered in enumerate(policy.rules):
        found += _moved(("rule", index), numbered.rule.tool, _rule(policy, numbered.rule, live))
    return tuple(_placed(policy, dict.fromkeys(found)))


def _rule(policy: Policy, rule: Rule, live: Live) -> Iterator[Finding]:
    tools = governed(policy, rule, live)
    yield from _matching(rule, live, found=bool(tools))
    yield from safety(policy, rule)
    for tool in tools[:MOST_TOOLS]:
        shapes = Shapes(rule, tool, live)
        yield from reads(rule, tool)
        yield from fields(shapes)
        yield from calls(shapes)
        yield from unrestored(shapes)
    if not tools:
        yield from fields(Shapes(rule, None, live))
        yield from calls(Shapes(rule, None, live))


def _matching(rule: Rule, live: Live, *, found: bool) -> Iterator[Finding]:
    """A rule for nothing."""
    upstream = rule.tool.partition(".")[0]
    if found or upstream not in live.reached:
        return
    if not set("*?") & set(rule.tool):
        if live.lacks(rule.tool):
            yield missing(("tool",), rule.tool, live)
        else:
            yield warning(("tool",), "earlier rules take every call of it")
    else:
        yield warning(("tool",), f"matches no tool of {upstream} that is left to it", "it may be left out")


def _keys_of_upstreams(policy: Policy, live: Live) -> Iterator[Finding]:
    """An upstream whose idempotency key travels as an argument that its tools do not have."""
    for name, tools in live.reached.items():
        upstream = policy.file.upstream.get(name)
        argument = upstream.idempotency.argument if upstream is not None and upstream.idempotency is not None else None
        if argument is None or not tools:
            continue
        fates = [look(whole(tool.input_schema), (argument,)).fate for tool in tools]
        if all(fate in {Fate.EXCLUDED, Fate.UNNAMED} for fate in fates):
            yield error(
                ("upstream", name, "idempotency", "argument"), f"no tool of {name} has an argument `{argument}`"
            )


def _moved(keys: Keys, tool: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """With keys from the file's beginning, and the rule's tool."""
    for finding in findings:
        mistake = replace(finding.mistake, keys=(*keys, *finding.mistake.keys), tool=tool[:80])
        yield replace(finding, mistake=mistake)


def _placed(policy: Policy, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Where its file has each: a policy may extend another one."""
    for finding in findings:
        for mistake in policy.written.placed([finding.mistake]):
            yield replace(finding, mistake=mistake)
