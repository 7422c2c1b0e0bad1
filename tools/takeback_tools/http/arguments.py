"""One input schema for a tool: the parameters of an operation and the fields of its body, side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import jsonschema_rs

from takeback.core.jsontext import JSON
from takeback.core.phrases import one_line
from takeback_tools.http.bodies import FILE_SCHEMA, FORM, MULTIPART, Body, Part, concrete, essence, is_json, preferred
from takeback_tools.http.naming import argument_name
from takeback_tools.http.operations import GUARDED_HEADERS
from takeback_tools.http.references import Node, References
from takeback_tools.http.schemas import LONGEST_DESCRIPTION, Schemas
from takeback_tools.http.serialising import DEFAULT_STYLE, Parameter, Place

_IGNORED_HEADERS: Final = frozenset({"accept", "content-type", "authorization", "content-length", "host", "cookie"})
_TEMPLATE: Final = re.compile(r"\{([^{}]+)\}")
_COMPOSED: Final = ("allOf", "anyOf", "oneOf", "not", "if", "$ref", "patternProperties")


class Arguments:
    """Collects what an operation takes. `headers` are the names of all header parameters, in small letters."""

    def __init__(self, references: References, schemas: Schemas) -> None:
        self._references, self._schemas = references, schemas
        self._properties: dict[str, JSON] = {}
        self._required: list[str] = []
        self.parameters: list[Parameter] = []
        self.headers: set[str] = set()
        self.body: Body | None = None

    def add_parameter(self, node: Node) -> None:
        """Take in a parameter, which has a name and a place.

        Headers that HTTP or the guard sets are no arguments: a model would make them up.
        """
        name, place = node.value["name"], node.value["in"]
        if place not in DEFAULT_STYLE:
            return
        if place == "header":
            self.headers.add(name.lower())
            if name.lower() in _IGNORED_HEADERS | GUARDED_HEADERS:
                return
        content = next(node.at("content").each(), None)
        schema = node.at("schema") if content is None else content[1].at("schema")
        style = node.value.get("style") or DEFAULT_STYLE[place]
        explode = node.value.get("explode", style == "form")
        argument = self._add(name, place, self._described(schema, node), _is_required(node, place))
        as_json = content is not None
        reserved = node.value.get("allowReserved") is True
        self.parameters.append(
            Parameter(name, cast(Place, place), argument, str(style), bool(explode), as_json, reserved)
        )

    def add_missing_from(self, path: str) -> None:
        """Places in the path that the document forgot to declare."""
        known = {parameter.name for parameter in self.parameters if parameter.place == "path"}
        for name in _TEMPLATE.findall(path):
            if name not in known:
                known.add(name)
                argument = self._add(name, "path", {"type": "string"}, required=True)
                self.parameters.append(Parameter(name, "path", argument, "simple", explode=False))

    def add_body(self, node: Node) -> None:
        """Take in the request body: an object's fields as arguments, anything else as one, called `body`."""
        content = dict(node.at("content").each())
        kind = preferred(content)
        if kind is None:
            return
        required = node.value.get("required") is True
        media, media_type = content[kind], concrete(kind)
        schema = self._schemas.inline(media.at("schema"))
        takes_fields = is_json(media_type) or essence(media_type) in {FORM, MULTIPART}
        if takes_fields and isinstance(schema, Mapping) and _is_record(schema):
            self._add_fields(media, media_type, schema, required=required)
        else:
            self._add_whole(media_type, schema, node, required=required)

    def _add_whole(self, media_type: str, schema: JSON, node: Node, *, required: bool) -> None:
        text = essence(media_type).startswith("text/") or essence(media_type).endswith(("/xml", "+xml"))
        if not is_json(media_type):
            schema = {"type": "string"} if text else {**FILE_SCHEMA}
        described = node.value.get("description")
        if isinstance(schema, Mapping) and "description" not in schema and isinstance(described, str):
            schema = {**schema, "description": one_line(described, LONGEST_DESCRIPTION)}
        argument = self._add("body", "body", schema, required)
        self.body = Body(media_type, required, argument)

    def _add_fields(self, media: Node, media_type: str, schema: Mapping[str, Any], *, required: bool) -> None:
        needed = schema.get("required", []) if required else []
        parts = self._parts(media, schema) if not is_json(media_type) else {}
        fields: dict[str, str] = {}
        for name, one in schema["properties"].items():
            taken = _as_file(one) if parts.get(name, Part()).is_file and essence(media_type) == MULTIPART else one
            fields[self._add(name, "body", taken, name in needed)] = name
        is_open = schema.get("additionalProperties") is not False
        self.body = Body(media_type, required, fields=fields, open=is_open, parts=parts)

    def _parts(self, media: Node, schema: Mapping[str, Any]) -> dict[str, Part]:
        """How the fields of a form are written: what the document's `encoding` says, else what their types suggest."""
        found: dict[str, Part] = {}
        for name, one in schema["properties"].items():
            encoding = media.at("encoding", name).value
            told: Mapping[str, Any] = encoding if isinstance(encoding, Mapping) else {}
            style = str(told.get("style") or "form")
            content_type = told.get("contentType")
            plain = concrete(content_type.split(",")[0].strip()) if isinstance(content_type, str) else None
            is_file = _is_binary(one) or (isinstance(one, Mapping) and _is_binary(one.get("items")))
            found[name] = Part(is_file, plain, style, bool(told.get("explode", style == "form")))
        return found

    def _described(self, schema: Node, parameter: Node) -> JSON:
        found = self._schemas.convert(schema)
        text = parameter.value.get("description")
        if isinstance(found, Mapping) and isinstance(text, str):
            found = {**found, "description": one_line(text, LONGEST_DESCRIPTION)}
        return found

    def _add(self, name: str, place: str, schema: JSON, required: bool) -> str:
        argument = argument_name(name, place, self._properties)
        self._properties[argument] = schema
        if required:
            self._required.append(argument)
        return argument

    def schema(self) -> dict[str, JSON]:
        """The whole input schema, with everything that it refers to."""
        found: dict[str, JSON] = {"type": "object", "properties": self._properties}
        if self._required:
            found["required"] = self._required
        definitions = self._schemas.definitions()
        if definitions:
            found["$defs"] = definitions
        return _sound(found)


def _is_required(node: Node, place: str) -> bool:
    return place == "path" or node.value.get("required") is True


def _is_record(schema: Mapping[str, Any]) -> bool:
    """Whether its fields can be arguments of their own."""
    kind = schema.get("type", "object")
    is_object = "object" in (kind if isinstance(kind, list) else [kind])
    return is_object and bool(schema.get("properties")) and not any(key in schema for key in _COMPOSED)


def _is_binary(schema: JSON) -> bool:
    if not isinstance(schema, Mapping):
        return False
    return schema.get("format") == "binary" or "contentMediaType" in schema or schema.get("contentEncoding") == "base64"


def _as_file(schema: JSON) -> JSON:
    several = isinstance(schema, Mapping) and schema.get("type") == "array"
    one = {**FILE_SCHEMA}
    if isinstance(schema, Mapping) and isinstance(schema.get("description"), str):
        one["description"] = schema["description"]
    return {"type": "array", "items": one} if several else one


def _sound(schema: dict[str, JSON]) -> dict[str, JSON]:
    """The schema, without patterns where one of them is not a regular expression that the guard can check."""
    if _compiles(schema):
        return schema
    without: dict[str, JSON] = _without_patterns(schema)
    return without


def _compiles(schema: Mapping[str, Any]) -> bool:
    try:
        jsonschema_rs.validator_for(dict(schema), offline=True)
    except (ValueError, jsonschema_rs.ReferencingError):
        return False
    return True


def _without_patterns(here: JSON) -> JSON:
    if isinstance(here, dict):
        gone = {"pattern"} if isinstance(here.get("pattern"), str) else set()
        return {key: _without_patterns(value) for key, value in here.items() if key not in gone}
    return [_without_patterns(value) for value in here] if isinstance(here, list) else here
