"""What an operation of an HTTP API is to the connector, whoever described it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.ports import ToolDefinition

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"})
"""Methods that change nothing by their definition (the IANA registry calls them safe)."""

GUARDED_HEADERS: Final = frozenset({"if-match", "if-none-match", "idempotency-key"})
"""Headers that the guard sends by itself where its rules say so."""


class Unfit(ValueError):
    """No request can be made of these arguments; the message is for whoever wrote them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A request before credentials: `target` is path and query, percent-encoded, to be put behind the base URL."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    @property
    def is_safe(self) -> bool:
        """Whether the request changes nothing, so that it may be sent again."""
        return self.method in SAFE


@dataclass(frozen=True, slots=True)
class Operation:
    """One tool and the requests that it makes.

    `draft` makes the request of a call's arguments (raises Unfit); `structured`: its definition has an output schema;
    `base`: where it goes, if not to the API's base URL.
    """

    definition: ToolDefinition
    draft: Callable[[Mapping[str, JSON]], Draft]
    structured: bool = False
    base: str | None = None


def hints(method: str, title: str) -> dict[str, Any]:
    """What the method says by its definition. Hints, like all annotations."""
    found: dict[str, Any] = {"title": title} if title else {}
    if method in SAFE:
        found["readOnlyHint"] = True
    elif method == "DELETE":
        found |= {"destructiveHint": True, "idempotentHint": True}
    elif method == "PUT":
        found["idempotentHint"] = True
    return found
