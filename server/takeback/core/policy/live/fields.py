"""Expressions that select what no schema has, and what a call need not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from takeback.core.policy.live.findings import Finding, error, note, warning
from takeback.core.policy.live.mentions import Path, mentions
from takeback.core.policy.live.schemas import ITEM, NOTHING_KNOWN, Fate, Shape, look
from takeback.core.policy.live.shapes import Shapes
from takeback.core.policy.mistakes import did_you_mean
from takeback.core.policy.places import Placed, expressions
from takeback.core.policy.schema import Rule

_MOST_NAMES: Final = 8
"""Names that a suggestion lists."""

_WITHOUT: Final[Mapping[str, str]] = {
    "verify": "a call that leaves it out will fail its verification",
    "by": "after a call that leaves it out nothing can be taken back",
    "undo.args": "after a call that leaves it out nothing can be taken back",
    "when": "a call that leaves it out is refused",
    "target.id": "a call that leaves it out is refused",
    "approval": "a call that leaves it out is refused",
    "require": "a call that leaves it out is refused",
}
"""What an argument that is missing comes to, by the place of the expression that needs it."""

_REFUSES: Final = frozenset({"when", "target.id", "approval", "require"})


def fields(shapes: Shapes) -> Iterator[Finding]:
    """All findings about fields of one rule, for one tool. Keys are within the rule."""
    for placed in expressions(shapes.rule):
        named = shapes.named(placed.keys)
        said = mentions(placed.expression.source)
        for path in said.selected:
            yield from _path(shapes, placed, path, named)
            if path[0] == "args" and path not in said.asked_after:
                yield from _optional(shapes, placed, path, named["args"])
    yield from _listed(shapes)


def _path(shapes: Shapes, placed: Placed, path: Path, named: Mapping[str, Shape]) -> Iterator[Finding]:
    found = look(named.get(path[0], NOTHING_KNOWN), path[1:])
    if found.fate not in {Fate.EXCLUDED, Fate.UNNAMED}:
        return
    missing, holder = path[found.depth + 1], spelled_path(path[: found.depth + 1])
    suggestion = did_you_mean(missing, found.names) or _there(found.names)
    if missing == ITEM:
        yield error(placed.keys, f"`{spelled_path(path)}`: {holder} is no list")
    elif path[0] == "args" and found.depth == 0:
        tool = shapes.tool.name if shapes.tool is not None else shapes.rule.tool
        certain = found.fate is Fate.EXCLUDED or not shapes.rule.is_read  # a write is refused what its schema lacks
        yield (error if certain else warning)(
            placed.keys, f"`{spelled_path(path)}`: {tool} has no argument `{missing}`", suggestion
        )
    elif found.fate is Fate.EXCLUDED:
        yield error(placed.keys, f"`{spelled_path(path)}`: {holder} has no field `{missing}`", suggestion)
    else:
        yield warning(
            placed.keys, f"`{spelled_path(path)}`: the schema of {holder} names no field `{missing}`", suggestion
        )


def _optional(shapes: Shapes, placed: Placed, path: Path, args: Shape) -> Iterator[Finding]:
    found = look(args, path[1:])
    told = _WITHOUT.get(placed.place)
    if found.fate is not Fate.NAMED or found.needed or told is None:
        return
    argument = spelled_path(path[1:])
    if placed.place in _REFUSES:
        yield note(placed.keys, f"`{argument}` is optional, and {told}", f"ask `has({spelled_path(path)})` first")
    elif not _sent_only_with(shapes.rule, placed):
        yield warning(placed.keys, f"`{argument}` is optional, and {told}", f"ask `has({spelled_path(path)})` first")


def _sent_only_with(rule: Rule, placed: Placed) -> bool:
    """Whether the undo call has a `when`, which may see to it."""
    calls = rule.undo if isinstance(rule.undo, tuple) else ()
    return placed.place == "undo.args" and any(getattr(call, "when", None) is not None for call in calls)


def _listed(shapes: Shapes) -> Iterator[Finding]:
    """Fields that are named outside expressions."""
    rule = shapes.rule
    if not rule.is_read:
        for place, name in enumerate(rule.writes or ()):
            yield from _image_field(shapes, ("writes", place), name, needed=True)
        for place, name in enumerate(rule.ignore):
            yield from _image_field(shapes, ("ignore", place), name, needed=False)
        for name in rule.by:
            yield from _image_field(shapes, ("by", name), name, needed=True)
    for place, name in enumerate(rule.volatile):
        found = look(shapes.named(())["args"], (name,))
        if found.fate in {Fate.EXCLUDED, Fate.UNNAMED}:
            tool = shapes.tool.name if shapes.tool is not None else rule.tool
            yield warning(("volatile", place), f"{tool} has no argument `{name}`", did_you_mean(name, found.names))


def _image_field(shapes: Shapes, keys: tuple[str | int, ...], name: str, *, needed: bool) -> Iterator[Finding]:
    found = shapes.field(name)
    suggestion = did_you_mean(name.rpartition(".")[2], found.names)
    message = f"what is read has no field `{name}`"
    if found.fate is Fate.EXCLUDED:
        yield (error if needed else note)(keys, message, suggestion)
    elif found.fate is Fate.UNNAMED and (needed or suggestion):
        yield (warning if needed else note)(keys, f"the schema of what is read names no field `{name}`", suggestion)


def spelled_path(path: Path) -> str:
    """A path as expressions spell it."""
    return ".".join(path).replace(f".{ITEM}", "[…]")


def _there(names: tuple[str, ...]) -> str:
    more = " and more" if len(names) > _MOST_NAMES else ""
    return f"there are {', '.join(names[:_MOST_NAMES])}{more}" if names else ""
