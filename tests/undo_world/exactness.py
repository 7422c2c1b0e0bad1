"""Whether what is called exact was read back so."""

from __future__ import annotations

from typing import Any

from tests.undo_world.claims import Deed
from tests.undo_world.evidence import Evidence
from tests.undo_world.records import ABSENT, COUNTERS, Unit, Value, units
from tests.undo_world.service import Event, Read


class Exactness(Evidence):
    """Looks at the reads of the undo that was just answered."""

    def _must_be_what_it_says(self, deed: Deed, alone: bool, was: set[str]) -> None:
        """Exact was read back as it should be; whatever else is left was named.

        Of several, the newest goes back first: when it is read back, the older ones still stand.
        """
        outcome = deed.outcome.get("outcome", "exact")
        if not deed.changed():
            return
        self._must(outcome in {"exact", "compensated"}, f"{deed.action} is out of force with the outcome {outcome}")
        if outcome != "exact":
            return
        if not deed.outcome:
            reads = self._reads(deed.target)
            seen_back = any(self._as_before(deed, self._at(r, deed), was) or self._as_found(deed, r) for r in reads)
            self._must(seen_back, f"{deed.action} is called back already, and nothing that was read shows it")
            return
        ours = [e for e in self._ours() if e.target == deed.target and self._shows(e).keys() & deed.wrote.keys()]
        written = (max if alone else min)((e.position for e in ours), default=deed.position)
        reads = [r for r in self._reads(deed.target) if r.shown > written]
        if not reads and not self.service.lag and self._fell_behind(deed, written, was):
            return
        self._must(reads, f"{deed.action} is called exact, and nothing was read back")
        looks = reads[-1:] if alone else reads
        self._must(
            any(self._as_before(deed, self._at(r, deed), was) for r in looks),
            f"{deed.action} is called exact, and what was read back is something else",
        )

    def _as_found(self, deed: Deed, read: Read) -> bool:
        """What was redone without writing is back where it holds what the action had found at first, whoever put it."""
        if deed.shown is None or deed.opened == deed.shown:
            return False
        found, seen = units(self.service.states[deed.shown].get(deed.target)), self._at(read, deed)
        return all(seen.get(unit, ABSENT) == found.get(unit, ABSENT) for unit in self._changed(deed))

    def _fell_behind(self, deed: Deed, written: int, was: set[str]) -> bool:
        """The read back was older than the write, and showed what was wanted: from long before.

        A version tells nothing there: one that is made of the content is the same again.
        """
        late = [r for r in self._reads(deed.target) if r.position > written and r.shown < r.position]
        excused = any(self._as_before(deed, self._at(r, deed), was) for r in late)
        self.tally.counts["a read back that fell behind and showed what was wanted"] += excused
        return excused

    def _shows(self, event: Event) -> dict[Unit, tuple[Value, Value]]:
        """What reads can show of a write; where they lag and have no version, only that something is different."""
        return event.changes() if self.service.lag and not self.world.versions else event.wrote

    def _at(self, read: Read, deed: Deed) -> dict[Unit, Any]:
        return units(self.service.states[read.shown].get(deed.target))

    def _as_before(self, deed: Deed, seen: dict[Unit, Any], was: set[str]) -> bool:
        return all(
            seen.get(unit, ABSENT) == self.claims.due((deed.target, unit), until=deed.position, still=was)
            for unit in self._changed(deed)
            if unit[0] not in COUNTERS and (deed.target, unit) not in self._loose
        )
