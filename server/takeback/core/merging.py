"""Taking a change out of a value that others have changed since: lists by their elements, texts by their lines.

B is the value before the action, A what the action made of it, C what is there now. What comes back is C without the
change from A to B: everything that others did stays, and what both touched is a conflict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Final, assert_never

from takeback.core.canonical import canonical
from takeback.core.images import same
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import KeyedList, ListKind

_GONE: Final = object()


class Entangled(Exception):
    """Others changed the same element or lines; the message names them."""


def taken_out(kind: ListKind, before: JSON, after: JSON, current: JSON) -> JSON:
    """The current value without what the action did to it.

    Raises:
        Entangled: others changed the same part of it, or it has not the shape that the rule says.
    """
    if alike(kind, current, after):
        return before
    if alike(kind, current, before):
        return current
    match kind:
        case "set":
            return _set(_items(before), _items(after), _items(current))
        case "lines":
            return _lines(_text(before), _text(after), _text(current))
        case KeyedList(key=key):
            return _keyed(_items(before), _items(after), _items(current), key)
        case _:
            assert_never(kind)


def alike(kind: ListKind | None, one: JSON, other: JSON) -> bool:
    """Whether two values are the same, once the order of what has no order is left out."""
    if same(one, other):
        return True
    if kind is None or kind == "lines" or not (isinstance(one, list) and isinstance(other, list)):
        return False
    if kind == "set":
        return _by_value(one).keys() == _by_value(other).keys()
    try:
        return same(_named(one, kind.key), _named(other, kind.key))
    except Entangled:
        return False


def retaken(kind: ListKind | None, change: tuple[JSON, JSON, JSON], seen: tuple[JSON, JSON]) -> bool:
    """Whether others changed what an action had made of a value, and it holds that again.

    `change` has the value before the action, after it and now; `seen` how it was before and after something that was
    none of ours. Of a value with parts only those count that the action had changed and that hold what it made of them.
    """
    old, new, now, one, other = (parts(kind, value) for value in (*change, *seen))
    names = {name for name in old.keys() | new.keys() if not _part_equal(old, new, name)}
    return any(_part_equal(now, new, name) and not _part_equal(one, other, name) for name in names)


def parts(kind: ListKind | None, value: JSON) -> Mapping[Any, JSON]:
    """The parts of a value that are told apart, by name; the value as a whole where it has none."""
    if kind == "lines" and isinstance(value, str):
        return dict(Counter(value.splitlines(keepends=True)))
    if kind == "set" and isinstance(value, list):
        return _by_value(value)
    if isinstance(kind, KeyedList) and isinstance(value, list):
        with suppress(Entangled):
            return _by_key(value, kind.key)
    return {None: value}


def _part_equal(one: Mapping[Any, JSON], other: Mapping[Any, JSON], name: object) -> bool:
    return _equal(one.get(name, _GONE), other.get(name, _GONE))


def _named(items: list[JSON], key: str) -> dict[str, JSON]:
    return {name.decode(): item for name, item in _by_key(items, key).items()}


def _items(value: JSON) -> list[JSON]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Entangled("it is no list")
    return value


def _text(value: JSON) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Entangled("it is no text")
    return value


# --- sets: elements are what they are; nobody can change one, only put it in or take it out ---


def _set(before: list[JSON], after: list[JSON], current: list[JSON]) -> list[JSON]:
    were, made = _by_value(before), _by_value(after)
    there = _by_value(current)
    kept = [value for name, value in there.items() if name in were or name not in made]
    return kept + [value for name, value in were.items() if name not in made and name not in there]


def _by_value(items: list[JSON]) -> dict[bytes, JSON]:
    return {canonical(item): item for item in items}


# --- elements with a key: each is merged by itself, and each of its fields ---


def _keyed(before: list[JSON], after: list[JSON], current: list[JSON], key: str) -> list[JSON]:
    were, made, there = (_by_key(items, key) for items in (before, after, current))
    merged = dict(there)
    for name in [*were, *(name for name in made if name not in were)]:
        old, new, now = were.get(name, _GONE), made.get(name, _GONE), there.get(name, _GONE)
        if _equal(old, new) or _equal(now, old):
            continue
        if not _equal(now, new):
            merged[name] = _element(name, old, new, now)
        elif old is _GONE:
            del merged[name]
        else:
            merged[name] = old
    return [merged[name] for name in _in_order(list(were), list(there), merged)]


def _element(name: bytes, old: JSON, new: JSON, now: JSON) -> dict[str, JSON]:
    """An element that we and others changed: each field for itself."""
    if _GONE in (old, new, now):
        raise Entangled(f"the element {name.decode()} was changed or removed by others, too")
    found = dict(now)
    for field in old.keys() | new.keys():
        was, made, is_ = old.get(field, _GONE), new.get(field, _GONE), now.get(field, _GONE)
        if _equal(was, made) or _equal(is_, was):
            continue
        if not _equal(is_, made):
            raise Entangled(f"{field} of the element {name.decode()} was changed by others, too")
        if was is _GONE:
            del found[field]
        else:
            found[field] = was
    return found


def _by_key(items: list[JSON], key: str) -> dict[bytes, JSON]:
    found: dict[bytes, JSON] = {}
    for item in items:
        if not isinstance(item, Mapping) or item.get(key) is None:
            raise Entangled(f"an element has no `{key}`")
        name = canonical(item[key])
        if name in found:
            raise Entangled(f"two elements have the same `{key}`")
        found[name] = item
    return found


def _equal(one: object, other: object) -> bool:
    if one is _GONE or other is _GONE:
        return one is other
    return same(one, other)


def _in_order(were: Sequence[bytes], there: Sequence[bytes], merged: Mapping[bytes, JSON]) -> list[bytes]:
    """The order of today; what comes back stands behind the one that it stood behind before."""
    order = [name for name in there if name in merged]
    for position, name in enumerate(were):
        if name in merged and name not in order:
            earlier = next((one for one in reversed(were[:position]) if one in order), None)
            order.insert(0 if earlier is None else order.index(earlier) + 1, name)
    return order


# --- lines: a three-way merge with A as the base (diff3: Khanna, Kunal, Pierce, FSTTCS 2007) ---


def _lines(before: str, after: str, current: str) -> str:
    base, ours, theirs = (text.splitlines(keepends=True) for text in (after, before, current))
    found: list[str] = []
    for start, stop in pairwise(_anchors(base, ours, theirs)):
        found += _between(base, ours, theirs, start, stop)
        if stop[0] < len(base):
            found.append(base[stop[0]])
    return "".join(found)


_Anchor = tuple[int, int, int]


def _anchors(base: list[str], ours: list[str], theirs: list[str]) -> Iterator[_Anchor]:
    """Where the same line of the base stands in all three, in order; with the place before all and the one behind."""
    in_ours, in_theirs = _matches(base, ours), _matches(base, theirs)
    yield -1, -1, -1
    for index in range(len(base)):
        if index in in_ours and index in in_theirs:
            yield index, in_ours[index], in_theirs[index]
    yield len(base), len(ours), len(theirs)


def _matches(base: list[str], other: list[str]) -> dict[int, int]:
    blocks = SequenceMatcher(None, base, other, autojunk=False).get_matching_blocks()
    return {block.a + i: block.b + i for block in blocks for i in range(block.size)}


def _between(base: list[str], ours: list[str], theirs: list[str], start: _Anchor, stop: _Anchor) -> list[str]:
    """What stands between two anchors: the side that differs from the base; where both do, they must agree."""
    was, want, now = (text[a + 1 : b] for text, a, b in zip((base, ours, theirs), start, stop, strict=True))
    if want in (was, now):
        return now
    if now == was:
        return want
    raise Entangled(f"others changed the same lines (line {start[2] + 2})")
