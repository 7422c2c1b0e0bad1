"""A document with everything that it refers to, read already: `$ref` is looked up, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urldefrag, urljoin

from referencing import Registry, Specification
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from takeback.core.jsontext import JSON

LONGEST_CHAIN: Final = 32
"""References that may lead from one to the next."""


class DanglingReference(LookupError):
    """A `$ref` leads nowhere."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a document, and the address of that document, to which its references are relative."""

    value: JSON
    base: str

    def at(self, *keys: str) -> Node:
        """What stands below, following no reference; null where nothing does."""
        here = self.value
        for key in keys:
            here = here.get(key) if isinstance(here, Mapping) else None
        return Node(here, self.base)

    def each(self) -> Iterator[tuple[str, Node]]:
        """The members of an object."""
        if isinstance(self.value, Mapping):
            for key, value in self.value.items():
                yield str(key), Node(value, self.base)

    def items(self) -> Iterator[Node]:
        """The elements of a list."""
        if isinstance(self.value, list):
            for value in self.value:
                yield Node(value, self.base)

    @property
    def reference(self) -> str | None:
        """The address that its `$ref` names, made absolute; null where it has none."""
        found = self.value.get("$ref") if isinstance(self.value, Mapping) else None
        return urljoin(self.base, found) if isinstance(found, str) else None


class References:
    """The documents by their addresses."""

    def __init__(self, documents: Mapping[str, JSON]) -> None:
        resources = [
            (address, Specification.OPAQUE.create_resource(contents)) for address, contents in documents.items()
        ]
        self._registry: Registry[JSON] = EMPTY_REGISTRY.with_resources(resources)

    def look_up(self, address: str) -> Node:
        """What an absolute address stands for.

        Raises:
            DanglingReference: nothing is there, or it lies in a document that was not read.
        """
        try:
            found = self._registry.resolver().lookup(address)
        except (Unresolvable, ValueError, LookupError, TypeError):
            raise DanglingReference(address) from None
        return Node(found.contents, urldefrag(address)[0])

    def follow(self, node: Node) -> Node:
        """The node itself, or what its `$ref` leads to in the end.

        Raises:
            DanglingReference: it leads nowhere, or round in a circle.
        """
        for _ in range(LONGEST_CHAIN):
            address = node.reference
            if address is None:
                return node
            node = self.look_up(address)
        raise DanglingReference(str(node.reference))
