"""The tools on offer: which upstream has which, under which name, and what their arguments must look like."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from takeback.core.jsontext import JSON
from takeback.core.phrases import one_line
from takeback.ports import HTTP, ToolClient, ToolDefinition, ToolFailure

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_PROBLEMS: Final = 8
_LONGEST_PROBLEM: Final = 300


class CatalogError(Exception):
    """The tools cannot be offered as they are: two share a name, or a name is not legal. Says which and what to do."""


@dataclass(frozen=True)
class Entry:
    """One tool on offer. `exposed` is its name downstream; `definition.name` its name at the upstream."""

    client: ToolClient
    definition: ToolDefinition
    exposed: str

    @property
    def policy_name(self) -> str:
        """As policies name it: `upstream.tool`."""
        return f"{self.client.name}.{self.definition.name}"

    @cached_property
    def conditional(self) -> bool:
        """Whether the API's own document says that the operation takes `If-Match`."""
        meta = self.definition.raw.get("_meta")
        http = meta.get(HTTP) if isinstance(meta, Mapping) else None
        return isinstance(http, Mapping) and http.get("conditional") is True

    def through(self, client: ToolClient) -> Entry:
        """The same tool at the same upstream, called through another client for it. What was compiled is kept."""
        _ = self._validator  # compiled before it is copied, not once for each copy
        other = copy(self)
        object.__setattr__(other, "client", client)
        return other

    @cached_property
    def required(self) -> frozenset[str]:
        """The arguments that the schema requires."""
        found = self.definition.input_schema.get("required")
        return frozenset(name for name in found if isinstance(name, str)) if isinstance(found, list) else frozenset()

    @cached_property
    def _properties(self) -> Mapping[str, Any]:
        found = self.definition.input_schema.get("properties")
        return found if isinstance(found, Mapping) else {}

    @cached_property
    def _validator(self) -> Any:
        try:
            # Offline: a schema of an upstream must not make the guard read files or fetch addresses.
            return jsonschema_rs.validator_for(dict(self.definition.input_schema), offline=True)
        except (ValueError, jsonschema_rs.ReferencingError):
            return None

    def valid(self, arguments: JSON) -> bool:
        """If the schema accepts the arguments. A schema that is broken itself accepts all (the upstream decides)."""
        return self._validator is None or bool(self._validator.is_valid(arguments))

    def problems(self, arguments: JSON, *, holes: Sequence[Sequence[str | int]] = ()) -> list[str]:
        """What the schema says against the arguments, precisely, at most eight sentences.

        `holes` are places whose values are not known yet: nothing is said about them.
        """
        found = () if self._validator is None else self._validator.iter_errors(arguments)
        known = (error for error in found if not any(_is_about(error, hole) for hole in holes))
        return [_sentence(error) for error in islice(known, _MOST_PROBLEMS)]

    def unknown(self, arguments: Mapping[str, JSON]) -> list[str]:
        """Arguments that the schema does not know, where it lists what it knows and does not invite others."""
        schema = self.definition.input_schema
        open_ended = bool(schema.get("additionalProperties")) or "patternProperties" in schema
        composed = any(word in schema for word in ("allOf", "anyOf", "oneOf", "$ref", "if"))
        if open_ended or composed or not self._properties:
            return []
        return [name for name in arguments if name not in self._properties]

    def with_defaults(self, arguments: Mapping[str, JSON]) -> dict[str, JSON]:
        """The arguments with the schema's defaults filled in, for comparing calls; never what is sent."""
        defaults = {
            name: schema["default"]
            for name, schema in self._properties.items()
            if isinstance(schema, Mapping) and "default" in schema
        }
        return {**defaults, **arguments}


def _is_about(error: Any, hole: Sequence[str | int]) -> bool:
    """Whether a complaint may be the hole's: it is about it, or about a choice that what fills it may decide."""
    place = list(error.instance_path)
    if place[: len(hole)] == list(hole):
        return True
    choice = bool({"anyOf", "oneOf", "allOf", "not", "if"} & set(map(str, error.schema_path)))
    return choice and list(hole)[: len(place)] == place


def _sentence(error: Any) -> str:
    where = ".".join(str(step) for step in error.instance_path)
    return one_line(f"{where}: {error.message}" if where else str(error.message), _LONGEST_PROBLEM)


class Catalog:
    """All tools of all upstreams. One upstream: names unchanged; several: `upstream_tool`."""

    def __init__(
        self, clients: Sequence[ToolClient], visible: Mapping[str, tuple[tuple[str, ...] | None, tuple[str, ...]]]
    ) -> None:
        """`visible` holds, for each upstream, the patterns of tools to offer (None: all) and to leave out."""
        self.clients = {client.name: client for client in clients}
        self._visible = visible
        self._by_exposed: dict[str, Entry] = {}
        self._by_policy: dict[str, Entry] = {}
        self._hidden: dict[str, Entry] = {}
        self._lists: dict[str, Sequence[ToolDefinition]] = {}

    def like(self, clients: Sequence[ToolClient]) -> Catalog:
        """A catalog that shows of the same upstreams, as these clients have them, what this one shows. Still empty."""
        other = Catalog(clients, self._visible)
        other.hide(list(self._hidden.values()))
        return other

    def hide(self, entries: Sequence[Entry]) -> None:
        """Tools that the guard itself may call and that nobody is offered."""
        self._hidden |= {entry.policy_name: entry for entry in entries}

    async def refresh(self) -> None:
        """Ask every upstream for its tools again. An upstream that does not answer keeps the tools it had.

        Raises:
            CatalogError: names clash or are not legal.
        """
        by_exposed: dict[str, Entry] = {}
        by_policy: dict[str, Entry] = {}
        for client in self.clients.values():
            for entry in await self._entries(client):
                by_policy[entry.policy_name] = entry
                if not self._offered(entry.definition):
                    continue
                if entry.exposed in by_exposed:
                    raise CatalogError(_clash(entry, by_exposed[entry.exposed]))
                by_exposed[entry.exposed] = entry
        self._by_exposed, self._by_policy = by_exposed, by_policy

    async def _entries(self, client: ToolClient) -> list[Entry]:
        try:
            definitions = await client.tools()
        except ToolFailure:
            return [entry for entry in self._by_policy.values() if entry.client is client]
        self._lists[client.name] = definitions
        return [
            self._by_policy_unchanged(client, definition)
            or Entry(client, definition, self._exposed(client, definition))
            for definition in definitions
        ]

    def _by_policy_unchanged(self, client: ToolClient, definition: ToolDefinition) -> Entry | None:
        # Keeps the compiled validator of a tool whose definition did not change.
        known = self._by_policy.get(f"{client.name}.{definition.name}")
        return known if known is not None and known.definition == definition else None

    def _offered(self, definition: ToolDefinition) -> bool:
        only, without = self._visible.get(definition.upstream, (None, ()))
        wanted = definition.offered and (only is None or any(fnmatchcase(definition.name, one) for one in only))
        return wanted and not any(fnmatchcase(definition.name, pattern) for pattern in without)

    def _exposed(self, client: ToolClient, definition: ToolDefinition) -> str:
        if len(self.clients) == 1 or not self._offered(definition):
            return definition.name
        name = f"{client.name}_{definition.name}"
        if _NAME.fullmatch(name) is None:
            raise CatalogError(
                f"the tool {definition.name!r} of {client.name!r} would be called {name!r}, which clients refuse "
                "(letters, digits, _ and -, at most 64); give the upstream a shorter name or exclude the tool"
            )
        return name

    def entries(self) -> list[Entry]:
        """All tools on offer, in the upstreams' order."""
        return [entry for entry in self._by_exposed.values() if entry.definition.listed]

    def known(self) -> list[Entry]:
        """All tools of the upstreams, also those that clients are not offered."""
        return list(self._by_policy.values())

    def blocked(self) -> list[Entry]:
        """The tools that must not be called, in the upstreams' order."""
        return [entry for entry in self._by_policy.values() if entry.definition.blocked]

    async def current(self, name: str) -> Entry | None:
        """As `exposed`, once the upstream has been asked whether its tools are still the same."""
        entry = self._by_exposed.get(name)
        if entry is None or await self._is_outdated(entry.client):
            with suppress(CatalogError):  # the tools as they were stay
                await self.refresh()
        return self._by_exposed.get(name)

    async def _is_outdated(self, client: ToolClient) -> bool:
        try:
            definitions = await client.tools()
        except ToolFailure:
            return False  # the call itself says what is wrong
        known = self._lists.get(client.name, ())
        return definitions is not known and list(definitions) != list(known)

    def exposed(self, name: str) -> Entry | None:
        """The tool that clients call `name`."""
        return self._by_exposed.get(name)

    def named(self, policy_name: str) -> Entry | None:
        """The tool that policies call `upstream.tool`, also when it is not offered to clients."""
        return self._by_policy.get(policy_name) or self._hidden.get(policy_name)


def _clash(entry: Entry, other: Entry) -> str:
    return (
        f"two tools would both be called {entry.exposed!r}: {other.policy_name} and {entry.policy_name}; "
        "rename an upstream or exclude one of them in the policy"
    )
