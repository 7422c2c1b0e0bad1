"""Unwinding: several actions taken back, newest first. What fails keeps only what rests on it; the rest goes back.

The ledger is the only memory: asked again after a crash, what went back is found gone back, and the rest goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from takeback.core.action import Action
from takeback.core.phrases import with_the_rest
from takeback.core.queue import EVERY_CAUSE, QueueDecision
from takeback.core.run import Unwinding
from takeback.core.states import Happening
from takeback.core.vocabulary import Status, UndoOutcome
from takeback.core.wording import targets_of
from takeback.guard.recording import next_fact, settled
from takeback.guard.services import Services
from takeback.guard.undo.authority import stands_in_the_way
from takeback.guard.undo.one import Step, undo_one
from takeback.guard.undo.selecting import PLAN
from takeback.ports import Caller, Change, UndoAnswer

_NAMED: Final = 20
"""Actions that a report names one by one; more are counted."""


@dataclass(slots=True)
class Report:
    """What stands where. Bounded: only the first of each kind are named."""

    counts: Counter[UndoOutcome] = field(default_factory=Counter)
    waiting: int = 0
    frozen: int = 0
    kept: int = 0
    unconditioned: int = 0
    lines: list[str] = field(default_factory=list)
    left_out: int = 0

    def add(self, step: Step) -> None:
        """One action more."""
        self.unconditioned += step.unconditioned
        if step.kept:
            self.kept += 1
        elif step.frozen:
            self.frozen += 1
        elif step.outcome is None:
            self.waiting += 1
        else:
            self.counts[step.outcome] += 1
        if step.outcome is UndoOutcome.EXACT and not step.kept:
            return
        if len(self.lines) < _NAMED:
            self.lines.append(step.text)
        else:
            self.left_out += 1

    @property
    def outcome(self) -> UndoOutcome | None:
        """What all of it came to; None while something waits for a person. Refused means that nothing went back."""
        if self.waiting or self.frozen:
            return None
        if self.counts[UndoOutcome.FAILED]:
            return UndoOutcome.FAILED
        stands = self.kept + self.counts[UndoOutcome.REFUSED]
        if stands and not self.gone:
            return UndoOutcome.REFUSED
        return UndoOutcome.COMPENSATED if stands or self.counts[UndoOutcome.COMPENSATED] else UndoOutcome.EXACT

    @property
    def gone(self) -> int:
        """How many stand in the world no longer."""
        return self.counts[UndoOutcome.EXACT] + self.counts[UndoOutcome.COMPENSATED]

    @property
    def complete(self) -> bool:
        """Whether everything went back."""
        return not (
            self.kept
            or self.waiting
            or self.frozen
            or self.counts[UndoOutcome.REFUSED]
            or self.counts[UndoOutcome.FAILED]
        )

    @property
    def total(self) -> int:
        """How many were to go back."""
        return self.kept + self.waiting + self.frozen + self.counts.total()

    def text(self, what: str) -> str:
        """For people and models; `what` was asked for is named by its id."""
        some = self.counts[UndoOutcome.COMPENSATED]
        parts = [f"{self.counts[UndoOutcome.EXACT]} exactly", *([f"{some} with residue"] if some else [])]
        total = f"{self.gone} of {self.total} ({', '.join(parts)})"
        lead = f"[takeback {what}] Undone: {total}, read back."
        others = [
            (self.counts[UndoOutcome.REFUSED], "refused and left as they are"),
            (self.counts[UndoOutcome.FAILED], "failed; a person is needed"),
            (self.kept, "kept, because something that rests on them still stands"),
            (self.frozen, "frozen until a person thaws it; then ask again"),
            (self.waiting, "waiting for a person's approval"),
            (self.unconditioned, "unconditioned: an edit by others in the same instant would not have been seen"),
        ]
        said = "".join(f" {count} {what}." for count, what in others if count)
        more = f"\n({self.left_out} more are not listed)" if self.left_out else ""
        return "\n".join([lead + said, *self.lines]) + more


async def unwind(services: Services, caller: Caller, unwinding: Unwinding, reason: str) -> UndoAnswer:
    """Take the actions back in order. Never because the caller has gone does it stop half-way in one of them."""
    report = Report()
    for action_id in unwinding.actions:
        report.add(await undo_one(services, caller, action_id, reason))
    outcome = report.outcome
    if unwinding.what.startswith(PLAN) and report.complete:
        await _plan_is_back(services, unwinding, reason)
    return UndoAnswer(
        report.text(unwinding.id),
        ok=report.complete,
        action=unwinding.id,
        outcome=outcome.value if outcome is not None else None,
    )


async def _plan_is_back(services: Services, unwinding: Unwinding, reason: str) -> None:
    """Everything that a plan did went back, and so did the plan."""
    action = await services.ledger.action(unwinding.tenant, unwinding.what.removeprefix(PLAN))
    if action.status not in {Status.SUCCEEDED, Status.FAILED, Status.NEEDS_OPERATOR}:
        return
    began = next_fact(services, action, Happening.COMPENSATE, detail=reason)
    ended = next_fact(services, began[1], Happening.RESTORE, detail=reason, outcome={"undo": unwinding.id})
    over = settled(services, action, EVERY_CAUSE, reason, by=unwinding.principal, decision=QueueDecision.COMPENSATE)
    await services.ledger.commit(Change(actions=(began, ended), settled=(over,), tenant=action.tenant))


def irreversible(actions: Sequence[Action]) -> list[Action]:
    """Those that nothing takes back, by the forecast that was made when they ran."""
    return [one for one in actions if (one.forecast or {}).get("outcome") == UndoOutcome.REFUSED.value]


def listing(services: Services, caller: Caller, actions: Sequence[Action]) -> list[str]:
    """For a preview: each action on a line, with what its undo is expected to come to and what must be approved."""
    lines = [_line(services, caller, action) for action in actions[:_NAMED]]
    return with_the_rest(lines, len(actions) - len(lines))


def _line(services: Services, caller: Caller, action: Action) -> str:
    outlook = (action.forecast or {}).get("text", "impossible")
    wanted = stands_in_the_way(services, caller, action)
    status = action.status.value if action.status is not Status.SUCCEEDED else ""
    notes = f" ({'; '.join(filter(None, (status, wanted)))})" if status or wanted else ""
    return f"- {action.id} {action.name} {targets_of(action.targets)}: {outlook}{notes}"
