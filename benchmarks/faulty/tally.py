"""What all operations of one subject came to: the agent's words held against the oracle's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from benchmarks.faulty.agent import Ended


@dataclass(frozen=True, slots=True)
class Effects:
    """How many operations took effect once, more often, and never."""

    once: int
    more: int
    none: int

    def __str__(self) -> str:
        return f"{self.once} / {self.more} / {self.none}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One row of the table.

    `silently_wrong` are the operations of which nobody learns how they stand: the agent was told that it is done and
    there is not exactly one effect, or had only errors and no answers, and there is an effect. Those that are in doubt
    or in the recovery queue are not among them, since a person is told to look; nor are those that were `told_only`:
    one effect, and an error that says so, because the tool's own answer is lost.
    """

    operations: int
    created: Effects
    were_set: Effects
    right: int
    told_only: int
    silently_wrong: int
    gave_up_with_effect: int
    gave_up_without: int
    queued: int
    hung: int
    next_works: int | None
    restarts: int
    calls: int


def tally(ended: Iterable[Ended], effects: Mapping[str, int], queued: AbstractSet[str], restarts: int) -> Tally:
    """Count. `effects` is the oracle's, by operation; `queued` are the operations that wait for a person."""
    every = list(ended)
    looked = [one.next_works for one in every if one.next_works is not None]
    told_only = [one for one in every if one.told_took_effect and effects.get(one.operation.name, 0) == 1]
    gave_up = [one for one in every if not one.told_done and one not in told_only]
    return Tally(
        operations=len(every),
        created=_effects(every, effects, "create"),
        were_set=_effects(every, effects, "set"),
        right=sum(one.right for one in every),
        told_only=len(told_only),
        silently_wrong=sum(_silently_wrong(one, effects, queued) for one in every),
        gave_up_with_effect=sum(effects.get(one.operation.name, 0) > 0 for one in gave_up),
        gave_up_without=sum(effects.get(one.operation.name, 0) == 0 for one in gave_up),
        queued=sum(one.operation.name in queued for one in every),
        hung=sum(one.hung > 0 for one in every),
        next_works=sum(looked) if looked else None,
        restarts=restarts,
        calls=sum(one.calls for one in every),
    )


def _effects(every: Iterable[Ended], effects: Mapping[str, int], tool: str) -> Effects:
    counts = Counter(min(effects.get(one.operation.name, 0), 2) for one in every if one.operation.tool == tool)
    return Effects(once=counts[1], more=counts[2], none=counts[0])


def _silently_wrong(one: Ended, effects: Mapping[str, int], queued: AbstractSet[str]) -> bool:
    count = effects.get(one.operation.name, 0)
    if one.told_done:
        return count != 1 or not one.right
    if one.told_took_effect:
        return count != 1
    return count > 0 and one.operation.name not in queued
