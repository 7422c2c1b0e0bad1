"""Schemas of a document (OpenAPI 3.0, 3.1) as JSON Schema 2020-12 for tools."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Literal

from takeback.core.jsontext import JSON
from takeback.core.phrases import one_line
from takeback_tools.http.merging import is_plain, merged
from takeback_tools.http.references import DanglingReference, Node, References

MOST_DEFINITIONS: Final = 80
"""Definitions that one tool carries along. What lies further from the arguments is described no more."""

LONGEST_DESCRIPTION: Final = 400

_SINGLE: Final = frozenset(
    {"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"}
    | {"unevaluatedProperties", "unevaluatedItems"}
)
_SEVERAL: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
_NUMBERS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_COUNTS: Final = frozenset(
    {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
)
_TEXTS: Final = frozenset({"pattern", "format", "contentEncoding", "contentMediaType"})
_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_HIDDEN: Final = {"in": "readOnly", "out": "writeOnly"}

Direction = Literal["in", "out"]


class Schemas:
    """Converts schemas for one tool. What `$ref` names is converted once and lies in `definitions`, cycles included.

    `direction`: `in` leaves out what is `readOnly`, `out` what is `writeOnly`.
    """

    def __init__(self, references: References, direction: Direction) -> None:
        self._references, self._hidden = references, _HIDDEN[direction]
        self._names: dict[str, str] = {}
        self._waiting: deque[str] = deque()
        self._done: dict[str, JSON] = {}

    def definitions(self) -> dict[str, JSON]:
        """Everything that the schemas converted so far refer to, what is nearest first."""
        while self._waiting:
            address = self._waiting.popleft()
            self._done[self._names[address]] = self.inline(self._references.look_up(address))
        return self._done

    def inline(self, node: Node) -> JSON:
        """The schema itself, with no `$ref` at its top."""
        try:
            followed = self._references.follow(node)
        except DanglingReference:
            return {}
        return self._converted(followed)

    def convert(self, node: Node) -> JSON:
        """The schema; what it refers to is put into `definitions`."""
        address = node.reference
        if address is None:
            return self._converted(node)
        reference = self._referring(address)
        siblings = Node({key: value for key, value in node.value.items() if key != "$ref"}, node.base)
        beside = self._converted(siblings)
        if _takes_null(siblings.value):
            return {**_annotations(beside), "anyOf": [reference, {"type": "null"}]}
        return {**reference, **beside} if reference or beside else {}

    def _referring(self, address: str) -> dict[str, JSON]:
        if address not in self._names:
            try:
                self._references.look_up(address)
            except DanglingReference:
                return {}
            if len(self._names) >= MOST_DEFINITIONS:
                return {}
            self._names[address] = _free_name(address, set(self._names.values()))
            self._waiting.append(address)
        return {"$ref": f"#/$defs/{self._names[address]}"}

    def _converted(self, node: Node) -> JSON:
        value = node.value
        if isinstance(value, bool):
            return value
        if not isinstance(value, Mapping):
            return {}
        if "allOf" in value and (whole := self._merged(node)) is not None:
            return _nullable(value, whole)
        found: dict[str, JSON] = {}
        for key, below in node.each():
            self._keyword(found, key, below)
        return _nullable(value, _bounded(value, found))

    def _keyword(self, found: dict[str, JSON], key: str, below: Node) -> None:
        value = below.value
        if key in _NAMED and isinstance(value, Mapping):
            found[key] = {name: self.convert(node) for name, node in below.each() if not self._is_hidden(node)}
        elif key == "required" and isinstance(value, list):
            found[key] = list(dict.fromkeys(name for name in value if isinstance(name, str)))
        elif key == "items" and isinstance(value, list) and value:
            found["prefixItems"] = [self.convert(node) for node in below.items()]
        elif key in _SEVERAL and isinstance(value, list) and value:
            found[key] = [self.convert(node) for node in below.items()]
        elif key in _SINGLE and isinstance(value, Mapping | bool):
            found[key] = self.convert(below)
        elif _is_assertion(key, value) or key in {"const", "default"}:
            found[key] = value
        elif key in {"title", "description"} and isinstance(value, str):
            found[key] = one_line(value, LONGEST_DESCRIPTION)

    def _is_hidden(self, node: Node) -> bool:
        if not isinstance(node.value, Mapping):
            return False
        parts = [node, *node.at("allOf").items()]
        return any(isinstance(part.value, Mapping) and part.value.get(self._hidden) is True for part in parts)

    def _merged(self, node: Node) -> dict[str, JSON] | None:
        """One object schema in place of an `allOf` of object schemas; null where that is not the same."""
        parts = self._parts(node, ())
        if parts is None:
            return None
        return merged([self._converted(part) for part in parts])

    def _parts(self, node: Node, above: tuple[str, ...]) -> list[Node] | None:
        if not isinstance(node.value, Mapping):
            return None
        own = Node({key: value for key, value in node.value.items() if key != "allOf"}, node.base)
        found: list[Node] = []
        for member in node.at("allOf").items():
            address = member.reference
            if address is not None and (address in above or len(above) > _DEEPEST_MERGE):
                return None
            try:
                target = self._references.follow(member)
            except DanglingReference:
                continue
            below = self._parts(target, (*above, address) if address is not None else above)
            if below is None or (address is not None and len(member.value) > 1):
                return None
            found += below
        return [*found, own] if is_plain(own.value) else None


_DEEPEST_MERGE: Final = 16


def _is_assertion(key: str, value: JSON) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == "type":
        wanted = value if isinstance(value, list) else [value]
        known = [one for one in wanted if isinstance(one, str) and one in _TYPES]
        return bool(wanted) and len(set(known)) == len(wanted)
    if key in _NUMBERS:
        return number and (key != "multipleOf" or value > 0)
    if key in _COUNTS:
        return number and value >= 0 and int(value) == value
    if key in _TEXTS:
        return isinstance(value, str)
    if key == "enum":
        return isinstance(value, list) and bool(value)
    return key in {"uniqueItems", "deprecated"} and isinstance(value, bool)


def _bounded(value: Mapping[str, Any], found: dict[str, JSON]) -> dict[str, JSON]:
    """Version 3.0 writes exclusive bounds as truth values beside the bound; hidden properties are not required."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if value.get(exclusive) is True and bound in found:
            found[exclusive] = found.pop(bound)
    if "required" in found and isinstance(value.get("properties"), Mapping):
        gone = set(value["properties"]) - set(found.get("properties", {}))
        found["required"] = [name for name in found["required"] if name not in gone]
    if not found.get("required", True):
        del found["required"]
    return found


def _takes_null(value: Mapping[str, Any]) -> bool:
    return value.get("nullable") is True or value.get("x-nullable") is True


def _nullable(value: Mapping[str, Any], found: dict[str, JSON]) -> dict[str, JSON]:
    if not _takes_null(value):
        return found
    kind = found.get("type")
    if kind is not None:
        kinds = kind if isinstance(kind, list) else [kind]
        found["type"] = kinds if "null" in kinds else [*kinds, "null"]
        if "enum" in found and None not in found["enum"]:
            found["enum"] = [*found["enum"], None]
        return found
    if any(key in found for key in ("allOf", "anyOf", "oneOf", "enum", "const")):
        notes = _annotations(found)
        return {**notes, "anyOf": [{k: v for k, v in found.items() if k not in notes}, {"type": "null"}]}
    return found


def _annotations(schema: JSON) -> dict[str, JSON]:
    kept = ("title", "description", "default", "deprecated")
    return {key: schema[key] for key in kept if key in schema} if isinstance(schema, Mapping) else {}


def _free_name(address: str, taken: set[str]) -> str:
    last = address.rpartition("#")[2].rpartition("/")[2] or address.rpartition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", last)[:60] or "schema"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}_{number}", number + 1
    return name
