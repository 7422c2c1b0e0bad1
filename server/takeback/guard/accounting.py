"""The account of a run: what exactly was changed, what can be taken back, and what is proven to have gone back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from takeback.core.action import Action
from takeback.core.images import differences
from takeback.core.jsontext import JSON
from takeback.core.pausing import worries
from takeback.core.queue import RecoveryItem
from takeback.core.run_state import RunState
from takeback.core.states import UNSETTLED, VOID
from takeback.core.tracing import TraceLinks
from takeback.core.vocabulary import COMPENSATIONS, Status, UndoOutcome, Verified
from takeback.core.wording import changes, targets_of
from takeback.guard.history import every
from takeback.guard.judging import image_or_none
from takeback.guard.pausing import states
from takeback.guard.services import Services

MOST: Final = 2000
"""Actions that an account looks at; what a run did beyond them is said to be left out."""

_NAMED: Final = 20
_PROOF: Final = {
    Verified.YES: "read back",
    Verified.MISMATCH: "read back, NOT as expected",
    Verified.IMPOSSIBLE: "not read back",
    Verified.NOT_YET: "not read back yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The three answers, each as lines made from the ledger alone, with the counts that they sum up."""

    state: RunState
    traces: TraceLinks
    changed: tuple[str, ...] = ()
    undoable: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    left_out: bool = False

    def document(self) -> JSON:
        """As JSON."""
        return {
            "run": self.state.run.id,
            "status": self.state.status.value,
            "paused_by": [one.action for one in self.state.paused_by],
            "request": self.state.run.request,
            **self.traces.beside(self.state.run.trace),
            "changed": list(self.changed),
            "can_be_undone": list(self.undoable),
            "proven": list(self.proven),
            "open": list(self.open),
            "counts": dict(self.counts),
            "left_out": self.left_out,
        }

    def text(self) -> str:
        """For people and models."""
        parts = [
            ("What exactly was changed?", self.changed, "Nothing that stands."),
            ("Can it be undone?", self.undoable, "There is nothing to undo."),
            ("Is it proven that what was taken back is back?", self.proven, "Nothing was taken back."),
            ("What is open?", self.open, "Nothing."),
        ]
        lines = [f"Run {self.state.run.id} of {self.state.run.principal}, {self.state.status.value}."]
        if self.state.paused_by:
            lines.append(f"Its writes wait: {worries(self.state.paused_by)}.")
        if self.state.run.trace:
            lines.append(f"Trace: {self.traces.line(self.state.run.trace)}.")
        for question, answers, none in parts:
            lines += [question, *(f"- {answer}" for answer in answers or (none,))]
        return "\n".join([*lines, *([f"(only the newest {MOST} actions were looked at)"] if self.left_out else [])])


async def account(services: Services, tenant: str, run_id: str) -> Account:
    """The account of one run. Raises NotFound."""
    [state] = await states(services, (await services.ledger.run(tenant, run_id),))
    actions, left_out = await actions_of(services, tenant, run_id)
    writes = [one for one in actions if not one.is_plan]
    standing = [one for one in writes if one.in_force and one.origin not in COMPENSATIONS]
    queue = await services.ledger.queue(tenant, run=run_id)
    return Account(
        state=state,
        traces=services.policy.traces,
        changed=tuple([await _changed(services, one) for one in standing]),
        undoable=tuple(_undoable(standing)),
        proven=tuple(_proven(one) for one in writes if one.status is Status.COMPENSATED),
        open=(*(_open(one) for one in actions if one.status in UNSETTLED), *map(_queued, queue)),
        counts=_counts(actions, standing),
        left_out=left_out,
    )


async def actions_of(services: Services, tenant: str, run_id: str) -> tuple[list[Action], bool]:
    """The run's actions, oldest first, within a bound."""
    found: list[Action] = []
    async for action in every(services, tenant, run_id):
        if len(found) == MOST:
            return found[::-1], True
        found.append(action)
    return found[::-1], False


async def _changed(services: Services, action: Action) -> str:
    before, after = await image_or_none(services, action.before), await image_or_none(services, action.after)
    what = f"{action.does.value}"
    if before is not None and after is not None and before.readable and after.readable:
        found = [one for one in differences(before, after) if one.field in action.changed]
        what = changes(found) if found else what
    return f"{action.id} {action.name} {targets_of(action.targets)}: {what} ({_PROOF[action.verified]})"


def _undoable(standing: Sequence[Action]) -> list[str]:
    """By what the forecast says, which was made when the action ran."""
    by_outlook: dict[str, list[str]] = {}
    for one in standing:
        by_outlook.setdefault(str((one.forecast or {}).get("text", "impossible")), []).append(one.id)
    return [f"{outlook}: {', '.join(ids[:_NAMED])}{_more(ids)}" for outlook, ids in by_outlook.items()]


def _more(ids: Sequence[str]) -> str:
    return f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""


def _proven(action: Action) -> str:
    outcome = action.outcome or {}
    how = f" by {action.compensated_by}" if action.compensated_by else ""
    word = {
        UndoOutcome.EXACT.value: "exactly as before, read back",
        UndoOutcome.COMPENSATED.value: "corrected, not exactly as before",
    }.get(str(outcome.get("outcome")), "taken back, but not proven")
    return f"{action.id} {action.name} {targets_of(action.targets)}: {word}{how} ({outcome.get('text', 'no record')})"


def _open(action: Action) -> str:
    return f"{action.id} {action.name} {targets_of(action.targets)}: {action.status.value}"


def _queued(item: RecoveryItem) -> str:
    return f"{item.id} in the recovery queue, about {item.action}: {item.why}"


def _counts(actions: Sequence[Action], standing: Sequence[Action]) -> dict[str, int]:
    void = [one for one in actions if one.status in VOID or (one.status is Status.FAILED and not one.in_force)]
    return {
        "actions": len(actions),
        "standing": len(standing),
        "taken_back": sum(one.status is Status.COMPENSATED for one in actions),
        "without_effect": len(void),
        "unsettled": sum(one.status in UNSETTLED for one in actions),
    }
