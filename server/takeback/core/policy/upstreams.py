"""Whether an upstream can be reached the way it is described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from takeback.core.policy.mistakes import Keys, Mistake, did_you_mean
from takeback.core.policy.places import is_read_back
from takeback.core.policy.schema import Condition, Idempotency, PolicyFile, Rule, Upstream
from takeback.core.policy.tools import CODE

_OF_COMMAND: Final = ("args", "env", "cwd")
_OF_URL: Final = ("headers",)


def upstream_mistakes(file: PolicyFile) -> Iterator[Mistake]:
    """What does not fit in the tables of the upstreams."""
    for name, upstream in file.upstream.items():
        keys: Keys = ("upstream", name)
        if name == CODE:
            yield Mistake(keys, f"`{CODE}` stands for compensations in code", "choose another name")
        yield from _way(keys, upstream)
        yield from idempotency_mistakes((*keys, "idempotency"), upstream.idempotency, upstream)


def idempotency_mistakes(keys: Keys, idempotency: Idempotency | None, upstream: Upstream | None) -> Iterator[Mistake]:
    """A key that travels no way, or a way that does not exist to this upstream."""
    if idempotency is None:
        return
    if not (idempotency.header or idempotency.argument or idempotency.meta):
        yield Mistake(keys, "does not say how the key travels", "name a `header`, an `argument` or a `meta` key")
    if idempotency.header and upstream is not None and upstream.command is not None:
        yield Mistake((*keys, "header"), "an upstream with a `command` has no headers", "use `argument` or `meta`")


def condition_mistakes(rule: Rule, upstream: Upstream | None) -> Iterator[Mistake]:
    """A condition that travels no way, or a version that nothing tells. Keys are within the rule."""
    condition, keys = rule.condition, ("condition",)
    if not isinstance(condition, Condition):
        return
    if (condition.header is None) is (condition.argument is None):
        both = "names both `header` and `argument`" if condition.header else "does not say how the version travels"
        yield Mistake(keys, both, "name a `header` or an `argument`")
    if condition.header and upstream is not None and upstream.command is not None:
        yield Mistake((*keys, "header"), "an upstream with a `command` has no headers", "use `argument`")
    if condition.version is None and not is_read_back(rule):
        yield Mistake(keys, "nothing is read, so there is no version", "give the rule a `read`, or name the `version`")
    names = [spec.name for spec in rule.target]
    if condition.target is not None and condition.target not in names:
        yield Mistake(
            (*keys, "target"), f"the rule has no target `{condition.target}`", did_you_mean(condition.target, names)
        )
    elif condition.target is None and condition.version is None and len(names) > 1:
        yield Mistake(keys, "the rule has several targets", "say with `target` whose version it is")


def _way(keys: Keys, upstream: Upstream) -> Iterator[Mistake]:
    if (upstream.command is None) is (upstream.url is None):
        both = "has both `command` and `url`" if upstream.url is not None else "has neither `command` nor `url`"
        yield Mistake(keys, both, "give it one of them: a command to start, or the address of a server that runs")
        return
    way, other = ("command", _OF_URL) if upstream.command is not None else ("url", _OF_COMMAND)
    for key in other:
        if key in upstream.model_fields_set:
            yield Mistake((*keys, key), f"has no meaning for an upstream with a `{way}`", "take it out")
    if upstream.transport is not None and (upstream.transport == "stdio") is (way == "url"):
        fitting = '"stdio"' if way == "command" else '"http" or "sse"'
        yield Mistake(
            (*keys, "transport"), f"does not fit an upstream with a `{way}`", f"use {fitting}, or leave it out"
        )
