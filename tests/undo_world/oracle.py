"""The oracle: from what was written by whom, and from what the guard claimed, whether an undo was right.

It is written from what undo is for and knows nothing of how the guard does it. After each undo:

* every unit holds what its last standing writer gave it (an action that is claimed undone does not stand);
* nobody else's write was destroyed, but in a window that an outcome without conditional writes named;
* *exact* was read back; *refused* changed nothing; a true conflict was refused; what is left behind was named;
* an action with a later one upon it did not go alone; and where nothing stood in the way, it did go back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from takeback.core.action import Action
from takeback.core.jsontext import dumps
from takeback.core.vocabulary import Status
from takeback.ports import UndoAnswer
from tests.undo_world.claims import Claim, Deed
from tests.undo_world.evidence import Wrong
from tests.undo_world.exactness import Exactness
from tests.undo_world.excuses import Excuses
from tests.undo_world.expectations import Expectations
from tests.undo_world.records import ABSENT, BY_ELEMENT, COUNTERS, EXISTS, Unit, Value, units
from tests.undo_world.service import Event


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says of an action and of what took it back, oldest first."""

    action: Action
    compensations: tuple[Action, ...]


class Oracle(Excuses, Expectations, Exactness):
    """Judges one schedule, step by step."""

    def before_step(self, *, faulty: bool = False) -> None:
        """A step of the agent begins; in a `faulty` one a tool fails or lies."""
        self._faulty, self._began_at = faulty, self.service.now()
        self.notice_others()
        self._begun = len(self.service.journal)

    def notice_others(self) -> None:
        """Take in what was written since; what the guard wrote in an undo is not anybody's claim."""
        for event in self.service.journal[self._noticed :]:
            if event.foreign:
                self.claims.note(event, None)
        self._noticed = len(self.service.journal)

    def judge_act(self, kind: str, tool: str, args: dict[str, Any], action: Action | None) -> None:
        """A call of the agent was answered."""
        ours = self._ours()
        for event in self.service.journal[self._begun :]:
            if event.foreign:
                self.claims.note(event, None)
        self._noticed = len(self.service.journal)
        if action is None or action.id in self.deeds:
            self._must(not ours, "a call that made no new action wrote something")
            return
        if not ours:
            self._idle[self.service.step] = action.after is not None
            self._wrote_nothing(action, {*args, *(("count",) if tool == "add" else ())})
            return
        blind = self._faulty and kind in {"create", "comment"} and not action.in_force
        if blind or action.status in {Status.IN_DOUBT, Status.NEEDS_OPERATOR}:
            self._loose |= {(event.target, unit) for event in ours for unit in event.wrote}
            self.tally.add("a call whose effect cannot be read, or waits for a person")
        elif any(event.changes() for event in ours):
            self._must(action.in_force, f"{action.id} took effect and is not in force: {action.status}")
        deed = self._deed(kind, tool, args, action, ours)
        self.deeds[action.id] = deed
        for event in ours:
            self.claims.note(event, deed)
        self._must_have_been_conditional(deed)

    def _wrote_nothing(self, action: Action, named: set[str]) -> None:
        """What others did in the window of a write that failed may look as if it had taken effect."""
        if not action.in_force:
            return
        target = action.targets[0].id
        others = self._others(target, self._begun, len(self.service.journal))
        alike = any(unit[0] in named or unit == EXISTS for event in others for unit in event.wrote)
        guarded = self.world.conditional and "by" not in named
        excused = alike and (self._faulty or not guarded)
        self._must(excused, f"{action.id} is in force and wrote nothing")
        self._loose |= {(target, unit) for event in others for unit in event.wrote}
        self.tally.add("others' write in a window taken for ours")

    def _deed(self, kind: str, tool: str, args: dict[str, Any], action: Action, ours: list[Event]) -> Deed:
        event = next((e for e in ours if e.target == args.get("id")), ours[0])
        wrote = dict(event.wrote)
        held = units(self.service.states[event.position].get(event.target))
        named = [(name,) for name in args if (name,) in held or tool in {"update", "replace"}]
        for unit in named:
            if unit[0] not in BY_ELEMENT | {"id"}:
                wrote.setdefault(unit, (held.get(unit, ABSENT), held.get(unit, ABSENT)))
        before = [r for r in self._reads(event.target) if r.position <= event.position]
        after = [r for r in self._reads(event.target) if r.shown > event.position]
        shown = before[-1].shown if before else None
        return Deed(
            action.id,
            event.step,
            action.run,
            kind,
            event.target,
            event.position,
            wrote,
            shown,
            after[0] if after else None,
            frozenset(args),
            action.in_force,
        )

    def _must_have_been_conditional(self, deed: Deed) -> None:
        if not self.world.conditional or deed.shown is None or deed.kind in {"create", "add", "comment"}:
            return
        between = self._others(deed.target, deed.shown, deed.position)
        self._must(not between, f"{deed.action} overwrote what it had not read, where writes can be conditional")

    def judge_undo(self, what: str, named: str, answers: list[UndoAnswer], standing: dict[str, Standing]) -> None:
        """An undo was answered."""
        answer = answers[-1]
        was = {deed.action for deed in self.deeds.values() if deed.in_force}
        single = self._single(what, named)
        expected = self._expectation(single) if single else ""
        self._met(single)
        ours = self._ours()
        self._noticed, begun = len(self.service.journal), self._noticed
        for event in self.service.journal[begun:]:
            if event.foreign:
                self.claims.note(event, None)
        self._must_not_overwrite(ours, standing, answer)
        for deed in self.deeds.values():
            deed.in_force = standing[deed.action].action.in_force
            deed.outcome = self._outcome(standing[deed.action])
        out = [d for d in self.deeds.values() if d.action in was and not d.in_force]
        back = [d for d in self.deeds.values() if d.action not in was and d.in_force]
        self._redone(back, ours)
        self._gone_along(ours)
        self._loosen(standing, was)
        for deed in out:
            deed.undone_at = len(self.service.journal)
            self._excuse_window(deed, answer)
        self._must_be_due(out)
        for deed in out:
            self._must_be_what_it_says(deed, single is deed, was)
            self._must_not_go_alone(deed, back)
            self.tally.add(f"undone: {deed.outcome.get('outcome', 'nothing to do')}")
        self.tally.counts["redone"] += len(back)
        self._must_keep_its_word(single, expected, answer, ours, out)

    def _outcome(self, stands: Standing) -> dict[str, Any]:
        """What the newest compensation of this step came to; empty where there was nothing to do."""
        new = [one for one in stands.compensations if one.id not in self._compensations]
        self._compensations |= {one.id for one in new}
        found = new[-1].outcome if new else None
        return found if isinstance(found, dict) else {}

    def _single(self, what: str, named: str) -> Deed | None:
        return self.deeds.get(named) if what == "action" else None

    def _must_keep_its_word(
        self, single: Deed | None, expected: str, answer: UndoAnswer, ours: list[Event], out: list[Deed]
    ) -> None:
        if answer.outcome == "refused" or answer.confirm is not None:
            self._must(not out or single is None, "refused, and yet taken back")
            if single is not None:
                self._must(not ours, f"refused, and yet something was written: {answer.text}")
        if single is None:
            self.tally.add(f"undo of several: {answer.outcome}")
            return
        self.tally.add(f"undo: {answer.outcome}")
        if expected:
            self.tally.add(f"expected: {expected}")
        if answer.outcome == "exact" and single.changed():
            self._must(not single.in_force, f"exact, and {single.action} is still in force")
        if expected == "refused":
            alone = answer.outcome == "refused" or bool(self._later(single)) or bool(out)
            self._must(single.in_force and alone, f"a true conflict, and {answer.outcome}: {answer.text}")
        if expected == "exact":
            self._must(
                answer.outcome == "exact",
                f"nothing stood in the way, and the answer was {answer.outcome}: {answer.text}",
            )

    def _must_not_overwrite(self, ours: list[Event], standing: dict[str, Standing], answer: UndoAnswer) -> None:
        """Somebody's write since our own last one must survive what an undo writes."""
        for event in ours:
            for unit, (old, new) in event.changes().items():
                if unit[0] in COUNTERS and ABSENT not in {old, new}:
                    continue
                key = event.target, unit
                mine = self._last_of_guard(key, event.position)
                theirs = [
                    claim
                    for claim in self.claims.of(key)
                    if claim.foreign and not claim.void and mine < claim.position < event.position
                ]
                if theirs:
                    self._excuse_all(theirs, event, unit, mine, old, answer)

    def _excuse_all(
        self, theirs: list[Claim], event: Event, unit: Unit, mine: int, old: Value, answer: UndoAnswer
    ) -> None:
        """What is lost is the last of them; in a window, what was there before may be what was put back."""
        why = self._excuse(event, unit, theirs[-1].position, mine, old, answer)
        looked = [r.shown for r in self._reads(self._looked_at(event)) if r.position <= event.position]
        seen = [claim for claim in theirs if why == "window" and looked and claim.position < looked[-1]]
        seen = seen if len(seen) < len(theirs) else []
        for claim in theirs[len(seen) :]:
            claim.void = why
        if seen and seen[-1].new != event.wrote[unit][1]:
            self._excuse_all(seen, event, unit, mine, seen[-1].new, answer)

    def _must_be_due(self, out: list[Deed]) -> None:
        for key in sorted(self.claims.keys() - self._loose, key=repr):
            target, unit = key
            actual = units(self.service.records.get(target)).get(unit, ABSENT)
            due, last = self.claims.due(key), self.claims.last(key)
            while actual != due and self._void_hidden(key, last):
                due, last = self.claims.due(key), self.claims.last(key)
            if actual != due:
                whose = (
                    "the start" if last is None else "others" if last.foreign else getattr(last.deed, "action", "us")
                )
                raise Wrong(
                    f"{target} {unit} is {actual!r}; {due!r} is due, by {whose}; "
                    f"taken back: {[(d.action, d.outcome) for d in out]}"
                )

    def _must_not_go_alone(self, deed: Deed, back: list[Deed]) -> None:
        for other in self._later(deed):
            shared = {u for u in self._changed(other) & self._changed(deed) if u[0] not in COUNTERS}
            if other.gone or other in back or (not shared and not deed.whole):
                continue
            raise Wrong(f"{deed.action} went back, and {other.action}, which is upon it, stands")

    def _redone(self, back: list[Deed], ours: list[Event]) -> None:
        for deed in back:
            writes = [e for e in ours if e.target == deed.target]
            position = writes[-1].position if writes else len(self.service.journal)
            self.claims.redone(deed, position, {unit for event in writes for unit in event.changes()})
            deed.step = self.service.step
            looks = [r.shown for r in self._reads(deed.target) if r.position <= position]
            deed.opened = looks[-1] if writes and looks else position

    def _loosen(self, standing: dict[str, Standing], was: set[str]) -> None:
        """What failed may stand either way, and so may what was named as residue."""
        for deed in self.deeds.values():
            named = dumps(deed.outcome.get("residue") or []).decode()
            failed = standing[deed.action].action.status in {
                Status.NEEDS_OPERATOR,
                Status.IN_DOUBT,
                Status.COMPENSATING,
            }
            undo_failed = any(
                c.status in {Status.NEEDS_OPERATOR, Status.IN_DOUBT} for c in standing[deed.action].compensations
            )
            for unit in deed.wrote:
                if failed or undo_failed or (deed.action in was and unit[0] in named):
                    self._loose.add((deed.target, unit))

    def _gone_along(self, ours: list[Event]) -> None:
        """Comments of our own may go with the record that they are on."""
        removed = {e.target for e in ours if e.changes().get(EXISTS, (None, None))[1] is ABSENT}
        for deed in self.deeds.values():
            record = self.service.states[self._begun].get(deed.target)
            if deed.target in removed and record is not None and record.get("doc") in removed:
                deed.gone = True


__all__ = ["Oracle", "Standing", "Wrong"]
