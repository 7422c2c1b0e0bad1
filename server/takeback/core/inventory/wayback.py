"""The tool that takes a write back, and what it is to be called with."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, Final

from takeback.core.inventory.arguments import Argument
from takeback.core.inventory.calls import Asked, field_for, from_arguments, is_field, likeness
from takeback.core.inventory.evidence import Confidence
from takeback.core.inventory.judging import Judgement, Nature
from takeback.core.inventory.lookback import OF_THE_KIND, Shown, ends_of_a_move
from takeback.core.inventory.offered import Offered
from takeback.core.inventory.verbs import MOVERS, RELATIVE, SETTERS, Deed, opposed
from takeback.core.inventory.words import vocabulary, words

_MAKES_NEW: Final = frozenset(
    {
        "create",
        "insert",
        "register",
        "upload",
        "import",
        "generate",
        "write",
        "put",
        "new",
        "copy",
        "clone",
        "fork",
        "duplicate",
        "save",
        "store",
        "enqueue",
    }
)
_REMOVE: Final = vocabulary(
    "delete remove destroy drop uninstall cancel discard trash purge rm del erase unregister clear"
)
_MAKE: Final = vocabulary("create insert put write register new make save store upsert import upload install add")
_OPAQUE: Final = vocabulary(
    "edit patch update updates change operation operations field additional_field property data answer filter "
    "pipeline payload value definition"
)
"""Arguments that say how to change a thing rather than what its fields are to be."""

_STEPS: Final = {("by",), ("delta",), ("amount",), ("increment",), ("step",), ("change",), ("difference",)}

Tools = list[tuple[Offered, Judgement]]


def writers(tools: Iterable[tuple[Offered, Judgement]]) -> Tools:
    """The tools that may be called to take something back: known writes that do one thing."""
    return [(t, j) for t, j in tools if j.nature is Nature.WRITE and j.several is None and t.is_plain]


def upserts(tool: Offered) -> bool:
    """Whether a tool makes the thing where it is not there, and changes it where it is."""
    named = set(words(tool.name))
    return tool.verb in {"put", "write", "upsert", "save"} or {"create", "update"} <= named or _is_put(tool)


def _is_put(tool: Offered) -> bool:
    is_record = tool.http is not None and tool.http.method == "PUT" and tool.http.segments[-1:] == ("{}",)
    return is_record and (tool.verb is None or tool.verb in SETTERS | _MAKE)


def taken_back_by(tool: Offered, judged: Judgement, shown: Shown | None, among: Tools) -> list[Asked]:
    """The calls that take a write back; empty where none is known, and not `ready` where only the tool is."""
    if judged.several is not None or judged.deed in {None, Deed.SEND} or any(a.is_command for a in tool.arguments):
        return []
    if judged.deed is Deed.RUN:
        return [found] if (found := _opposite(tool, among)) is not None else []
    if (ends := ends_of_a_move(tool)) is not None and tool.verb in MOVERS:
        return [_moved_back(tool, ends, shown)]
    if (swap := _renamed(tool)) is not None:
        return [swap]
    if upserts(tool) and tool.verb != "add":
        return _overwritten(tool, shown, among)
    removed = _removed(tool, shown, among) if judged.deed is Deed.CREATE else None
    inverse = _opposite(tool, among)
    if inverse is not None and (inverse.ready or removed is None) and not (removed is not None and removed.ready):
        return [inverse]
    if judged.deed is Deed.UPDATE:
        return _overwritten(tool, shown, among)
    found = removed if judged.deed is Deed.CREATE else _made_again(tool, shown, among)
    return [found] if found is not None else []


def _moved_back(tool: Offered, ends: tuple[Argument, Argument], shown: Shown | None) -> Asked:
    start, end = ends
    others = {a.name: f"args.{a.name}" for a in tool.required if a not in ends and a.is_plain}
    swapped = {start.name: f"args.{end.name}", end.name: f"args.{start.name}", **others}
    when = "before.source != null && before.destination == null" if shown is not None else None
    return Asked(tool.name, swapped, Confidence.FAIR, "moving it back is the same tool with its ends exchanged", when)


def _renamed(tool: Offered) -> Asked | None:
    """`rename a to b` where the new name is an argument of the same kind as the one that names the thing."""
    if tool.verb not in MOVERS:
        return None
    for new in tool.required:
        parts = words(new.name)
        if parts[:1] != ("new",) or not new.is_plain:
            continue
        old = next(
            (
                a
                for a in tool.required
                if a is not new and a.is_plain and a.type == new.type and _is_old(a, parts[1:], tool)
            ),
            None,
        )
        if old is not None:
            others = {a.name: f"args.{a.name}" for a in tool.required if a not in (new, old) and a.is_plain}
            swapped = {old.name: f"args.{new.name}", new.name: f"args.{old.name}", **others}
            return Asked(
                tool.name, swapped, Confidence.FAIR, "renaming it back is the same tool with its names exchanged"
            )
    return None


def _is_old(argument: Argument, of: tuple[str, ...], tool: Offered) -> bool:
    parts = words(argument.name)
    return parts in (of, ("old", *of)) or (parts == tool.noun and of in {("name",), ()})


def _opposite(tool: Offered, among: Tools) -> Asked | None:
    """A tool whose verb is the opposite, for the same kind of thing, called with this call's own arguments."""
    found: list[tuple[int, Asked]] = []
    for other, _ in among:
        verbs = tool.verb, other.verb
        if other is tool or None in verbs or not opposed(str(verbs[0]), str(verbs[1])) or not _alike(tool, other):
            continue
        if verbs[1] in _MAKES_NEW or tool.place != other.place:
            continue  # what was there is not there again: that needs what was read before
        reason = f"{other.verb} is the opposite of {tool.verb}"
        found.append((likeness(tool, other), _answered(tool, other, reason)))
    return max(found, key=lambda each: (each[1].ready, each[0]))[1] if found else None


def _alike(tool: Offered, other: Offered) -> bool:
    """Whether two opposites speak of one kind of thing: `connect` and `disconnect` need not say of what."""
    return likeness(tool, other) >= OF_THE_KIND or (not tool.noun and not other.noun and tool.family == other.family)


def _is(tool: Offered, verbs: Container[str | None], methods: Container[str]) -> bool:
    """Whether a tool does one of these by its verb, or by its HTTP method where it has no verb."""
    by_method = tool.verb is None and tool.http is not None and tool.http.method in methods
    return by_method or tool.verb in verbs


def _removed(tool: Offered, shown: Shown | None, among: Tools) -> Asked | None:
    """A tool that removes what was created. What is added to something else is taken out of it, and not removed."""
    if tool.place:
        return None
    best: tuple[int, Asked] | None = None
    for other, judged in among:
        alike = likeness(tool, other)
        if judged.deed is not Deed.DELETE or not _is(other, _REMOVE, {"DELETE"}) or not alike:
            continue
        asked = _with_created(tool, other, shown)
        rank = alike * 2 + asked.ready
        if alike >= OF_THE_KIND and (best is None or rank > best[0]):
            best = (rank, asked)
    return best[1] if best is not None else None


def _with_created(tool: Offered, other: Offered, shown: Shown | None) -> Asked:
    reason = f"{other.name} removes what {tool.name} makes"
    given, missing = from_arguments(tool, other)
    named = shown is not None and shown.made and len(missing) == 1
    if named and missing[0].is_single and not missing[0].is_content:
        sure = Confidence.HIGH if tool.output is not None else Confidence.LOW
        return Asked(other.name, {**given, missing[0].name: "target.id"}, sure, reason)
    return _answered(tool, other, reason)


def _answered(tool: Offered, other: Offered, reason: str) -> Asked:
    """A call with this call's own arguments, and at most one that its answer gives."""
    given, missing = from_arguments(tool, other)
    field = _made_here(tool, missing[0]) if len(missing) == 1 and missing[0].is_single else None
    if field is not None:
        return Asked(other.name, {**given, missing[0].name: field}, Confidence.FAIR, reason)
    if missing or not given:
        return Asked(other.name, None, Confidence.LOW, f"{reason}, but nothing shows what to call it with")
    return Asked(other.name, given, Confidence.FAIR, reason)


def _made_here(tool: Offered, wanted: Argument) -> str | None:
    field = field_for(wanted, tool.output) if tool.output is not None else None
    return None if field is None else f"result.{field}"


def _made_again(tool: Offered, shown: Shown | None, among: Tools) -> Asked | None:
    """A tool that makes anew, from what was read before, what was deleted."""
    best: tuple[int, Asked] | None = None
    for other, judged in among:
        alike = likeness(tool, other)
        if (
            alike < OF_THE_KIND
            or other.place
            or not _is(other, _MAKE, {"POST", "PUT"})
            or judged.deed not in {Deed.CREATE, Deed.UPDATE}
        ):
            continue
        asked = _filled(tool, other, shown, f"{other.name} makes again what {tool.name} deletes")
        rank = alike * 2 + asked.ready
        if (asked.ready or alike > OF_THE_KIND) and (best is None or rank > best[0]):
            best = (rank, asked)
    return best[1] if best is not None else None


def _overwritten(tool: Offered, shown: Shown | None, among: Tools) -> list[Asked]:
    """The record written back as it was: by the same tool where its arguments are fields, else by another."""
    if tool.verb in RELATIVE:
        return _counted_back(tool, shown)
    itself = _filled(tool, tool, shown, "the same tool writes the fields back")
    candidates = [itself] if _sets_fields(tool) else []
    for other, _ in among:
        if other is not tool and other.verb in SETTERS and likeness(tool, other) >= OF_THE_KIND and _sets_fields(other):
            candidates.append(_filled(tool, other, shown, f"{other.name} writes the fields back"))
    ready = [asked for asked in candidates if asked.ready]
    chosen = (
        ready or ([itself] if _sets_fields(tool) and tool.verb in SETTERS else [itself] if tool.verb in MOVERS else [])
    )[:1]
    if not upserts(tool) or not chosen or not chosen[0].ready or shown is None or shown.whole:
        return chosen
    back = Asked(chosen[0].tool, chosen[0].arguments, chosen[0].confidence, chosen[0].reason, "before != null")
    gone = _removed(tool, shown, among)
    if gone is None or not gone.ready:
        return [back]
    return [Asked(gone.tool, gone.arguments, gone.confidence, gone.reason, "before == null"), back]


def _counted_back(tool: Offered, shown: Shown | None) -> list[Asked]:
    """A counter goes back by what the call added to it, where a field shows it."""
    step = next(
        (a for a in tool.required if a.type in {"integer", "number"} and words(a.name)[-1:] in _STEPS and a.is_plain),
        None,
    )
    counter = "_".join(tool.noun)
    if (
        step is None
        or shown is None
        or shown.made
        or field_for(Argument(counter, {}, required=False), shown.reader.output or {}) is None
    ):
        return []
    given, missing = from_arguments(tool, tool)
    if missing:
        return []
    reason = f"the same tool counts {counter} back"
    return [
        Asked(
            tool.name,
            {**given, step.name: f"0 - args.{step.name}"},
            Confidence.HIGH,
            reason,
            more={counter: f"args.{step.name}"},
        )
    ]


def _sets_fields(tool: Offered) -> bool:
    return any(not a.names_something and not a.is_aside and not a.is_remark for a in tool.arguments)


def _filled(tool: Offered, other: Offered, shown: Shown | None, reason: str) -> Asked:
    """A call of `other` with this call's identities, and everything else as it was read before."""
    nothing = Asked(other.name, None, Confidence.LOW, f"{reason}, but nothing shows what they were")
    if shown is None or shown.made or (shown.whole and shown.reader.required != ()):
        return nothing
    output = shown.reader.output
    named = {value for value in (shown.asked.arguments or {}).values() if isinstance(value, str)}
    given: dict[str, Any] = {}
    restored = False
    for argument in other.arguments:
        value = _value(tool, argument, named, output)
        if value is None and argument.required:
            return nothing
        if value is not None:
            given[argument.name] = value
            restored = restored or value.startswith("before.")
    if not restored or (output is None and shown.whole):
        return nothing
    confidence = Confidence.LOW if output is None else Confidence.HIGH if other is tool else Confidence.FAIR
    return Asked(other.name, given, confidence, reason)


def _value(tool: Offered, argument: Argument, named: set[str], output: Any) -> str | None:
    """The expression for one argument: this call's own, the field as it was, or the reason of the undo."""
    own = next((a for a in tool.required if f"args.{a.name}" in named and a.is_plain and a.key == argument.key), None)
    if own is not None:
        return f"args.{own.name}"
    if argument.is_remark and argument.required:
        return "'Taken back: ' + reason"
    if argument.is_aside or argument.is_remark or argument.is_paging:
        return None
    if output is not None:
        field = field_for(argument, output)
        return None if field is None else f"before.{field}"
    guessable = argument.is_plain and argument.key not in _OPAQUE and is_field(argument.name)
    return f"before.{argument.name}" if guessable else None
