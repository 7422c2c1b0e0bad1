"""What must hold when a load run is over: what was meant, the world, the ledger and what was told, held together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Final

from takeback.core.action import Action
from takeback.core.states import OCCUPYING, Happening
from takeback.core.vocabulary import Status
from takeback.ledger.rebuild import rebuilt
from tests.crashes.evidence import Evidence

from .calls import Meant, effect_of
from .client import Told

MAY_BE_QUEUED: Final = frozenset({"charge"})
"""What nobody can settle by looking, once it may have been sent."""

_GONE: Final = "the guard that ran it is gone"
"""What the ledger says of an action that was taken over."""


@dataclass(frozen=True)
class Facts:
    """All that is known. `told`: what clients were told in the end, by operation; `kills`: when a guard was killed."""

    meant: Sequence[Meant]
    told: Mapping[int, Sequence[Told]]
    effects: Sequence[str]
    evidence: Evidence
    kills: Sequence[datetime]

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each effect came."""
        return Counter(self.effects)

    @cached_property
    def actions(self) -> Mapping[str, Sequence[Action]]:
        """The ledger's actions by the effect that each is to have."""
        found: dict[str, list[Action]] = defaultdict(list)
        for action in self.evidence.actions.values():
            found[effect_of(action.tool, dict(action.arguments or {}))].append(action)
        return found

    def queued(self, meant: Meant) -> bool:
        """Whether a person is asked about it."""
        return any(action.id in self.evidence.queue for action in self.actions.get(meant.effect, ()))

    @cached_property
    def asked_about(self) -> frozenset[str]:
        """The targets on which a person must say what became of an action."""
        waiting = [self.evidence.actions[one] for one in self.evidence.queue]
        return frozenset(target.id for action in waiting for target in action.targets)

    def count(self, happening: Happening) -> int:
        """How many actions something happened to."""
        return sum(any(event.happening is happening for event in events) for events in self.evidence.events.values())


def violations(facts: Facts) -> list[str]:
    """What is wrong; nothing, if all is well."""
    known = {meant.effect for meant in facts.meant}
    found = [f"UNMEANT: {effect!r} took effect, and nobody meant it" for effect in facts.counts.keys() - known]
    for meant in facts.meant:
        found += _of_one(facts, meant)
        found += _told(facts, meant)
    found += _ledger(facts)
    found += _final_values(facts)
    found += _taken_away(facts)
    return found


def _of_one(facts: Facts, meant: Meant) -> Iterator[str]:
    count, actions = facts.counts[meant.effect], facts.actions.get(meant.effect, ())
    if count > 1:
        yield f"DUPLICATE: {meant.effect!r} took effect {count} times"
    if len(actions) > 1:
        yield f"TWICE: {meant.effect!r} is {len(actions)} actions"
    if count and not actions:
        yield f"UNKNOWN: {meant.effect!r} took effect, and the ledger knows nothing of it"
    if not count and not facts.queued(meant) and not _is_behind(facts, meant):
        yield f"LOST: {meant.effect!r} did not take effect, and nobody is asked about it"
    for action in actions:
        if action.status is Status.SUCCEEDED and not count:
            yield f"LEDGER: {action.id} ({meant.effect!r}) succeeded, and did not take effect"
        if action.status is Status.FAILED and count:
            yield f"LEDGER: {action.id} ({meant.effect!r}) failed, and took effect"


def _is_behind(facts: Facts, meant: Meant) -> bool:
    """Whether it was refused, since a person must first say what became of another one on the same target."""
    outcomes = {told.outcome for told in facts.told.get(meant.number, ())}
    return outcomes == {"behind"} and meant.target in facts.asked_about


def _told(facts: Facts, meant: Meant) -> Iterator[str]:
    count = facts.counts[meant.effect]
    told = facts.told.get(meant.number, ())
    if not told:
        yield f"UNTOLD: nobody was told of {meant.effect!r}"
    for answer in told:
        if answer.outcome in {"stuck", "odd"}:
            yield f"{answer.outcome.upper()}: {meant.effect!r} was answered: {answer.text}"
        if answer.outcome == "done" and not count:
            yield f"UNTRUE: {meant.effect!r} was said to be done: {answer.text}"
        if answer.outcome == "behind" and count:
            yield f"UNTRUE: {meant.effect!r} was said not to have been executed: {answer.text}"


def _ledger(facts: Facts) -> Iterator[str]:
    for action in facts.evidence.actions.values():
        events = facts.evidence.events.get(action.id, ())
        if rebuilt(events) != action:
            yield f"ROWS: {action.id} is not what its events make of it"
        if action.status in OCCUPYING:
            yield f"LEFT: {action.id} ({action.name}) is {action.status.value} at the end"
        asked = action.id in facts.evidence.queue or any(e.happening is Happening.GIVE_UP for e in events)
        if asked and action.tool not in MAY_BE_QUEUED:
            why = facts.evidence.queue.get(action.id, "it was given up")
            yield f"QUEUED: {action.id} ({action.name}) could be settled without a person: {why}"
        if action.status is Status.NEEDS_OPERATOR and action.id not in facts.evidence.queue:
            yield f"UNASKED: {action.id} ({action.name}) needs a person, and none is asked"


def _final_values(facts: Facts) -> Iterator[str]:
    """What a record holds is what the ledger's last action on it made of it."""
    last = {words[1]: words[2] for words in (effect.split() for effect in facts.effects) if words[0] == "set"}
    by_record: dict[str, list[Action]] = defaultdict(list)
    for action in facts.evidence.actions.values():
        if action.tool == "set" and action.in_force and action.settled_at is not None:
            by_record[str((action.arguments or {})["id"])].append(action)
    for record in last.keys() | by_record.keys():
        newest = max(by_record.get(record, ()), key=lambda one: (one.settled_at is None, one.settled_at), default=None)
        recorded = (newest.arguments or {})["value"] if newest is not None else None
        if last.get(record) != recorded:
            yield f"VALUE: {record} holds {last.get(record)!r}, and the ledger's last action made it {recorded!r}"


def _taken_away(facts: Facts) -> Iterator[str]:
    """An action is taken over when a guard was killed since it was claimed, and from no guard that lives."""
    for one, events in facts.evidence.events.items():
        for earlier, event in pairwise(events):
            killed = any(earlier.at <= at <= event.at for at in facts.kills)
            if event.happening is Happening.LOSE and event.detail == _GONE and not killed:
                yield f"TAKEN AWAY: {one} was taken over from a guard that nobody had killed"
