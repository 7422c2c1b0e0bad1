"""Values as text in a request: the styles of OpenAPI (RFC 6570) for path, query, headers and cookies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

from takeback.core.jsontext import JSON, dumps
from takeback_tools.http.operations import Unfit

Place = Literal["path", "query", "header", "cookie"]

DEFAULT_STYLE: Final[Mapping[Place, str]] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}

_RESERVED: Final = ":/?@!$'()*,;"
_SEPARATORS: Final = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_COOKIE_BREAKING: Final = re.compile(r'[\x00-\x20\x7f",;\\]')


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a request: `name` is the API's, `argument` the tool's.

    `as_json`: the value travels as JSON text. `reserved`: characters that have a meaning in a query stay as they are.
    """

    name: str
    place: Place
    argument: str
    style: str
    explode: bool
    as_json: bool = False
    reserved: bool = False


def in_path(parameter: Parameter, value: JSON) -> str:
    """A value for its place in the path, percent-encoded so that it stays within it.

    Raises:
        Unfit: it is empty, or it would lead out of its place (`..`).
    """
    value = _plain(parameter, value)
    if isinstance(value, dict):
        pairs = [(quote(key, safe=""), path_value(parameter.argument, bare(one))) for key, one in value.items()]
        parts = ["=".join(pair) for pair in pairs] if parameter.explode else [part for pair in pairs for part in pair]
    else:
        parts = [path_value(parameter.argument, bare(one)) for one in (value if isinstance(value, list) else [value])]
    if not parts:
        raise Unfit(_empty(parameter.argument))
    if parameter.style == "label":
        return "." + ("." if parameter.explode else ",").join(parts)
    if parameter.style != "matrix":
        return ",".join(parts)
    name = quote(parameter.name, safe="")
    if not parameter.explode:
        return f";{name}=" + ",".join(parts)
    return "".join(f";{part}" if isinstance(value, dict) else f";{name}={part}" for part in parts)


def path_value(argument: str, text: str) -> str:
    """A text for one place in a path. The rest as `in_path`."""
    if not text:
        raise Unfit(_empty(argument))
    if any(part in {".", ".."} for part in re.split(r"[/\\]", text)):
        raise Unfit(f"{argument} stands in the path and must not lead elsewhere (`.` or `..` between slashes)")
    return quote(text, safe="")


def _empty(argument: str) -> str:
    return f"{argument} stands in the path and must not be empty"


def in_query(parameter: Parameter, value: JSON) -> list[str]:
    """A value as `name=value` pieces of a query, percent-encoded. None for null and for empty lists."""
    value = _plain(parameter, value)
    safe = _RESERVED if parameter.reserved else ""
    name = quote(parameter.name, safe="")
    if value is None or value in ([], {}):
        return []
    if parameter.style == "deepObject" and isinstance(value, dict):
        return _deep(name, value, safe)
    if isinstance(value, list):
        return _list(parameter, name, [_encoded(one, safe) for one in value])
    if isinstance(value, dict):
        if parameter.explode:
            return [f"{_encoded(k)}={_encoded(v, safe)}" for k, v in value.items() if v is not None]
        return _list(parameter, name, [_encoded(part, safe) for pair in value.items() for part in pair], whole=True)
    return [f"{name}={_encoded(value, safe)}"]


def _list(parameter: Parameter, name: str, parts: list[str], *, whole: bool = False) -> list[str]:
    if parameter.explode and not whole:
        return [f"{name}={part}" for part in parts]
    return [f"{name}={_SEPARATORS.get(parameter.style, ',').join(parts)}"]


def _deep(name: str, value: JSON, safe: str) -> list[str]:
    if isinstance(value, dict):
        return [piece for key, below in value.items() for piece in _deep(f"{name}%5B{_encoded(key)}%5D", below, safe)]
    if isinstance(value, list):
        return [f"{name}={_encoded(one, safe)}" for one in value]
    return [] if value is None else [f"{name}={_encoded(value, safe)}"]


def in_header(parameter: Parameter, value: JSON) -> str | None:
    """A value of a header; null for null. Raises Unfit for characters that end a header."""
    value = _plain(parameter, value)
    if value is None:
        return None
    if isinstance(value, list):
        text = ",".join(bare(one) for one in value)
    elif isinstance(value, dict):
        joint = "=" if parameter.explode else ","
        text = ",".join(f"{key}{joint}{bare(one)}" for key, one in value.items())
    else:
        text = bare(value)
    return header_value(parameter.argument, text)


def header_value(argument: str, text: str) -> str:
    """The text, if a header can hold it. Raises Unfit."""
    if _CONTROL.search(text) is not None:
        raise Unfit(f"{argument} is sent in a header and must not hold line breaks or control characters")
    return text.strip(" \t")


def in_cookie(parameter: Parameter, value: JSON) -> str | None:
    """`name=value` of a cookie; null for null. Raises Unfit for characters that cookies cannot hold."""
    value = _plain(parameter, value)
    if value is None:
        return None
    text = ",".join(bare(one) for one in value) if isinstance(value, list) else bare(value)
    if _COOKIE_BREAKING.search(text.replace(",", "")) is not None:
        raise Unfit(
            f"{parameter.argument} is sent in a cookie and must not hold blanks, quotes, semicolons or backslashes"
        )
    return f"{parameter.name}={text}"


def _plain(parameter: Parameter, value: JSON) -> JSON:
    return dumps(value).decode() if parameter.as_json else value


def _encoded(value: Any, safe: str = "") -> str:
    return quote(bare(value), safe=safe)


def bare(value: JSON) -> str:
    """A value as text: texts as they are, everything else as JSON writes it; nothing for null."""
    if isinstance(value, str):
        return value
    return "" if value is None else dumps(value).decode()
