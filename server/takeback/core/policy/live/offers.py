"""What upstreams offer, as plain data, and which rule holds for what of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from takeback.core.policy.load import Policy
from takeback.core.policy.schema import Rule
from takeback.core.policy.tools import CODE
from takeback.core.results import HTTP


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: its definition as sent. `offered`: whether clients see it. `blocked` says why it must not be called."""

    upstream: str
    definition: Mapping[str, Any]
    offered: bool = True
    blocked: str = ""

    @property
    def name(self) -> str:
        """As policies name it."""
        return f"{self.upstream}.{self.definition.get('name')}"

    @property
    def input_schema(self) -> Any:
        """The schema of the arguments; None where there is none."""
        return self.definition.get("inputSchema")

    @property
    def output_schema(self) -> Any:
        """The schema of the data; None where there is none, and then nothing is known of it."""
        found = self.definition.get("outputSchema")
        return None if _wraps_a_text(found) else found

    @property
    def conditional(self) -> bool:
        """Whether the API's own document says that the operation takes `If-Match`."""
        meta = self.definition.get("_meta")
        http = meta.get(HTTP) if isinstance(meta, Mapping) else None
        return isinstance(http, Mapping) and http.get("conditional") is True


@dataclass(frozen=True, slots=True)
class Live:
    """What was asked of the upstreams. Only `reached` ones can be held against the policy.

    `compensations` are those that are installed; None: not asked.
    """

    reached: Mapping[str, tuple[Tool, ...]] = field(default_factory=dict)
    compensations: frozenset[str] | None = None

    def tool(self, name: str) -> Tool | None:
        """A tool by its policy name."""
        upstream, _, _ = name.partition(".")
        return next((tool for tool in self.reached.get(upstream, ()) if tool.name == name), None)

    def lacks(self, name: str) -> bool:
        """Whether a tool is certainly not there: its upstream was asked."""
        upstream = name.partition(".")[0]
        return upstream != CODE and upstream in self.reached and self.tool(name) is None

    def names(self, upstream: str) -> list[str]:
        """The policy names of an upstream's tools."""
        return [tool.name for tool in self.reached.get(upstream, ())]

    def tools(self) -> Iterator[Tool]:
        """All of them."""
        for tools in self.reached.values():
            yield from tools


def governed(policy: Policy, rule: Rule, live: Live) -> list[Tool]:
    """The tools for which a rule may hold: those it matches, and that no earlier rule takes whole."""
    return [
        tool
        for tool in live.tools()
        if fnmatchcase(tool.name, rule.tool) and any(one is rule for one in possible(policy, tool.name))
    ]


def possible(policy: Policy, tool: str) -> Iterator[Rule]:
    """The rules that may hold for a tool: up to the first without a condition."""
    for numbered in policy.rules_for(tool):
        yield numbered.rule
        if numbered.rule.when is None:
            return


def _wraps_a_text(schema: Any) -> bool:
    """Whether only the wrapping of a framework is known: a text under `result`, which may hold any JSON."""
    fields = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(fields, Mapping) or set(fields) != {"result"}:
        return False
    inner = fields["result"]
    return isinstance(inner, Mapping) and inner.get("type") == "string"
