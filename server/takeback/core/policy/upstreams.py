"""Whether an upstream can be reached the way it is described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from takeback.core.policy.api_checks import api_mistakes
from takeback.core.policy.mistakes import Keys, Mistake, did_you_mean
from takeback.core.policy.places import is_read_back
from takeback.core.policy.schema import Condition, Idempotency, PolicyFile, Rule, Upstream
from takeback.core.policy.tools import CODE

_MEANT: Final[Mapping[str, frozenset[str]]] = {
    "command": frozenset({"args", "env", "cwd", "transport"}),
    "url": frozenset({"headers", "transport"}),
    "openapi": frozenset({"headers", "base_url", "operation", "auth", "tags", "paths", "methods"}),
}
"""The keys that only some upstreams have, by the key that tells the kind."""

_ONE_OF: Final = (
    "give it one of them: a command to start, the address of an MCP server that runs, or the document of an HTTP API"
)


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
    if idempotency.meta and upstream is not None and upstream.kind == "http":
        yield Mistake((*keys, "meta"), "an HTTP API has no `_meta`", "use `header` or `argument`")


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
    ways = [key for key in ("command", "url", "openapi") if getattr(upstream, key) is not None]
    if upstream.kind == "http":
        ways = ["openapi"]
    if len(ways) != 1:
        named = " and ".join(f"`{way}`" for way in ways)
        yield Mistake(keys, f"has both {named}" if ways else "has none of `command`, `url` and `openapi`", _ONE_OF)
        return
    yield from _meaningless(keys, upstream, ways[0])
    if upstream.kind == "http":
        yield from api_mistakes(keys, upstream)
    elif upstream.transport is not None and (upstream.transport == "stdio") is (ways[0] == "url"):
        fitting = '"stdio"' if ways[0] == "command" else '"http" or "sse"'
        yield Mistake(
            (*keys, "transport"), f"does not fit an upstream with a `{ways[0]}`", f"use {fitting}, or leave it out"
        )


def _meaningless(keys: Keys, upstream: Upstream, way: str) -> Iterator[Mistake]:
    """Keys of another kind of upstream."""
    kind = "that is an HTTP API" if upstream.kind == "http" else f"with a `{way}`"
    for key in sorted(frozenset().union(*_MEANT.values()) - _MEANT[way]):
        if key in upstream.model_fields_set:
            instead = (
                "an MCP server takes its credentials in `headers`" if (key, way) == ("auth", "url") else "take it out"
            )
            yield Mistake((*keys, key), f"has no meaning for an upstream {kind}", instead)
