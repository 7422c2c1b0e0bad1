"""Time spans that no policy means: no time at all where some is needed, and more than ten years."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from takeback.core.policy.mistakes import Keys, Mistake, at
from takeback.core.policy.values import parse_duration

LONGEST: Final = timedelta(days=3660)
SHORTEST: Final = timedelta(days=1)
"""For which something is kept at the least: retries come within it, and limits count by days."""

BRIEFEST: Final = timedelta(milliseconds=100)
"""For which something is held at the least: shorter ones run out while a busy machine breathes."""

_POSITIVE: Final = frozenset({"timeout", "start_timeout", "approval_expires", "undo_within", "valid_for"})
_KEPT: Final = frozenset({"images", "runs"})
_HELD: Final = frozenset({"lease", "rest"})
_MAY_BE_ZERO: Final = frozenset({"join_within", "lands_within", "read_lag", "backoff", "max"})


def durations(document: Mapping[str, Any]) -> list[Mistake]:
    """Spans that are written as spans and make no sense (what is not written as one is the schema's to say)."""
    return [
        Mistake((*keys, key), problem)
        for keys, table in _tables(document)
        for key in sorted(_POSITIVE | _MAY_BE_ZERO | _KEPT | _HELD)
        if key in table and (problem := _problem(key, table[key]))
    ]


def _problem(key: str, value: object) -> str:
    try:
        span = parse_duration(value)
    except ValueError:
        return ""
    except OverflowError:
        return "is longer than ten years"
    if not span and key in _POSITIVE:
        return "must be longer than nothing"
    if span < BRIEFEST and key in _HELD:
        return "is shorter than 100 ms"
    if span < SHORTEST and key in _KEPT:
        return "is shorter than a day"
    return "is longer than ten years" if span > LONGEST else ""


def _tables(document: Mapping[str, Any]) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    for place in _places(document):
        for keys in (place, (*place, "retry"), (*place, "idempotency"), (*place, "breaker")):
            if isinstance(found := at(document, keys), Mapping):
                yield keys, found


def _places(document: Mapping[str, Any]) -> Iterator[Keys]:
    yield ("defaults",)
    yield ("ledger",)
    yield ("retention",)
    upstreams, rules = document.get("upstream"), document.get("rule")
    yield from (("upstream", name) for name in upstreams) if isinstance(upstreams, Mapping) else ()
    yield from (("rule", index) for index in range(len(rules))) if isinstance(rules, list) else ()
