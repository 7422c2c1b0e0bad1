"""Operations as a document (OpenAPI 3.0, 3.1) describes them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from takeback.core.jsontext import JSON
from takeback.core.phrases import one_line
from takeback.ports import HTTP, ToolDefinition
from takeback_tools.http.arguments import Arguments
from takeback_tools.http.bodies import is_json, preferred
from takeback_tools.http.naming import tool_name
from takeback_tools.http.operations import Operation, hints
from takeback_tools.http.outputs import output_schema
from takeback_tools.http.parameters import parameters_of
from takeback_tools.http.places import first_server, is_same_origin
from takeback_tools.http.references import DanglingReference, Node, References
from takeback_tools.http.requests import Requests
from takeback_tools.http.schemas import Schemas

log = logging.getLogger(__name__)

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
MOST_OPERATIONS: Final = 5000
LONGEST_DESCRIPTION: Final = 1000

Offered = Callable[[str, str, frozenset[str]], bool]
"""Whether clients are offered an operation, by method, path and tags."""


class TooMany(ValueError):
    """The document has more operations than one upstream may have."""


@dataclass(frozen=True, slots=True)
class Described:
    """One operation of the document: the path item is `shared`, what stands under the method `own`."""

    method: str
    path: str
    own: Node
    shared: Node

    @property
    def title(self) -> str:
        """The summary, on one line."""
        summary = self.own.value.get("summary")
        return one_line(summary, 120) if isinstance(summary, str) else ""

    @property
    def tags(self) -> frozenset[str]:
        """The tags that are texts."""
        tags = self.own.value.get("tags")
        return frozenset(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else frozenset()

    def description(self) -> str:
        """For models: the summary, then the description, bounded."""
        own = self.own.value
        parts = [
            text for text in (own.get("summary"), own.get("description")) if isinstance(text, str) and text.strip()
        ]
        if len(parts) > 1 and parts[1].startswith(parts[0].rstrip(".")):
            parts = parts[1:]
        said = "\n\n".join(part.strip() for part in parts) or f"{self.method} {self.path}"
        text = said if len(said) <= LONGEST_DESCRIPTION else said[: LONGEST_DESCRIPTION - 1].rstrip() + "…"
        return f"Deprecated. {text}" if own.get("deprecated") is True else text


@dataclass(frozen=True, slots=True)
class Source:
    """A document: for which upstream it was read, and at which URL its operations are (unless they say otherwise)."""

    upstream: str
    main: Node
    references: References
    base: str
    offered: Offered


class Elsewhere(ValueError):
    """An operation goes to another origin than the others, where the credentials do not belong."""


def operations(source: Source, taken: frozenset[str]) -> list[Operation]:
    """The operations of a document, in its order. One that cannot be understood is left out, and the log says so.

    `taken` are names of tools that are declared by hand, in whose place the document's are not offered.

    Raises:
        TooMany: there are more than `MOST_OPERATIONS`.
    """
    names: set[str] = set()
    found: list[Operation] = []
    for described in _each(source):
        if len(found) >= MOST_OPERATIONS:
            raise TooMany(f"it has more than {MOST_OPERATIONS} operations")
        wanted = described.own.value.get("operationId")
        name = tool_name(source.upstream, wanted, described.method, described.path, names)
        names.add(name)
        if name in taken:
            continue
        try:
            found.append(_operation(source, name, described))
        except (DanglingReference, Elsewhere, RecursionError) as error:
            log.warning("%s: %s %s is left out: %s", source.upstream, described.method, described.path, _why(error))
    return found


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"{error} leads nowhere" if isinstance(error, DanglingReference) else str(error)


def _each(source: Source) -> Iterator[Described]:
    for path, item in source.main.at("paths").each():
        if not path.startswith("/"):
            continue
        try:
            shared = source.references.follow(item)
        except DanglingReference:
            log.warning("%s: what stands under the path %s leads nowhere and is left out", source.upstream, path)
            continue
        for method in METHODS:
            own = shared.at(method)
            if isinstance(own.value, Mapping):
                yield Described(method.upper(), path, own, shared)


def _operation(source: Source, name: str, described: Described) -> Operation:
    references = source.references
    arguments = Arguments(references, Schemas(references, "in"))
    for node in parameters_of(described.shared, described.own, references):
        arguments.add_parameter(node)
    arguments.add_missing_from(described.path)
    arguments.add_body(references.follow(described.own.at("requestBody")))
    output = _output(described, references)
    about = {"method": described.method, "path": described.path, "conditional": _conditional(described, arguments)}
    raw: dict[str, Any] = {
        "name": name,
        **({"title": described.title} if described.title else {}),
        "description": described.description(),
        "inputSchema": arguments.schema(),
        **({"outputSchema": output} if output is not None else {}),
        "annotations": hints(described.method, described.title),
        "_meta": {HTTP: about},
    }
    requests = Requests(described.method, described.path, tuple(arguments.parameters), arguments.body)
    definition = ToolDefinition(
        source.upstream, name, raw, source.offered(described.method, described.path, described.tags)
    )
    return Operation(definition, requests.draft, output is not None, _own_base(source, described))


def _own_base(source: Source, described: Described) -> str | None:
    """Where an operation goes that does not go where the others do.

    Raises:
        Elsewhere: to another origin.
    """
    holder = next((one for one in (described.own, described.shared) if one.at("servers").value), None)
    if holder is None:
        return None
    base = urljoin(holder.base, first_server(holder.value))
    if not is_same_origin(base, source.base):
        raise Elsewhere(f"it goes to {base}, and the others to {source.base}")
    return base


def _conditional(described: Described, arguments: Arguments) -> bool:
    """Whether the document says that the operation minds `If-Match`."""
    responses = described.own.at("responses").value
    return "if-match" in arguments.headers or (isinstance(responses, Mapping) and "412" in responses)


def _output(described: Described, references: References) -> dict[str, JSON] | None:
    """The output schema, where every good answer that the document knows is a JSON object."""
    successes = [
        references.follow(node)
        for code, node in described.own.at("responses").each()
        if re.fullmatch(r"2(\d\d|XX)", code, re.IGNORECASE)
    ]
    found: list[dict[str, JSON]] = []
    for response in successes:
        content = dict(response.at("content").each())
        kind = preferred(content)
        if kind is None or not all(is_json(one) for one in content):
            return None
        schemas = Schemas(references, "out")
        schema = output_schema(schemas.inline(content[kind].at("schema")), schemas.definitions())
        if schema is None:
            return None
        found.append(schema)
    return found[0] if found else None
