"""The calls that a rule describes, against the tools that they name: whether there is one, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import jsonschema_rs

from takeback.core.expressions import Expression, ExpressionError, Template
from takeback.core.jsontext import JSON
from takeback.core.phrases import one_line
from takeback.core.policy.live.findings import Finding, error, note, warning
from takeback.core.policy.live.offers import Live, Tool
from takeback.core.policy.live.schemas import Fate, Look, look, whole
from takeback.core.policy.live.shapes import Shapes
from takeback.core.policy.mistakes import Keys, did_you_mean
from takeback.core.policy.places import undo_calls
from takeback.core.policy.schema import Call, Condition, NamedUndo, Rule, Undo
from takeback.core.policy.tools import named_calls

_LONGEST: Final = 200
_WIDER: Final[Mapping[str, frozenset[str]]] = {"integer": frozenset({"integer", "number"})}


def calls(shapes: Shapes) -> Iterator[Finding]:
    """All findings about the calls of one rule, for one tool. Keys are within the rule."""
    for keys, call in named_calls(shapes.rule):
        tool = shapes.live.tool(call.tool)
        if tool is not None:
            yield from _blocked(keys, tool)
            yield from _arguments(shapes, keys, call, tool)
        elif shapes.live.lacks(call.tool):
            yield missing((*keys, "tool"), call.tool, shapes.live)
    yield from _own_arguments(shapes)
    yield from _compensations(shapes.rule, shapes.live)


def missing(keys: Keys, name: str, live: Live) -> Finding:
    """There is no such tool."""
    upstream, _, tool = name.partition(".")
    close = did_you_mean(tool, [known.partition(".")[2] for known in live.names(upstream)])
    return error(keys, f"{upstream} has no tool `{tool}`", close or "`takeback inventory` lists what there is")


def _blocked(keys: Keys, tool: Tool) -> Iterator[Finding]:
    if tool.blocked:
        yield error((*keys, "tool"), tool.blocked, f"`takeback pin diff {tool.name}` shows the difference")


def _arguments(shapes: Shapes, keys: Keys, call: Call, tool: Tool) -> Iterator[Finding]:
    given = call.args.source if isinstance(call.args.source, dict) else {}
    for name, source in given.items():
        found = look(whole(tool.input_schema), (name,))
        here = (*keys, "args", name)
        if found.fate in {Fate.EXCLUDED, Fate.UNNAMED}:
            yield error(here, f"{tool.name} has no argument `{name}`", did_you_mean(name, found.names))
        elif found.fate is Fate.NAMED:
            yield from _value(shapes, here, source, tool, found)
    for name in sorted(required(tool) - given.keys()):
        yield error((*keys, "args"), f"{tool.name} needs the argument `{name}`, which is not given")


def required(tool: Tool) -> frozenset[str]:
    """The arguments that a tool's schema requires."""
    schema = tool.input_schema
    found = schema.get("required") if isinstance(schema, Mapping) else None
    return frozenset(name for name in found if isinstance(name, str)) if isinstance(found, list) else frozenset()


def _value(shapes: Shapes, keys: Keys, source: JSON, tool: Tool, wanted: Look) -> Iterator[Finding]:
    """What is known of an argument's value, against what the tool takes."""
    template = Template(source)
    if not template.names:
        yield from _constant(keys, template, tool, wanted)
    elif isinstance(source, str):
        yield from _typed(shapes, keys, Expression(source), tool, wanted)


def _constant(keys: Keys, template: Template, tool: Tool, wanted: Look) -> Iterator[Finding]:
    try:
        value = template.value({})
        problems = [one_line(str(refusal.message), _LONGEST) for refusal in _refusals(wanted, value)]
    except ExpressionError as no_value:
        problems = [str(no_value)]
    for problem in problems:
        yield error(keys, f"{tool.name} refuses this value: {problem}")


def _refusals(wanted: Look, value: JSON) -> list[Any]:
    root = wanted.shape.root
    schema: Any = wanted.shape.schema
    if isinstance(schema, Mapping):
        shared = ("$defs", "definitions") if isinstance(root, Mapping) else ()
        schema = {**{word: root[word] for word in shared if word in root}, **dict[str, Any](schema)}
    try:
        # Offline: a schema of an upstream must not make anybody read files or fetch addresses.
        return list(jsonschema_rs.validator_for(schema, offline=True).iter_errors(value))
    except (ValueError, jsonschema_rs.ReferencingError):
        return []  # the schema itself is broken: then nothing is known


def _typed(shapes: Shapes, keys: Keys, expression: Expression, tool: Tool, wanted: Look) -> Iterator[Finding]:
    given, taken = shapes.of(expression, keys).types, wanted.shape.types
    if not given or not taken:
        return
    able = frozenset().union(*(_WIDER.get(one, frozenset({one})) for one in given))
    if able & taken:
        return
    message = f"`{expression.source}` is {_listed(given)}, and {tool.name} takes {_listed(taken)} for `{keys[-1]}`"
    is_id = expression.path is not None and expression.path[-1] == "id" and expression.path[0].startswith("target")
    how = "the id of a target is a text: use the argument itself, or `int(...)`" if is_id else ""
    yield (error if is_id else warning)(keys, message, how)


def _listed(kinds: frozenset[str]) -> str:
    return " or ".join(sorted(kinds))


def _own_arguments(shapes: Shapes) -> Iterator[Finding]:
    """Arguments by which a key or a version travels with the write itself."""
    rule, tool = shapes.rule, shapes.tool
    if tool is None:
        return
    condition = rule.condition if isinstance(rule.condition, Condition) else None
    for keys, name in (
        (("idempotency", "argument"), rule.idempotency.argument if rule.idempotency is not None else None),
        (("condition", "argument"), condition.argument if condition is not None else None),
    ):
        found = look(whole(tool.input_schema), (name,)) if name is not None else None
        if found is not None and found.fate in {Fate.EXCLUDED, Fate.UNNAMED}:
            yield error(keys, f"{tool.name} has no argument `{name}`", did_you_mean(str(name), found.names))


def _compensations(rule: Rule, live: Live) -> Iterator[Finding]:
    """Compensations that are named and not installed."""
    if live.compensations is None:
        return
    for keys, call in undo_calls(rule):
        name = call.compensation if isinstance(call, Undo | NamedUndo) else None
        if name is not None and name not in live.compensations:
            suggestion = did_you_mean(name, live.compensations) or "install the package that brings it"
            yield error((*keys, "compensation"), f"no compensation `{name}` is installed", suggestion)


def unrestored(shapes: Shapes) -> Iterator[Finding]:
    """Fields that a `set` can change and that its undo would not put back."""
    rule, tool = shapes.rule, shapes.tool
    own = [call for _, call in undo_calls(rule) if isinstance(call, Call) and call.tool == rule.tool]
    if tool is None or len(own) != 1 or rule.by or not isinstance(own[0].args.source, dict):
        return
    schema = tool.input_schema if isinstance(tool.input_schema, Mapping) else {}
    properties = schema.get("properties")
    written = set(properties) if isinstance(properties, Mapping) else set()
    left = sorted(written - own[0].args.source.keys() - set(rule.volatile) - set(rule.ignore))
    if left:
        what = ", ".join(f"`{name}`" for name in left)
        yield note(("undo", "args"), f"{tool.name} also takes {what}, which the undo does not put back")
