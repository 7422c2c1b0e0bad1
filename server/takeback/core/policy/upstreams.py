"""Whether an upstream can be reached the way it is described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from takeback.core.policy.mistakes import Keys, Mistake
from takeback.core.policy.schema import Idempotency, PolicyFile, Upstream
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
