"""What should come of the undo of one action, where intent leaves no choice."""

from __future__ import annotations

from tests.undo_world.claims import Deed
from tests.undo_world.records import ABSENT, COUNTERS, EXISTS, units
from tests.undo_world.sightings import Sightings


class Expectations(Sightings):
    """Looks at the world before the step."""

    def _expectation(self, deed: Deed) -> str:
        """`exact` or `refused` where intent leaves no choice, else empty. Looks at the world before the step."""
        if self._faulty or not deed.in_force or not deed.changed():
            return ""
        if self._disturbed(deed) or (not self.service.lag and self._stale_reads(deed)):
            return ""
        if deed.after is None or any((deed.target, unit) in self._loose for unit in deed.wrote):
            return ""
        if self._too_fresh(deed):
            return ""
        if self._in_conflict(deed):
            return "refused"
        return "exact" if self._in_nobodys_way(deed) else ""

    def _disturbed(self, deed: Deed) -> bool:
        """Others wrote on the record during the step, so that refusing may be right, or more than that."""
        others = self._others(deed.target, self._begun, len(self.service.journal))
        if not others or self.world.versions or self.service.lag or deed.whole:
            return bool(others)
        return any({unit[0] for unit in event.wrote} & deed.fields or EXISTS in event.wrote for event in others)

    def _stale_reads(self, deed: Deed) -> bool:
        """A read of this step, or one of those that its images are made of, showed what was, though nothing said so."""
        steps = {self.service.step, *(e.step for e in self.service.journal if not e.foreign), *self._idle}
        return any(r.target == deed.target and r.step in steps and self._showed_what_was(r) for r in self.service.reads)

    def _too_fresh(self, deed: Deed) -> bool:
        """Reads may still show what was before a write on this record."""
        writes = [e.at for e in self.service.journal[: self._begun] if e.target == deed.target]
        return bool(self.service.lag) and self._began_at - max(writes) <= self.service.lag

    def _in_conflict(self, deed: Deed) -> bool:
        """Somebody else wrote one of its units since, and it holds neither what we left nor what was there."""
        exists = self.claims.last((deed.target, EXISTS))
        now = units(self.service.states[self._begun].get(deed.target))
        if not now and not deed.whole and exists is not None and exists.foreign and exists.position > deed.position:
            return True
        for unit, (_, new) in deed.changed().items():
            if unit[0] in COUNTERS:
                continue
            last = self.claims.last((deed.target, unit))
            if last is not None and self._before_first_look(deed.target, unit, last.position, deed.position):
                continue
            before = self.claims.due((deed.target, unit), until=deed.position)
            theirs = last is not None and last.foreign and last.position > deed.position
            if theirs and now.get(unit, ABSENT) not in {new, before, self._left((deed.target, unit))}:
                return True
        return False

    def _in_nobodys_way(self, deed: Deed) -> bool:
        others = self._others(deed.target, deed.shown if deed.shown is not None else deed.position, self._begun)
        if any(
            e.wrote.keys() & deed.wrote.keys() - {("count",)} or {u[0] for u in e.wrote} & deed.fields for e in others
        ):
            return False
        if deed.whole and others:
            return False
        if others and self.world.versions and not self._explained(deed):
            return False
        if self.world.versions and self._moved_by_children(deed):
            return False
        if any(other.run != deed.run for other in self._later(deed)):
            return False  # what rests on it is another run's, which is for a person
        if self._later(deed) and any(self._upon(other, deed) for other in self._later(deed)):
            return False
        seen = units(self.service.states[deed.shown].get(deed.target)) if deed.shown is not None else {}
        return all(
            self.claims.due((deed.target, unit), until=deed.position) == seen.get(unit, ABSENT)
            for unit in deed.wrote
            if unit[0] not in COUNTERS
        )

    def _moved_by_children(self, deed: Deed) -> bool:
        """Our own comments moved the version, which a guard need not know."""
        assert deed.after is not None
        journal = self.service.journal[deed.after.shown : self._begun]
        return any(event.target == deed.target and not event.wrote for event in journal)

    def _upon(self, other: Deed, deed: Deed) -> bool:
        """Whether undoing the one may have to wait for the other; one that clearly changed nothing is no reason."""
        counts = bool(other.changed()) or self._blurred(other)
        return deed.whole or other.whole or (counts and bool(other.fields & deed.fields - COUNTERS))

    def _blurred(self, deed: Deed) -> bool:
        """Others changed what it wrote before it was read back: what it did itself cannot be told any more."""
        until = deed.after.shown if deed.after is not None else self._begun
        return any(
            event.changes().keys() & deed.wrote.keys() for event in self._others(deed.target, deed.position, until)
        )

    def _explained(self, deed: Deed) -> bool:
        """Wherever a version was seen to move, something else than the deed's fields was seen to move, too."""
        return all(
            not self._others(deed.target, then, now) or self._visible_elsewhere(deed, then, now)
            for then, now in [*self._spans(deed.target, deed.position), self._unread(deed)]
        )

    def _unread(self, deed: Deed) -> tuple[int, int]:
        """From the newest look at the end of a write until now: what an undo will read first."""
        ours = [e.position for e in self.service.journal[: self._begun] if e.target == deed.target and not e.foreign]
        newest = max([deed.position, *ours])
        return self._after(deed.target, newest) or newest + 1, self._begun

    def _visible_elsewhere(self, deed: Deed, then: int, now: int) -> bool:
        old, new = (units(self.service.states[at].get(deed.target)) for at in (then, now))
        return any(old.get(unit) != new.get(unit) for unit in old.keys() | new.keys() if unit[0] not in deed.fields)
