"""When a write of others may be lost: what could not be told, or was said beforehand."""

from __future__ import annotations

from takeback.ports import UndoAnswer
from tests.undo_world.claims import Claim, Deed, Key
from tests.undo_world.evidence import Wrong
from tests.undo_world.records import ABSENT, COUNTERS, Unit, Value, units
from tests.undo_world.service import Event
from tests.undo_world.sightings import Sightings


class Excuses(Sightings):
    """Each loss is excused for one reason, or raises Wrong."""

    def _excuse(self, event: Event, unit: Unit, position: int, mine: int, old: Value, answer: UndoAnswer) -> str:
        """Why this loss is allowed. Raises Wrong if it is not."""
        what = f"{event.target} {unit}: an edit of others at {position} was destroyed at {event.position}"
        reads = [r for r in self._reads(self._looked_at(event)) if r.position <= event.position]
        if self._in_window_of_action(event.target, unit, position):
            self._must("unconditioned" in answer.text, f"{what}, in a window that was not named: {answer.text}")
            self.tally.add("lost inside a named window")
            return "window"
        self._must(reads, f"{what}, without a look")
        shown = reads[-1].shown
        if position >= shown and not self.world.conditional:
            self._must("unconditioned" in answer.text, f"{what}, in a window that was not named: {answer.text}")
            self.tally.add("lost inside a named window")
            return "window"
        if self._before_first_look(event.target, unit, position, mine):
            self.tally.add("lost before a new record was first read")
            return "new"
        left = units(self.service.states[mine + 1].get(event.target)).get(unit, ABSENT) if mine >= 0 else ABSENT
        if self._told(event.target, unit, mine, position):
            raise Wrong(f"{what}, which could be told: {answer.text}")
        if left == old:
            self.tally.add("an equal rewrite that cannot be told")
            return "equal"
        if self._hidden((event.target, unit), position, old, event.position) is not None:
            return "equal"
        raise Wrong(f"{what}: {answer.text}")

    def _excuse_window(self, deed: Deed, answer: UndoAnswer) -> None:
        """What others wrote between an action's before-image and its write was never seen, nor can it come back."""
        if self.world.conditional or deed.opened is None:
            return
        for unit in deed.wrote:
            for claim in self.claims.of((deed.target, unit)):
                if claim.foreign and not claim.void and deed.opened <= claim.position < deed.position:
                    if unit[0] in COUNTERS and not deed.whole:
                        continue
                    claim.void = "window"
                    undone = any(e.target == deed.target and unit in e.changes() for e in self._ours())
                    if claim.new != claim.old and undone:
                        named = "unconditioned" in answer.text
                        self._must(named, f"a window of {deed.action} was not named: {answer.text}")
                        self.tally.add("lost inside a named window")

    def _in_window_of_action(self, target: str, unit: Unit, position: int) -> bool:
        """It came between the before-image and the write of an action, which wrote the same there."""
        return not self.world.conditional and any(
            deed.target == target and deed.opened is not None and deed.opened <= position < deed.position
            for deed in self.deeds.values()
            if unit[0] in deed.fields
        )

    def _void_hidden(self, key: Key, last: Claim | None) -> bool:
        """Let what others wrote there and back again not count, if nothing showed it."""
        if last is None or not last.foreign or self._told(*key, self._last_of_guard(key, last.position), last.position):
            return False
        until = self._last_of_guard(key, len(self.service.journal))
        deed = self._hidden(key, last.position, last.new, until)
        for claim in self.claims.of(key) if deed is not None else ():
            if claim.foreign and deed is not None and deed.position < claim.position <= last.position:
                claim.void = "equal"
        return deed is not None

    def _hidden(self, key: Key, position: int, value: Value, until: int) -> Deed | None:
        """It left what an earlier action of ours had left, and another action of ours explains the new version."""
        target, unit = key
        for deed in self.deeds.values():
            later = any(e.target == target and not e.foreign for e in self.service.journal[deed.position + 1 : until])
            before = deed.target == target and deed.position < position
            if before and later and deed.wrote.get(unit, (ABSENT, ABSENT))[1] == value:
                self.tally.add("an equal rewrite that cannot be told")
                return deed
        return None
