"""What a guard saw of others between its own writes: at the end of one and at the beginning of the next."""

from __future__ import annotations

from tests.undo_world.claims import Deed
from tests.undo_world.evidence import Evidence
from tests.undo_world.records import Unit, units
from tests.undo_world.service import Event, Read

Span = tuple[int, int]
"""Two positions that were shown, one after the other, while nothing of ours was written."""


class Sightings(Evidence):
    """Looks at the reads of all steps so far."""

    def _met(self, undone: Deed | None) -> None:
        """Count what is hard and seldom, so that it is known to be reached."""
        if any(self._showed_what_was(r) for r in self.service.reads if r.step == self.service.step):
            self.tally.add("met in an undo: a read that showed what was")
        if undone is not None and undone.in_force and any(self._dirty(undone, unit) for unit in undone.changed()):
            self.tally.add("met in an undo: a before-value by an action that was taken back since")

    def _showed_what_was(self, read: Read) -> bool:
        return any(event.target == read.target for event in self.service.journal[read.shown : read.position])

    def _dirty(self, deed: Deed, unit: Unit) -> bool:
        """Whether it took the place of what an action had written that stood then and does not any more."""
        known = list(self.deeds.values())
        earlier = [d for d in known[: known.index(deed)] if d.target == deed.target and unit in d.changed()]
        last = earlier[-1] if earlier else None
        return last is not None and not last.in_force and (last.undone_at or 0) > (deed.shown or 0)

    def _spans(self, target: str, since: int) -> list[Span]:
        """From the write at `since` until the newest look, what was read before and after each of our writes."""
        own = self._own(target, since)
        if self.service.lag and (own or not self.world.versions):
            return []  # what was read around them may be older than they are
        spans: list[Span] = []
        left = self._after(target, since)
        for before, after in own:
            if left is not None and before is not None:
                spans.append((left, before))
            left = after
        now = self._reads(target)
        if left is not None and now:
            spans.append((left, self._last_look(now)))
        return spans

    def _last_look(self, reads: list[Read]) -> int:
        """What was shown last before this step's first write."""
        first = next((e.position for e in self._ours() if e.target == reads[0].target), len(self.service.journal))
        return [r.shown for r in reads if r.position <= first or r is reads[0]][-1]

    def _own(self, target: str, since: int) -> list[tuple[int | None, int | None]]:
        """What was shown before and after each later act of ours, those included that came to nothing."""
        writes = [e for e in self.service.journal[since + 1 : self._begun] if e.target == target and not e.foreign]
        found = [(e.position, self._before(e), self._after(target, e.position)) for e in writes]
        for step, read_back in self._idle.items():
            reads = [r for r in self.service.reads if r.step == step and r.target == target]
            if reads and reads[0].position > since:
                found.append((reads[0].position, reads[0].shown, reads[-1 if read_back else 0].shown))
        return [(before, after) for _, before, after in sorted(found, key=lambda one: one[0])]

    def _before(self, event: Event) -> int | None:
        reads = [r for r in self.service.reads if r.step == event.step and r.target == event.target]
        looks = [r.shown for r in reads if r.position <= event.position]
        return looks[-1] if looks else None

    def _after(self, target: str, position: int) -> int | None:
        step = self.service.journal[position].step
        reads = [r for r in self.service.reads if r.step == step and r.target == target and r.shown > position]
        return reads[0].shown if reads else None

    def _told(self, target: str, unit: Unit, mine: int, position: int) -> bool:
        """Whether what others wrote there after our last write of it could be seen in between.

        Either it holds something else afterwards, or the version has moved and nothing else explains that.
        """
        return mine >= 0 and any(
            then <= position < now and self._shown_in(target, unit, (then, now))
            for then, now in self._spans(target, mine)
        )

    def _shown_in(self, target: str, unit: Unit, span: Span) -> bool:
        old, new = (units(self.service.states[at].get(target)) for at in span)
        if old.get(unit) != new.get(unit):
            return True
        own = any(not event.foreign and event.target == target for event in self.service.journal[slice(*span)])
        return self.world.versions and bool(old and new) and not own and old == new
