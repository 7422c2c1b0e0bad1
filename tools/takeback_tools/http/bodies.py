"""The body of a request: from arguments to bytes, for each kind of content."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from takeback.core.jsontext import JSON, dumps
from takeback_tools.http.operations import Unfit
from takeback_tools.http.serialising import Parameter, bare, header_value, in_query

JSON_TYPE: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

FILE_SCHEMA: Final[Mapping[str, JSON]] = {
    "description": "The file: its text, or an object.",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "base64": {"type": "string", "description": "for what is no text"},
                "filename": {"type": "string"},
                "content_type": {"type": "string"},
            },
        },
    ],
}
"""How a tool takes a file."""


def essence(media_type: str) -> str:
    """A media type without its parameters, in small letters."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether content of this type is JSON."""
    kind = essence(media_type)
    return kind in {JSON_TYPE, "text/json"} or kind.endswith("+json")


def preferred(media_types: Iterable[str]) -> str | None:
    """Of the types that an operation takes, the one that is sent."""
    return min(media_types, key=_rank, default=None)


def _rank(media_type: str) -> int:
    kind = essence(media_type)
    if kind in {JSON_TYPE, "*/*", "application/*"}:
        return 0
    order = ("application/merge-patch+json", "application/json-patch+json", MULTIPART, FORM)
    if kind in order:
        return 1 + order.index(kind) if kind.endswith("json") else 4 + order.index(kind)
    if is_json(kind):
        return 3
    return 8 if kind.startswith("text/") else 9


def concrete(media_type: str) -> str:
    """The type that is written into the header for one that may hold wildcards."""
    kind = essence(media_type)
    if kind in {"*/*", "application/*"}:
        return JSON_TYPE
    return "text/plain; charset=utf-8" if kind == "text/*" else media_type


@dataclass(frozen=True, slots=True)
class Part:
    """How one field of a form or of a multipart body is written."""

    is_file: bool = False
    content_type: str | None = None
    style: str = "form"
    explode: bool = True


@dataclass(frozen=True, slots=True)
class Body:
    """Where the body's content comes from.

    `fields` maps arguments to the fields of an object; without them the body is the argument `argument`, whole. `open`:
    what no parameter is called so becomes a field, too (a key that the guard adds, say).
    """

    media_type: str
    required: bool
    argument: str = "body"
    fields: Mapping[str, str] | None = None
    open: bool = True
    parts: Mapping[str, Part] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """The arguments that it takes."""
        return frozenset(self.fields) if self.fields is not None else frozenset({self.argument})

    def encoded(self, arguments: Mapping[str, JSON], extra: Mapping[str, JSON]) -> tuple[bytes, str] | None:
        """The content and its type; null when there is no body. `extra` are fields beyond those that are declared.

        Raises:
            Unfit: the arguments cannot be written like this.
        """
        value = self._value(arguments, extra)
        if value is _NOTHING:
            return None
        return encode(self.media_type, value, self.parts)

    def _value(self, arguments: Mapping[str, JSON], extra: Mapping[str, JSON]) -> Any:
        if self.fields is None:
            value = arguments.get(self.argument, _NOTHING)
            if not extra:
                return value
            if not isinstance(value, dict):
                raise Unfit(f"there is no argument {', '.join(sorted(extra))}")
            return {**value, **extra}
        given = {name: arguments[argument] for argument, name in self.fields.items() if argument in arguments}
        return {**given, **extra} if given or extra or self.required else _NOTHING


_NOTHING: Final = object()


def encode(media_type: str, value: JSON, parts: Mapping[str, Part]) -> tuple[bytes, str]:
    """A value as content of a type, and the type as its header says it. Raises Unfit."""
    kind = essence(media_type)
    if is_json(kind):
        return dumps(value), media_type
    if kind == FORM and isinstance(value, dict):
        return _form(value, parts), media_type
    if kind == MULTIPART and isinstance(value, dict):
        return _multipart(value, parts)
    content = _content_of("the body", value)
    has_charset = "charset" in media_type.lower()
    return content, media_type if has_charset or not kind.startswith("text/") else f"{media_type}; charset=utf-8"


def _form(fields: Mapping[str, JSON], parts: Mapping[str, Part]) -> bytes:
    pieces: list[str] = []
    for name, value in fields.items():
        part = parts.get(name, Part())
        as_json = part.content_type is not None and is_json(part.content_type)
        pieces += in_query(Parameter(name, "query", name, part.style, part.explode, as_json=as_json), value)
    return "&".join(pieces).encode("ascii")


def _multipart(fields: Mapping[str, JSON], parts: Mapping[str, Part]) -> tuple[bytes, str]:
    files: list[tuple[str, Any]] = []
    for name, value in fields.items():
        part = parts.get(name, Part())
        several = value if isinstance(value, list) else [value]
        files += [(name, _file(name, one, part) if part.is_file else _field(one, part)) for one in several]
    # `httpx2` writes the format; the address is never used.
    request = httpx2.Request("POST", "http://localhost/", files=files or {"": b""})
    return request.read(), request.headers["content-type"]


def _field(value: JSON, part: Part) -> tuple[None, bytes] | tuple[None, bytes, str]:
    content_type = part.content_type or (JSON_TYPE if isinstance(value, dict | list) else None)
    content = bare(value).encode("utf-8", "surrogatepass")
    return (None, content, content_type) if content_type else (None, content)


def _file(name: str, value: JSON, part: Part) -> tuple[str, bytes, str]:
    given = value if isinstance(value, dict) else {}
    filename = header_value(name, bare(given.get("filename") or name))
    default = "text/plain; charset=utf-8" if isinstance(value, str) else "application/octet-stream"
    content_type = bare(given.get("content_type") or part.content_type or default)
    return filename, _content_of(name, value), header_value(name, content_type)


def _content_of(name: str, value: JSON) -> bytes:
    """The bytes of a file or of a body that is no JSON: a text, or an object with `text` or `base64`."""
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        try:
            return base64.b64decode(value["base64"], validate=True)
        except (binascii.Error, ValueError):
            raise Unfit(f"{name} is no base64") from None
    text = value.get("text") if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise Unfit(f"{name} must be a text, or an object with `text` or `base64`")
    return text.encode("utf-8", "surrogatepass")
