"""Who wrote what: the claims on each unit, in order, and what a unit should hold when some of them are taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from tests.undo_world.records import ABSENT, COUNTERS, FIELDS, Unit, Value, units
from tests.undo_world.service import Event, Read, Service

Key = tuple[str, Unit]
"""A unit of one record."""


@dataclass(slots=True)
class Deed:
    """An action of the agent that took effect, as the service saw it.

    `shown` is the position that its before-image showed, `after` its after-image. `position` is that of its write, or
    of the newest redo, and `opened` what was read before that write. `wrote` has what each unit held and then got,
    `named` the arguments.
    """

    action: str
    step: int
    run: str
    kind: str
    target: str
    position: int
    wrote: dict[Unit, tuple[Value, Value]]
    shown: int | None
    after: Read | None
    named: frozenset[str] = frozenset()
    in_force: bool = True
    gone: bool = False
    outcome: dict[str, Any] = field(default_factory=dict)
    undone_at: int | None = None
    opened: int | None = None

    def __post_init__(self) -> None:
        self.opened = self.shown

    def changed(self) -> dict[Unit, tuple[Value, Value]]:
        """What it made different."""
        return {unit: (old, new) for unit, (old, new) in self.wrote.items() if old != new}

    @property
    def fields(self) -> set[str]:
        """The names of the fields that it wrote."""
        return {unit[0] for unit in self.wrote} | (self.named & set(FIELDS))

    @property
    def whole(self) -> bool:
        """It made or removed its record."""
        return self.kind in {"create", "delete", "comment", "uncomment"}


@dataclass(slots=True)
class Claim:
    """That a unit was written. `deed` is None for others, and for what our own acts destroyed beside their target."""

    position: int
    deed: Deed | None
    foreign: bool
    old: Value
    new: Value
    void: str = ""

    @property
    def stands(self) -> bool:
        """Whether it counts."""
        return not self.void and (self.deed is None or (self.deed.in_force and not self.deed.gone))

    def stood(self, still: AbstractSet[str]) -> bool:
        """Whether it counted while these actions were in force."""
        return not self.void and self.deed is not None and self.deed.action in still and not self.deed.gone

    def onto(self, value: Value, unit: Unit) -> Value:
        """What the unit holds after it."""
        if unit[0] in COUNTERS and ABSENT not in {self.old, self.new}:
            return ABSENT if value is ABSENT else value + self.new - self.old
        return self.new


class Claims:
    """All claims of one schedule."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._claims: dict[Key, list[Claim]] = defaultdict(list)
        self._start = {(target, unit): v for target, r in service.states[0].items() for unit, v in units(r).items()}

    def note(self, event: Event, deed: Deed | None) -> None:
        """A write of others, or of an action (`deed`; None for what it destroyed elsewhere)."""
        for unit, (old, new) in event.wrote.items():
            owner = deed if deed is not None and deed.target == event.target else None
            claims = self._claims[event.target, unit]
            claims.append(Claim(event.position, owner, event.foreign, old, new))
            claims.sort(key=lambda claim: claim.position)

    def redone(self, deed: Deed, position: int, written: AbstractSet[Unit]) -> None:
        """The action's claims count from here on and no longer from where they stood.

        A redo writes what the action had changed, as far as its images told; `written` is what it did write.
        """
        for unit, (old, new) in deed.wrote.items():
            key = deed.target, unit
            self._claims[key] = [claim for claim in self._claims[key] if claim.deed is not deed]
            if old != new or unit in written:
                self._claims[key].append(Claim(position, deed, False, old, new))
        deed.position = position

    def keys(self) -> set[Key]:
        """Every unit that ever was."""
        return self._claims.keys() | self._start.keys()

    def of(self, key: Key) -> list[Claim]:
        """The claims on a unit, oldest first."""
        return self._claims.get(key, [])

    def standing(self, key: Key, *, until: int | None = None, still: AbstractSet[str] = frozenset()) -> list[Claim]:
        """Those that count, up to a position; `still` are actions that counted at the time in question, too."""
        found = [claim for claim in self.of(key) if claim.stands or claim.stood(still)]
        return [claim for claim in found if until is None or claim.position < until]

    def due(self, key: Key, *, until: int | None = None, still: AbstractSet[str] = frozenset()) -> Value:
        """What the unit should hold: the last claim that stands says it, and a counter adds them all up."""
        value = self._start.get(key, ABSENT)
        for claim in self.standing(key, until=until, still=still):
            value = claim.onto(value, key[1])
        return value

    def last(self, key: Key) -> Claim | None:
        """Whose write should be the one that is seen."""
        standing = self.standing(key)
        return standing[-1] if standing else None
