"""Expressions of the policy: CEL, compiled once, evaluated over a few named values.

Plain selections such as `args.ticket_id` are most of what policies say; they are answered without the interpreter and
keep integers of any size. The interpreter knows 64-bit integers only, so a bigger one handed to it is an error rather
than a silent rounding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import cel

from takeback.core.jsontext import JSON

VARIABLES: Final = frozenset(
    {
        "args",
        "target",
        "targets",
        "before",
        "after",
        "current",
        "restored",
        "result",
        "error",
        "run",
        "tenant",
        "user",
        "reason",
        "id",
    }
)
"""Everything an expression may name; which of them have a value depends on where the expression stands."""

_PLAIN: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_WORDS: Final = frozenset({"true", "false", "null", "in"})
_BUILT_IN: Final = frozenset(
    {
        *("size", "has", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string", "bytes"),
        *("bool", "type", "dyn", "timestamp", "duration", "max", "min", "getFullYear", "getMonth", "getDate"),
        *("getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    }
)


class ExpressionError(ValueError):
    """An expression is malformed or has no value here. The message names the expression and the reason."""


def _lower(text: str) -> str:
    return text.lower()


def _trim(text: str) -> str:
    return text.strip()


def _replace(text: str, old: str, new: str) -> str:
    return text.replace(old, new)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator)


def _join(items: list[str], separator: str) -> str:
    return separator.join(items)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "lower": _lower,
    "trim": _trim,
    "replace": _replace,
    "split": _split,
    "join": _join,
}
"""Functions that policies may call beyond CEL's own."""


class Expression:
    """A compiled expression.

    Raises (on construction):
        ExpressionError: it does not parse, or names a variable or function that does not exist.
    """

    __slots__ = ("_program", "names", "path", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.path = _plain_path(source)
        self._program = None if self.path else _compile(source)
        self.names = frozenset([self.path[0]]) if self.path else _names(source, self._program)

    def value(self, variables: Mapping[str, JSON]) -> JSON:
        """What the expression comes to.

        Raises:
            ExpressionError: it has no value for these variables (a field is missing, types do not fit).
        """
        if self.path:
            return _select(self.source, self.path, variables)
        return _run(self.source, self._program, self.names, variables)

    def truth(self, variables: Mapping[str, JSON]) -> bool:
        """As `value`, but must be true or false.

        Raises:
            ExpressionError: it is neither, or has no value.
        """
        found = self.value(variables)
        if isinstance(found, bool):
            return found
        raise ExpressionError(f"`{self.source}` must be true or false, and is {type(found).__name__}")

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)


def _plain_path(source: str) -> tuple[str, ...] | None:
    text = source.strip()
    if _PLAIN.fullmatch(text) is None:
        return None
    path = tuple(text.split("."))
    if path[0] in VARIABLES and not _WORDS.intersection(path):
        return path
    return None


def _compile(source: str) -> Any:
    try:
        return cel.compile(source)
    except ValueError as error:
        lines = [line for line in str(error).splitlines() if "ERROR" in line]
        reason = lines[-1].split(": ", 2)[-1] if lines else "syntax error"
        raise ExpressionError(f"`{source}` is not an expression: {reason}") from None


def _names(source: str, program: Any) -> frozenset[str]:
    references = program.references()
    unknown = [name for name in references["functions"] if _is_unknown_function(name)]
    if unknown:
        raise ExpressionError(f"`{source}` calls {unknown[0]}(), which does not exist")
    bound = set(re.findall(r"\(\s*([A-Za-z_]\w*)\s*,", source))
    strange = [name for name in references["variables"] if name not in VARIABLES and name not in bound]
    if strange:
        raise ExpressionError(f"`{source}` names `{strange[0]}`; there are {', '.join(sorted(VARIABLES))}")
    return frozenset(references["variables"]) & VARIABLES


def _is_unknown_function(name: str) -> bool:
    # Operators appear as overload names such as `_==_`, `!_`, `_?_:_`, `@in`.
    return name.isidentifier() and not name.startswith("_") and name not in _BUILT_IN and name not in FUNCTIONS


def _select(source: str, path: tuple[str, ...], variables: Mapping[str, JSON]) -> JSON:
    if path[0] not in variables:
        raise ExpressionError(f"`{source}`: there is no `{path[0]}` here")
    value = variables[path[0]]
    for index, step in enumerate(path[1:], 1):
        if not isinstance(value, Mapping) or step not in value:
            raise ExpressionError(f"`{source}`: `{'.'.join(path[:index])}` has no field `{step}`")
        value = value[step]
    return value


def _run(source: str, program: Any, names: frozenset[str], variables: Mapping[str, JSON]) -> JSON:
    missing = [name for name in sorted(names) if name not in variables]
    if missing:
        raise ExpressionError(f"`{source}`: there is no `{missing[0]}` here")
    handed = {name: variables[name] for name in names}
    try:
        _refuse_big_integers(source, handed)
        context = cel.Context(handed)
        for name, function in FUNCTIONS.items():
            context.add_function(name, function)
        return program.execute(context)
    except ExpressionError:
        raise
    except (LookupError, ArithmeticError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ExpressionError(f"`{source}` has no value here: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    line = str(text).splitlines()[0] if str(text) else type(error).__name__
    return f"no field {line!r}" if isinstance(error, KeyError) else line


def _refuse_big_integers(source: str, value: JSON) -> None:
    if _has_big_integer(value):
        raise ExpressionError(f"`{source}`: a number here has more than 64 bits; select it plainly or compare strings")


def _has_big_integer(value: JSON) -> bool:
    if isinstance(value, dict):
        return any(map(_has_big_integer, value.values()))
    if isinstance(value, list):
        return any(map(_has_big_integer, value))
    return type(value) is int and not -(2**63) <= value < 2**63


class Template:
    """A JSON value whose strings are expressions: the arguments of a call that a rule describes.

    Numbers, booleans and nested tables stand for themselves. `source` is the template as written.
    """

    __slots__ = ("_built", "source")

    def __init__(self, source: JSON) -> None:
        self.source = source
        self._built = _build(source)

    def value(self, variables: Mapping[str, JSON]) -> JSON:
        """The filled-in value. Raises ExpressionError where a part has none."""
        return _fill(self._built, variables)

    @property
    def names(self) -> frozenset[str]:
        """All variables that the template names."""
        return frozenset().union(*(expression.names for expression in self.expressions()))

    def expressions(self) -> list[Expression]:
        """Every expression in the template."""
        return _expressions(self._built)

    def part(self, key: str) -> Expression | None:
        """The expression that fills the argument `key`, when it is a single one."""
        found = self._built.get(key) if isinstance(self._built, dict) else None
        return found if isinstance(found, Expression) else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and other.source == self.source

    def __hash__(self) -> int:
        return hash(repr(self.source))

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


def _build(source: JSON) -> Any:
    if isinstance(source, str):
        return Expression(source)
    if isinstance(source, dict):
        return {key: _build(item) for key, item in source.items()}
    return [_build(item) for item in source] if isinstance(source, list) else source


def _fill(built: Any, variables: Mapping[str, JSON]) -> JSON:
    if isinstance(built, Expression):
        return built.value(variables)
    if isinstance(built, dict):
        return {key: _fill(item, variables) for key, item in built.items()}
    return [_fill(item, variables) for item in built] if isinstance(built, list) else built


def _expressions(built: Any) -> list[Expression]:
    if isinstance(built, Expression):
        return [built]
    items = built.values() if isinstance(built, dict) else built if isinstance(built, list) else ()
    return [expression for item in items for expression in _expressions(item)]
