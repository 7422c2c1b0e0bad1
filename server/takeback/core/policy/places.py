"""What an expression may name where it stands. The guard gives it these values there and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from takeback.core.expressions import Expression, Template
from takeback.core.policy.mistakes import Keys, Mistake
from takeback.core.policy.schema import Call, Condition, NamedUndo, Read, Rule, TargetSpec, Undo

_CALL: Final = frozenset({"args", "tenant", "user", "run"})
_TARGET: Final = frozenset({"target", "targets"})
_LATE: Final = frozenset({"current", "reason", "restored"})
"""What is known only when something is undone."""

_UNDO: Final = _CALL | _TARGET | {"before", "after", "result", "current", "reason", "restored"}

NAMES: Final[dict[str, frozenset[str]]] = {
    "when": _CALL,
    "target.id": _CALL | {"result"},
    "target.canonical": frozenset({"id"}),
    "target.resource": _CALL | {"id", "result"},
    "target.label": _CALL | _TARGET | {"before", "after"},
    "approval": _CALL | _TARGET,
    "operation": _CALL | _TARGET,
    "read.args": _CALL | _TARGET | {"result"},
    "read.select": _TARGET | {"args", "result", "error"},
    "read.absent": _TARGET | {"args", "result", "error"},
    "require": _CALL | _TARGET | {"before"},
    "verify": _CALL | _TARGET | {"before", "after", "result"},
    "by": _CALL | _TARGET | {"before", "after", "result"},
    "undo.when": _UNDO - _LATE,
    "undo.args": _UNDO,
    "correct.args": _UNDO,
    "probe.args": _CALL | _TARGET | {"before"},
    "probe.found": _CALL | _TARGET | {"before", "result"},
    "result": _CALL | _TARGET | {"before", "after", "current"},
    "children.args": _CALL | _TARGET | {"after"},
    "children.ids": _CALL | _TARGET | {"result"},
    "uses.id": _CALL | _TARGET | {"result"},
    "condition.version": _CALL | _TARGET | {"before"},
    "condition.failed": frozenset({"error"}),
    "poll.args": _CALL | _TARGET | {"result"},
    "poll.when": _CALL | _TARGET | {"result"},
    "poll.done": _CALL | _TARGET | {"result"},
    "poll.failed": _CALL | _TARGET | {"result"},
}
"""By place: what may be named there."""

_BEFORE_SENDING: Final = frozenset({"approval", "operation", "require", "probe.args", "probe.found"})


@dataclass(frozen=True, slots=True)
class Placed:
    """An expression of a rule: where it stands in the file, and what kind of place that is."""

    keys: Keys
    place: str
    expression: Expression


def names_in(rule: Rule) -> list[Mistake]:
    """Names that have no value where they are used. Keys are those within the rule."""
    return [
        Mistake(placed.keys, problem, suggestion)
        for placed in expressions(rule)
        for problem, suggestion in _problems(rule, placed)
    ] + [mistake for keys, call in _undos(rule) for mistake in _mixed(keys, call)]


def expressions(rule: Rule) -> Iterator[Placed]:
    """Every expression of a rule."""
    for key in ("when", "approval", "require", "verify", "operation", "result"):
        yield from _single((key,), key, getattr(rule, key))
    for name, expression in rule.by.items():
        yield Placed(("by", name), "by", expression)
    yield from _of_the_upstream(rule)
    for keys, spec in targets(rule):
        yield from _of_target(keys, spec)
    if rule.read is not None:
        yield from _of_read(("read",), rule.read)
    if rule.probe is not None:
        yield from _of_args(("probe",), "probe", rule.probe)
        yield Placed(("probe", "found"), "probe.found", rule.probe.found)
    for keys, call in _undos(rule):
        yield from _of_args(keys, str(keys[0]), call)
        if isinstance(call, Undo):
            yield from _single((*keys, "when"), "undo.when", call.when)


def _of_the_upstream(rule: Rule) -> Iterator[Placed]:
    """Those that say how the upstream takes conditions and jobs, and what hangs together in it."""
    for index, children in enumerate(rule.children):
        keys: Keys = ("children",) if len(rule.children) == 1 else ("children", index)
        yield from _of_args(keys, "children", children)
        yield Placed((*keys, "ids"), "children.ids", children.ids)
    for index, use in enumerate(rule.uses):
        yield Placed((*(("uses",) if len(rule.uses) == 1 else ("uses", index)), "id"), "uses.id", use.id)
    if rule.poll is not None:
        yield from _of_args(("poll",), "poll", rule.poll)
        for key in ("when", "done", "failed"):
            yield from _single(("poll", key), f"poll.{key}", getattr(rule.poll, key))
    if isinstance(rule.condition, Condition):
        for key in ("version", "failed"):
            yield from _single(("condition", key), f"condition.{key}", getattr(rule.condition, key))


def targets(rule: Rule) -> list[tuple[Keys, TargetSpec]]:
    """The targets with their keys: a single one is usually written as a table."""
    if len(rule.target) == 1:
        return [(("target",), rule.target[0])]
    return [(("target", index), spec) for index, spec in enumerate(rule.target)]


def undo_calls(rule: Rule) -> list[tuple[Keys, Call | NamedUndo]]:
    """The calls of `undo` with their keys."""
    calls = rule.undo if isinstance(rule.undo, tuple) else ()
    if len(calls) == 1:
        return [(("undo",), calls[0])]
    return [(("undo", index), call) for index, call in enumerate(calls)]


def named_by_result(rule: Rule) -> bool:
    """Whether the result names a target: something that the call creates."""
    return any("result" in spec.id.names for spec in rule.target)


def is_read_back(rule: Rule) -> bool:
    """Whether there are images: a `read` of the rule, or one of each target."""
    return rule.read is not None or (bool(rule.target) and all(spec.read is not None for spec in rule.target))


def _undos(rule: Rule) -> list[tuple[Keys, Call]]:
    found = [(keys, call) for keys, call in undo_calls(rule) if isinstance(call, Call)]
    return [*found, *([(("correct",), rule.correct)] if rule.correct is not None else [])]


def _of_target(keys: Keys, spec: TargetSpec) -> Iterator[Placed]:
    for key in ("id", "canonical", "resource", "label"):
        yield from _single((*keys, key), f"target.{key}", getattr(spec, key))
    if spec.read is not None:
        yield from _of_read((*keys, "read"), spec.read)


def _of_read(keys: Keys, read: Read) -> Iterator[Placed]:
    yield from _of_args(keys, "read", read)
    yield from _single((*keys, "select"), "read.select", read.select)
    yield from _single((*keys, "absent"), "read.absent", read.absent)


def _of_args(keys: Keys, place: str, call: Call) -> Iterator[Placed]:
    source = call.args.source
    for name in source if isinstance(source, dict) else ():
        for expression in Template(source[name]).expressions():
            yield Placed((*keys, "args", name), f"{place}.args", expression)


def _single(keys: Keys, place: str, value: object) -> Iterator[Placed]:
    if isinstance(value, Expression):
        yield Placed(keys, place, value)


def _problems(rule: Rule, placed: Placed) -> Iterator[tuple[str, str]]:
    allowed = NAMES[placed.place]
    for name in sorted(placed.expression.names):
        said = f"`{placed.expression.source}` names `{name}`"
        if name not in allowed:
            yield f"{said}, which has no value here", f"here are {', '.join(sorted(allowed))}"
        elif problem := _missing(rule, placed, name):
            yield f"{said}, and {problem[0]}", problem[1]


def _missing(rule: Rule, placed: Placed, name: str) -> tuple[str, str] | None:
    """Why a name that the place allows has no value under this rule."""
    if name in _TARGET:
        return _no_target(rule, placed.place, name)
    if name in {"before", "after", "current", "restored"}:
        return _no_image(rule, placed.place, name)
    if name == "result" and placed.place in {"read.args", "target.resource"} and not named_by_result(rule):
        return (
            "no target of the rule is named by the result, so this is needed before there is one",
            "name it by `args`",
        )
    return None


def _no_target(rule: Rule, place: str, name: str) -> tuple[str, str] | None:
    if not rule.target:
        return "the rule has no `target`", "give it one"
    if name == "targets" and len(rule.target) == 1:
        return "the rule has one target", "write `target`"
    if place in _BEFORE_SENDING and named_by_result(rule):
        return "the target is known only from the result, too late for this", "use `args`"
    return None


def _no_image(rule: Rule, place: str, name: str) -> tuple[str, str] | None:
    if not is_read_back(rule):
        return "nothing is read", "give the rule a `read`"
    if name == "before" and named_by_result(rule) and place != "target.label":
        return "there is nothing before the call creates it", "use `after`, `result` or `args`"
    return None


def _mixed(keys: Keys, call: Call) -> Iterator[Mistake]:
    """An argument is filled in either when the write is done or when it is undone: it cannot need both."""
    source = call.args.source
    for name in source if isinstance(source, dict) else ():
        names = Template(source[name]).names
        late = ", ".join(f"`{one}`" for one in sorted(names & _LATE))
        if late and (names - _LATE or not isinstance(source[name], str)):
            message = f"{late} is known only at the undo, and stands only in an argument that needs nothing else"
            yield Mistake((*keys, "args", name), message)
