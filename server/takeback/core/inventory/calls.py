"""Calls that the guard would make: a tool, and an expression for each of its arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from takeback.core.inventory.arguments import Argument, fits
from takeback.core.inventory.evidence import Confidence
from takeback.core.inventory.offered import Offered
from takeback.core.inventory.verbs import deed_of
from takeback.core.inventory.words import key, vocabulary, words

_SAME: Final = 3
_PART: Final = 2
_PARTS: Final = vocabulary("value field section answer status priority title setting property state description")
"""Words for parts of a thing: who reads the thing sees them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call. `arguments` are expressions, or literals that are no text; None where nothing shows what to give."""

    tool: str
    arguments: Mapping[str, Any] | None
    confidence: Confidence
    reason: str
    when: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it could be called."""
        return self.arguments is not None


def likeness(one: Offered, other: Offered) -> int:
    """How much two tools speak of one kind of thing: 3 the same, 2 one of the kind, 1 a part of it, 0 not at all."""
    by_path = _by_path(one.http.segments, other.http.segments) if one.http is not None and other.http is not None else 0
    return max(by_path, _by_noun(one, other))


def _by_noun(one: Offered, other: Offered) -> int:
    if one.family != other.family and one.verb is not None and other.verb is not None:
        return 0
    ours, theirs = one.noun, other.noun
    if other.verb is None and one.family and theirs[: len(one.family)] == one.family:
        theirs = theirs[len(one.family) :]
    if ours == theirs:
        return _SAME if ours else _of_one_place(one, other)
    if not ours or not theirs:
        return 0
    if _ends(theirs, ours) or _ends(ours, theirs):
        return _PART
    return int(ours[: len(theirs)] == theirs and set(ours[len(theirs) :]) <= _PARTS)


def _of_one_place(one: Offered, other: Offered) -> int:
    """`delete_many` and `find`: no word says of what, but both are told the same place, by more than one name."""
    ours, theirs = {a.key for a in one.required}, {a.key for a in other.required}
    if not theirs or not theirs <= ours:
        return 0
    return _SAME if one.family else int(len(theirs) > 1)


def _ends(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    return len(longer) > len(shorter) and longer[-len(shorter) :] == shorter


def _by_path(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """One path, a collection and one of it, or what is done to one thing: `/tickets/{}/close` and `/tickets/{}`."""
    ours, theirs = _acted_on(one), _acted_on(other)
    longer, shorter = (ours, theirs) if len(ours) > len(theirs) else (theirs, ours)
    return _SAME if longer in (shorter, (*shorter, "{}")) else 0


def _acted_on(segments: tuple[str, ...]) -> tuple[str, ...]:
    """A path without the verb at its end."""
    acts = segments[-2:-1] == ("{}",) and any(deed_of(word) is not None for word in words(segments[-1])[:1])
    return segments[:-1] if acts else segments


def same_thing(one: Argument, other: Argument, noun: tuple[str, ...]) -> bool:
    """Whether two arguments of tools for one kind of thing name the same: `id` is `ticket_id` among tickets."""
    if not fits(one, other):
        return False
    if one.key == other.key:
        return True
    short, long = sorted((one.key, other.key), key=len)
    return (
        bool(noun)
        and long in {f"{'_'.join(noun)}_{short}", f"{noun[-1]}_{short}"}
        and short in {"id", "key", "name", "number"}
    )


def from_arguments(caller: Offered, callee: Offered) -> tuple[dict[str, str], list[Argument]]:
    """What the callee's arguments can be taken from in the caller's, and the required ones that cannot."""
    found: dict[str, str] = {}
    missing: list[Argument] = []
    for wanted in callee.arguments:
        if wanted.is_aside or (not wanted.required and (wanted.is_paging or wanted.is_content)):
            continue
        given = next((a for a in caller.required if a.is_plain and same_thing(a, wanted, callee.noun)), None)
        if given is not None:
            found[wanted.name] = f"args.{given.name}"
        elif wanted.required:
            missing.append(wanted)
    missing += [wanted for wanted in callee.required if wanted.is_aside]
    return found, missing


def field_for(argument: Argument, output: Mapping[str, Any]) -> str | None:
    """The field of a record that an argument stands for."""
    return next((name for name in output if key(name) == argument.key and is_field(name)), None)


def is_field(name: str) -> bool:
    """Whether an expression can spell a field as `before.name`."""
    return Argument(name, {}, required=False).is_plain


def identities(tool: Offered, used: Iterable[str]) -> list[Argument]:
    """The required arguments that name the thing: those by which it is read, else those that look like names."""
    by_reading = [a for a in tool.required if f"args.{a.name}" in set(used) and a.is_single and a.is_plain]
    if by_reading:
        return by_reading
    named = [a for a in tool.required if a.names_something and a.is_plain and not a.is_command]
    lists = [a for a in tool.required if a.type == "array" and a.is_plain and _texts(a) and not a.is_content]
    return named or lists[:1]


def _texts(argument: Argument) -> bool:
    items = argument.schema.get("items")
    return isinstance(items, Mapping) and items.get("type") == "string"


def spelled(found: list[Argument]) -> str | None:
    """The expression for the id of a thing that these arguments name."""
    if not found:
        return None
    if len(found) == 1 and found[0].type == "array":
        return f"args.{found[0].name}.join(', ')"
    if len(found) == 1:
        return f"args.{found[0].name}"
    return " + '/' + ".join(f"args.{a.name}" if a.type == "string" else f"string(args.{a.name})" for a in found)


def last_word(argument: Argument) -> str:
    """What an argument calls the id itself: `number` for `issue_number`."""
    return words(argument.name)[-1] if words(argument.name) else argument.name
