"""Swagger 2.0 documents as OpenAPI 3.0: the same operations in the newer words.

No kept library does this in Python. What is converted is what makes a request and describes its answer; addresses of
references stay as they are, so that `#/definitions/...` is looked up where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback_tools.http.bodies import FORM, JSON_TYPE, MULTIPART
from takeback_tools.http.parameters import parameters_of
from takeback_tools.http.references import DanglingReference, Node, References

_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
_STYLES: Final[Mapping[str, tuple[str, bool]]] = {
    "csv": ("form", False),
    "multi": ("form", True),
    "ssv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
}
"""`collectionFormat` of a query as style and explode. Tabs between values have no style; they are sent as commas."""

_OF_PARAMETERS: Final = frozenset(
    {"name", "in", "description", "required", "collectionFormat", "allowEmptyValue", "schema", "x-example"}
)


def is_swagger(main: JSON) -> bool:
    """Whether a document is of version 2.0."""
    return isinstance(main, Mapping) and str(main.get("swagger")) == "2.0"


def converted(main: Node, references: References) -> Node:
    """The document in the words of version 3.0."""
    return Node(_Conversion(main, references).document(), main.base)


class _Conversion:
    def __init__(self, main: Node, references: References) -> None:
        self._main, self._references = main, references

    def document(self) -> dict[str, JSON]:
        """All of it."""
        paths: dict[str, JSON] = {}
        for path, item in self._main.at("paths").each():
            try:
                paths[path] = self._path_item(self._references.follow(item))
            except DanglingReference as dangling:
                paths[path] = {"$ref": str(dangling)}
        return {"openapi": "3.0.3", "paths": paths, "servers": _servers(self._main.value)}

    def _path_item(self, item: Node) -> dict[str, JSON]:
        return {
            key: self._operation(node, item)
            for key, node in item.each()
            if key in _METHODS and isinstance(node.value, Mapping)
        }

    def _operation(self, operation: Node, shared: Node) -> dict[str, JSON]:
        kept = ("operationId", "summary", "description", "tags", "deprecated")
        found = {key: operation.value[key] for key in kept if key in operation.value}
        try:
            parameters = parameters_of(shared, operation, self._references)
        except DanglingReference as dangling:
            return {**found, "parameters": [{"$ref": str(dangling)}]}  # whoever reads it finds out, too, and says so
        plain = [node for node in parameters if node.value["in"] in {"path", "query", "header"}]
        found["parameters"] = [_parameter(node) for node in plain]
        body = self._body(operation, parameters)
        if body is not None:
            found["requestBody"] = body
        produces = self._types(operation, "produces")
        found["responses"] = {code: self._response(node, produces) for code, node in operation.at("responses").each()}
        return found

    def _types(self, operation: Node, key: str) -> list[str]:
        own = operation.value.get(key, self._main.value.get(key))
        return [one for one in own if isinstance(one, str)] if isinstance(own, list) else []

    def _body(self, operation: Node, parameters: list[Node]) -> dict[str, JSON] | None:
        consumes = self._types(operation, "consumes")
        for node in parameters:
            if node.value["in"] == "body":
                about = {key: node.value[key] for key in ("description", "required") if key in node.value}
                schema = _absolute(node.at("schema"))
                return {**about, "content": {kind: {"schema": schema} for kind in consumes or [JSON_TYPE]}}
        fields = [node for node in parameters if node.value["in"] == "formData"]
        return _form(fields, consumes) if fields else None

    def _response(self, response: Node, produces: list[str]) -> dict[str, JSON]:
        try:
            node = self._references.follow(response)
        except DanglingReference:
            return {}
        if not isinstance(node.at("schema").value, Mapping):
            return {}
        return {"content": {kind: {"schema": _absolute(node.at("schema"))} for kind in produces or [JSON_TYPE]}}


def _servers(main: Mapping[str, Any]) -> list[JSON]:
    """`host`, `basePath` and `schemes`; the safest scheme, and relative to the document where the host is missing."""
    path = str(main.get("basePath") or "/")
    host = main.get("host")
    if not isinstance(host, str) or not host:
        return [{"url": path}]
    schemes = main.get("schemes")
    known = [one for one in schemes if one in {"http", "https"}] if isinstance(schemes, list) else []
    if not known:
        return [{"url": f"//{host}{path}"}]
    return [{"url": f"{max(known)}://{host}{path}"}]


def _parameter(node: Node) -> dict[str, JSON]:
    kept = ("name", "in", "description", "required")
    found = {key: node.value[key] for key in kept if key in node.value}
    found["schema"] = _own_schema(node)
    if node.value.get("type") == "array" and node.value["in"] == "query":
        found["style"], found["explode"] = _STYLES.get(str(node.value.get("collectionFormat")), _STYLES["csv"])
    return found


def _own_schema(node: Node) -> dict[str, JSON]:
    """The schema that stands among the keys of the parameter itself."""
    found = {key: value for key, value in node.value.items() if key not in _OF_PARAMETERS}
    if found.get("type") == "file":
        return {"type": "string", "format": "binary"}
    return found


def _form(fields: list[Node], consumes: list[str]) -> dict[str, JSON]:
    schemas: dict[str, JSON] = {}
    encoding: dict[str, JSON] = {}
    for node in fields:
        name = node.value["name"]
        schemas[name] = _own_schema(node)
        if isinstance(node.value.get("description"), str):
            schemas[name] = {**schemas[name], "description": node.value["description"]}
        if node.value.get("type") == "array":
            style, explode = _STYLES.get(str(node.value.get("collectionFormat")), _STYLES["csv"])
            encoding[name] = {"style": style, "explode": explode}
    required = [node.value["name"] for node in fields if node.value.get("required") is True]
    schema: dict[str, JSON] = {"type": "object", "properties": schemas}
    if required:
        schema["required"] = required
    has_file = any(node.value.get("type") == "file" for node in fields)
    kind = MULTIPART if has_file or (MULTIPART in consumes and FORM not in consumes) else FORM
    return {"required": bool(required), "content": {kind: {"schema": schema, "encoding": encoding}}}


def _absolute(node: Node) -> JSON:
    """A schema whose references hold wherever it is put: it may come from another document than the operation."""
    return _made_absolute(node.value, node)


def _made_absolute(here: JSON, node: Node) -> JSON:
    if isinstance(here, dict):
        found = {key: _made_absolute(value, node) for key, value in here.items()}
        address = Node(here, node.base).reference
        return {**found, "$ref": address} if address is not None else found
    return [_made_absolute(one, node) for one in here] if isinstance(here, list) else here
