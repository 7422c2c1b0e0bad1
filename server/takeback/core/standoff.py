"""How the fields that an action changed stand now: what goes back to what, what is back already, and what must not.

B is the before-image, A the after-image, C what is there now. The rules, in this order:

1. A counter goes back by the difference that the arguments named: C minus what was added. Nobody's edit is in the way.
2. A before-value that a since compensated action had written is dirty: a conflict.
3. A field that did not hold what the call should have made of it when it was read back may be somebody else's edit: a
   conflict. So is any field of a target that is not there any more.
4. C = B: nothing to do. C = A: back to B. Where the rule says how the parts of a value are told apart, what others did
   to other parts stays. Anything else is a conflict: nothing is written, and a person decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from takeback.core.images import WHOLE, Difference, Image, Presence, differences, field_value, leaf
from takeback.core.jsontext import JSON
from takeback.core.merging import Entangled, alike, taken_out
from takeback.core.policy.schema import ListKind
from takeback.core.redaction import is_redacted

DIRTY: Final = "what it held before had been written by an action that was taken back since"
UNSURE: Final = "what was read after the call is not what it should have made of it: that may be others' edit"
GONE: Final = "it is not there any more"
TOUCHED: Final = "it was changed and changed back by others since"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that must not be written: a person decides. `why` says more than the three values do, where it can."""

    field: str
    before: JSON
    after: JSON
    current: JSON
    why: str = ""


@dataclass(frozen=True, slots=True)
class Standoff:
    """How the changed fields stand now.

    `restore` leads from what is there (`after`) to what is to be there (`before`). `already` are back. `unwritable`
    would go back, but what they held is kept as a digest only: they are left over, by name. `counters` are those of
    `restore` that go back by a difference.
    """

    restore: tuple[Difference, ...] = ()
    already: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    unwritable: tuple[str, ...] = ()
    counters: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether the action changed nothing that could stand in any way."""
        return not (self.restore or self.already or self.conflicts or self.unwritable)


@dataclass(frozen=True, slots=True)
class Manner:
    """How fields go back, beside their values. Fields are named by themselves, without their target.

    `moved` holds by how much the call moved each counter; `lists` how the parts of a value are told apart; `dirty` are
    fields whose before-value is; `unsure` are those (`*`: all) that were not read back as expected; `touched` says that
    a version shows a change since which no field shows. `retaken` are those (`*`: the record) that others were seen to
    change since, though they hold again what the action left.
    """

    ignore: tuple[str, ...] = ()
    moved: Mapping[str, JSON] = field(default_factory=dict)
    lists: Mapping[str, ListKind] = field(default_factory=dict)
    dirty: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()
    touched: bool = False
    retaken: frozenset[str] = frozenset()


def stand(before: Image, after: Image, current: Image, differing: tuple[Difference, ...], manner: Manner) -> Standoff:
    """Judge each changed field by the rules above."""
    judged = [_judged(before, after, current, difference, manner) for difference in _with_counters(differing, manner)]
    restore = tuple(one for one in judged if isinstance(one, Difference))
    return Standoff(
        restore=tuple(one for one in restore if not is_redacted(one.before)),
        already=tuple(one for one in judged if isinstance(one, str)),
        conflicts=tuple(one for one in judged if isinstance(one, Conflict)),
        unwritable=tuple(one.field for one in restore if is_redacted(one.before)),
        counters=frozenset(one.field for one in restore if leaf(one.field) in manner.moved),
    )


def _with_counters(differing: tuple[Difference, ...], manner: Manner) -> tuple[Difference, ...]:
    """The counters that the call moved go back even where others moved them so that the images agree."""
    seen = {leaf(difference.field) for difference in differing}
    hidden = (Difference(name, None, None) for name in manner.moved if name not in seen and WHOLE not in seen)
    return (*differing, *hidden)


def _judged(
    before: Image, after: Image, current: Image, difference: Difference, manner: Manner
) -> Difference | Conflict | str:
    name, now = difference.field, field_value(current, difference.field)
    if leaf(name) in manner.moved:
        return _counter(name, now, manner.moved[leaf(name)])
    if name.endswith(WHOLE):
        return _whole(before, after, current, difference, manner)
    was, made, kind = difference.before, difference.after, manner.lists.get(leaf(name))
    if not _is_there(current, name):
        return Conflict(name, was, made, None, GONE)
    if alike(kind, now, was):
        return name
    if why := _objection(leaf(name), manner):
        return Conflict(name, was, made, now, why)
    if alike(kind, now, made):
        theirs = manner.touched or leaf(name) in manner.retaken
        return Conflict(name, was, made, now, TOUCHED) if theirs else Difference(name, was, now)
    if kind is not None:
        return _merged(kind, difference, now, retaken=leaf(name) in manner.retaken)
    return Conflict(name, was, made, now)


def _is_there(current: Image, field: str) -> bool:
    """Whether the target that a field belongs to is a record that is there."""
    owner = field.rpartition(".")[0] if len(current.parts) > 1 else ""
    return any(part.presence is Presence.PRESENT for part in current.parts if owner in {"", part.name})


def _objection(name: str, manner: Manner) -> str:
    """Why a field must not go back whatever it holds; empty where nothing speaks against it."""
    if name in manner.dirty:
        return DIRTY
    return UNSURE if manner.unsure & {name, WHOLE} else ""


def _counter(name: str, now: JSON, by: JSON) -> Difference | Conflict:
    if not _is_number(now) or not _is_number(by):
        return Conflict(name, None, None, now, "a counter must be a number")
    return Difference(name, now - by, now)


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(
    before: Image, after: Image, current: Image, difference: Difference, manner: Manner
) -> Difference | Conflict | str:
    """A target that the action made, deleted, or replaced as a whole."""
    now = field_value(current, difference.field)
    if _same_whole(before, current, difference, manner.ignore):
        return difference.field
    if not _same_whole(after, current, difference, manner.ignore):
        return Conflict(difference.field, difference.before, difference.after, now)
    if why := UNSURE if manner.unsure else TOUCHED if manner.touched or manner.retaken else "":
        return Conflict(difference.field, difference.before, difference.after, now, why)
    return Difference(difference.field, difference.before, now)


def _same_whole(image: Image, current: Image, difference: Difference, ignore: tuple[str, ...]) -> bool:
    prefix = difference.field[: -len(WHOLE)]
    return not [d for d in differences(image, current, ignore=ignore) if not prefix or d.field.startswith(prefix)]


def _merged(kind: ListKind, difference: Difference, now: JSON, *, retaken: bool) -> Difference | Conflict | str:
    name, was, made = difference.field, difference.before, difference.after
    if any(is_redacted(value) for value in (was, made, now)):
        return Conflict(name, was, made, now)
    try:
        wanted = taken_out(kind, was, made, now)
    except Entangled as entangled:
        return Conflict(name, was, made, now, str(entangled))
    if alike(kind, wanted, now):
        return name
    return Conflict(name, was, made, now, TOUCHED) if retaken else Difference(name, wanted, now)


def restored(before: Image, current: Image, standoff: Standoff) -> Any:
    """The target as it should be afterwards: what is there now, with only the fields in question put back.

    A map by name where there are several targets. For tools that take the whole record.
    """
    parts = {part.name: part.value for part in current.parts}
    for difference in standoff.restore:
        owner, _, name = difference.field.rpartition(".") if len(parts) > 1 else ("", "", difference.field)
        owner = owner or current.parts[0].name
        parts[owner] = _put_back(parts[owner], before, owner, name, difference.before)
    return parts if len(parts) > 1 else next(iter(parts.values()), None)


def _put_back(value: JSON, before: Image, owner: str, name: str, wanted: JSON) -> JSON:
    if name == WHOLE or not isinstance(value, Mapping):
        return wanted
    part = before.part(owner)
    had = part is not None and isinstance(part.value, Mapping) and name in part.value
    if wanted is None and not had:
        return {field: kept for field, kept in value.items() if field != name}
    return {**value, name: wanted}
