"""The table of an upstream that nobody has described yet, as a drafted policy holds it: secrets stay references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from takeback.core.policy.environment import fill
from takeback.core.policy.schema import Upstream

Table = Mapping[str, Any]
"""The keys of `[upstream.NAME]`, with `${NAME}` for the environment and `$${` for the two characters."""


def command_table(words: Sequence[str]) -> Table:
    """A server that is started: its program and what it is called with."""
    command, *args = map(literal, words)
    return {"command": command, "args": args}


def url_table(url: str, *, sse: bool, headers: Mapping[str, str]) -> Table:
    """A server that runs already. `url` is as it stands in the policy; `headers` name the variable of each value."""
    table: dict[str, Any] = {"url": url}
    if sse:
        table["transport"] = "sse"
    return {**table, **_headers(headers)}


def openapi_table(document: str, headers: Mapping[str, str]) -> Table:
    """An HTTP API, by the file or the address of its OpenAPI document. `headers` as for `url_table`."""
    return {"openapi": literal(document), **_headers(headers)}


def _headers(variables: Mapping[str, str]) -> dict[str, Any]:
    return {"headers": {name: reference(variable) for name, variable in variables.items()}} if variables else {}


def reference(variable: str) -> str:
    """What stands in a policy for a variable: empty where it is not set, so that looking needs no secret."""
    return f"${{{variable}:-}}"


def literal(text: str) -> str:
    """Text that stands in a policy for itself: `$` is doubled where something would be substituted."""
    return text.replace("${", "$${")


def upstream_of(table: Table, env: Mapping[str, str]) -> Upstream:
    """The upstream that a table describes in this environment."""
    return Upstream(**fill({"upstream": dict(table)}, env).document["upstream"])


def guards(described: Upstream, given: Upstream) -> bool:
    """Whether what a policy describes is the server that is given, reached with every header that is given."""
    same = (described.command, described.args, described.url) == (given.command, given.args, given.url)
    return same and _sse(described) is _sse(given) and given.headers.items() <= described.headers.items()


def _sse(upstream: Upstream) -> bool:
    return upstream.transport == "sse"
