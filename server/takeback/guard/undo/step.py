"""One call of a way back, filled in when the action succeeded, with what each of its arguments was made from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from takeback.core.expressions import Expression, Template
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import NamedUndo, Undo
from takeback.core.undo import Step

_SELECTED: Final = re.compile(r"\bbefore((?:\.\w+)+)")
_INDEXED: Final = re.compile(r"\bbefore\[\s*['\"](\w+)['\"]\s*\]")
_LATE: Final = frozenset({"current", "reason", "restored"})

Keys = tuple[str, ...]


def step_of(call: Undo | NamedUndo, variables: Mapping[str, JSON]) -> Step:
    """The call with every argument filled in that can be filled in now.

    Raises:
        ExpressionError: an argument has no value.
    """
    if isinstance(call, NamedUndo):
        given = {"target": variables.get("target"), "before": variables.get("before")}
        return Step(f"python.{call.compensation}", given)
    step = Step(call.tool, {})
    for name, source in _items(call.args):
        part = call.args.part(name)
        if part is not None and part.names & _LATE:
            step.late[name] = part.source
            continue
        step.arguments[name] = part.value(variables) if part is not None else Template(source).value(variables)
        _note_origins(step, name, source)
    return step


def _note_origins(step: Step, name: str, source: JSON) -> None:
    """Say which fields of the before-image the argument stands for, holds in places, or was made from."""
    for keys, expression in _leaves(source):
        field = None if keys is None else _stands_for(expression)
        if field is None or keys is None:
            if made_of := _made_of(expression):
                step.computed[name] = sorted({*step.computed.get(name, ()), *made_of})
        elif keys:
            step.places.setdefault(name, {})["/".join(keys)] = field
        else:
            step.fields[name] = field


def _leaves(source: JSON, keys: Keys = ()) -> Iterator[tuple[Keys | None, Expression]]:
    """The expressions of an argument, with the keys that lead to them; none in a list, which is one value."""
    if isinstance(source, dict):
        for key, item in source.items():
            yield from _leaves(item, (*keys, key))
    elif isinstance(source, list):
        yield from ((None, expression) for expression in Template(source).expressions())
    elif isinstance(source, str):
        yield keys, Expression(source)


def _stands_for(expression: Expression) -> str | None:
    """The field of the before-image that an expression is; empty for the whole of it."""
    path = expression.path
    return ".".join(path[1:]) if path and path[0] == "before" else None


def _made_of(expression: Expression) -> set[str]:
    if "before" not in expression.names:
        return set()
    found = {path.strip(".") for path in _SELECTED.findall(expression.source)}
    return found | set(_INDEXED.findall(expression.source))


def _items(template: Template) -> list[tuple[str, JSON]]:
    return list(template.source.items()) if isinstance(template.source, dict) else []
