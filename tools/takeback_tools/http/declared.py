"""Operations that the policy declares by hand, for APIs without a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from takeback.core.jsontext import JSON
from takeback.core.policy import apis
from takeback.core.policy.slots import filled, slots, sole
from takeback.ports import HTTP, ToolDefinition
from takeback_tools.http.bodies import JSON_TYPE, Part, encode, essence
from takeback_tools.http.operations import Draft, Operation, Unfit, hints
from takeback_tools.http.serialising import Parameter, bare, header_value, in_query, path_value

_MISSING: Final = object()


def declared(upstream: str, name: str, table: apis.Operation, *, offered: bool) -> Operation:
    """The operation of a table of the policy, `[upstream.NAME.operation.TOOL]`."""
    request = _Request(table)
    method = table.method.upper()
    raw: dict[str, Any] = {
        "name": name,
        "description": table.description or f"{method} {table.path}",
        "inputSchema": _schema(table),
        "annotations": hints(method, ""),
        "_meta": {HTTP: {"method": method, "path": table.path, "conditional": table.conditional}},
    }
    return Operation(ToolDefinition(upstream, name, raw, offered), request.draft)


def _named(table: apis.Operation) -> list[str]:
    """The arguments, in the order in which the table declares them, then by name."""
    everywhere = slots([table.path, dict(table.query), dict(table.headers), table.body])
    return [*table.args, *sorted(everywhere - set(table.args))]


def _schema(table: apis.Operation) -> dict[str, JSON]:
    names = _named(table)
    properties = {name: _of(table.args.get(name, "string")) for name in names}
    required = [name for name in names if name not in table.optional]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _of(schema: str | dict[str, Any]) -> JSON:
    return {"type": schema} if isinstance(schema, str) else schema


class _Request:
    """Fills the templates of one operation."""

    def __init__(self, table: apis.Operation) -> None:
        self._table = table
        self._known = frozenset(_named(table))
        self._type = table.content_type or (JSON_TYPE if table.body is not None else "")

    def draft(self, arguments: Mapping[str, JSON]) -> Draft:
        """The request for these arguments. Raises Unfit."""
        table = self._table
        missing = [name for name in self._known if name not in arguments and name not in table.optional]
        if missing:
            raise Unfit(f"{', '.join(sorted(missing))} is missing")
        extra = {name: value for name, value in arguments.items() if name not in self._known}
        headers = {name: text for name, one in table.headers.items() if (text := _header(one, arguments)) is not None}
        content = None
        if table.body is not None and (value := self._value(arguments, extra)) is not _MISSING:
            content, headers["Content-Type"] = encode(self._type, value, _parts(value))
        elif extra:
            raise Unfit(_unknown(extra))
        return Draft(table.method.upper(), self._target(arguments), headers, content)

    def _target(self, arguments: Mapping[str, JSON]) -> str:
        def put(name: str) -> str:
            return path_value(name, bare(arguments.get(name)))

        path = filled(self._table.path, put)
        query = [piece for name, one in self._table.query.items() for piece in _query(name, one, arguments)]
        return f"{path}?{'&'.join(query)}" if query else path

    def _value(self, arguments: Mapping[str, JSON], extra: Mapping[str, JSON]) -> Any:
        escaping: Callable[[str], str] = _for_xml if essence(self._type).endswith(("/xml", "+xml")) else str
        value = _fill(self._table.body, arguments, escaping)
        if not extra:
            return value
        if not isinstance(value, dict):
            raise Unfit(_unknown(extra))
        return {**value, **extra}


def _unknown(extra: Mapping[str, JSON]) -> str:
    return f"there is no argument {', '.join(sorted(extra))}"


def _for_xml(text: str) -> str:
    return escape(text, {'"': "&quot;", "'": "&apos;"})


def _fill(template: Any, arguments: Mapping[str, JSON], escaping: Callable[[str], str]) -> Any:
    """The template with its arguments; what names a missing one is missing itself, a field of a table is left out."""
    if isinstance(template, dict):
        found = {name: _fill(one, arguments, escaping) for name, one in template.items()}
        return {name: value for name, value in found.items() if value is not _MISSING}
    if isinstance(template, list | tuple):
        return [value for one in template if (value := _fill(one, arguments, escaping)) is not _MISSING]
    if not isinstance(template, str):
        return template
    if any(name not in arguments for name in slots(template)):
        return _MISSING
    whole = sole(template)
    return arguments[whole] if whole else filled(template, lambda name: escaping(bare(arguments[name])))


def _header(template: str, arguments: Mapping[str, JSON]) -> str | None:
    text = _fill(template, arguments, str)
    return None if text is _MISSING or text is None else header_value(" and ".join(sorted(slots(template))), bare(text))


def _query(name: str, template: str, arguments: Mapping[str, JSON]) -> list[str]:
    value = _fill(template, arguments, str)
    if value is _MISSING:
        return []
    return in_query(Parameter(name, "query", name, "form", explode=True), value if sole(template) else bare(value))


def _parts(value: Any) -> dict[str, Part]:
    """In a multipart body, an object with `text` or `base64` is a file."""
    fields = value if isinstance(value, dict) else {}
    files = {name for name, one in fields.items() if isinstance(one, dict) and {"text", "base64"} & set(one)}
    return {name: Part(is_file=True) for name in files}
