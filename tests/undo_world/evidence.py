"""What is known of a schedule so far, and how it is looked up."""

from __future__ import annotations

from tests.undo_world.claims import Claims, Deed, Key
from tests.undo_world.records import ABSENT, Unit, Value, units
from tests.undo_world.service import Event, Read, Service, listing
from tests.undo_world.tally import Tally
from tests.undo_world.worlds import World


class Wrong(AssertionError):
    """Something that must not be."""


class Evidence:
    """The service's journal, who did what in it, and where the present step began."""

    def __init__(self, service: Service, world: World, tally: Tally) -> None:
        self.service, self.world, self.tally = service, world, tally
        self.claims = Claims(service)
        self.deeds: dict[str, Deed] = {}
        self.run_of_undo: dict[str, str] = {}
        self.original_of: dict[str, str] = {}
        self._compensations: set[str] = set()
        self._loose: set[Key] = set()
        self._idle: dict[int, bool] = {}
        self._noticed = 0
        self._begun = 0
        self._faulty, self._began_at = False, 0.0

    def _must(self, holds: object, what: str) -> None:
        if not holds:
            raise Wrong(what)

    def _ours(self) -> list[Event]:
        return [e for e in self.service.journal[self._begun :] if not e.foreign]

    def _others(self, target: str, since: int, until: int) -> list[Event]:
        return [e for e in self.service.journal[since:until] if e.foreign and e.target == target]

    def _reads(self, target: str) -> list[Read]:
        return [r for r in self.service.reads if r.step == self.service.step and r.target == target]

    def _looked_at(self, event: Event) -> str:
        """What had to be read before this write: the record, or the listing that a comment which went along is in."""
        record = self.service.states[event.position].get(event.target)
        if record is None or record["kind"] != "comment" or self._reads(event.target):
            return event.target
        return listing(record["doc"])

    def _last_of_guard(self, key: Key, before: int) -> int:
        target, unit = key
        found = [
            e.position
            for e in self.service.journal[:before]
            if not e.foreign and e.target == target and (unit in e.wrote or self._named(e, unit))
        ]
        return found[-1] if found else -1

    def _named(self, event: Event, unit: Unit) -> bool:
        deed = next((d for d in self.deeds.values() if d.position == event.position), None)
        return deed is not None and unit in deed.wrote

    def _left(self, key: Key) -> Value:
        """What the unit held after our own last write of it."""
        mine = self._last_of_guard(key, self._begun)
        return units(self.service.states[mine + 1].get(key[0])).get(key[1], ABSENT) if mine >= 0 else ABSENT

    def _later(self, deed: Deed) -> list[Deed]:
        return [
            d
            for d in self.deeds.values()
            if d is not deed and d.in_force and d.target == deed.target and d.position > deed.position
        ]

    def _changed(self, deed: Deed) -> set[Unit]:
        """What an action made different, as far as anybody could know.

        Where writes are not conditional, others may write just before it what it then sets back to what its
        before-image had shown: it undid an edit that nobody saw, and no image shows a change. Nor does one where others
        put back what it had changed before it was read back.
        """
        lost = {unit for unit in deed.changed() if self._changed_unseen(deed, unit) or self._put_back(deed, unit)}
        return deed.changed().keys() - lost

    def _put_back(self, deed: Deed, unit: Unit) -> bool:
        if deed.shown is None or deed.after is None:
            return False
        images = [units(self.service.states[at].get(deed.target)) for at in (deed.shown, deed.after.shown)]
        others = self._others(deed.target, deed.position, deed.after.shown)
        return images[0].get(unit, ABSENT) == images[1].get(unit, ABSENT) and any(unit in e.changes() for e in others)

    def _changed_unseen(self, deed: Deed, unit: Unit) -> bool:
        if self.world.conditional or deed.shown is None:
            return False
        shown = units(self.service.states[deed.shown].get(deed.target)).get(unit, ABSENT)
        others = self._others(deed.target, deed.shown, deed.position)
        return shown == deed.wrote[unit][1] and any(unit in event.changes() for event in others)

    def _before_first_look(self, target: str, unit: Unit, position: int, mine: int) -> bool:
        """What the arguments of a creation do not name is known only from its first reading."""
        deed = next((d for d in self.deeds.values() if d.target == target and d.position == mine), None)
        if deed is None or deed.kind not in {"create", "comment"} or unit[0] in deed.named:
            return False
        return deed.after is not None and position < deed.after.shown
