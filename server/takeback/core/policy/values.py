"""Value types of the policy file: durations, expressions, templates."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer

from takeback.core.expressions import Expression, Template

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> timedelta:
    """`"500ms"`, `"30s"`, `"5m"`, `"24h"`, `"7d"` as a time span.

    Raises:
        ValueError: it is not written like that.
    """
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a duration such as "500ms", "30s", "5m", "24h" or "7d"')
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise ValueError("is longer than ten years") from None


def format_duration(span: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back."""
    seconds = span.total_seconds()
    for unit in ("d", "h", "m", "s"):
        count = seconds / _UNITS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds * 1000:g}ms"


def _expression(value: object) -> Expression:
    if isinstance(value, Expression):
        return value
    if not isinstance(value, str):
        raise ValueError("must be an expression, written as a string")
    return Expression(value)


def _template(value: object) -> Template:
    return value if isinstance(value, Template) else Template(value)


def _source(value: Any) -> Any:
    return value.source


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
Expr = Annotated[Expression, BeforeValidator(_expression), PlainSerializer(_source)]
Args = Annotated[Template, BeforeValidator(_template), PlainSerializer(_source)]
