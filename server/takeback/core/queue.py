"""The recovery queue: what needs a person's look, why, what may be decided about it, and what was.

An entry is about one action and one cause. It is open, being handled (somebody's decision is carried out right now), or
closed. What closes it is a decision with a reason, or the guard, when what it asks about has settled itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from takeback.core.jsontext import JSON
from takeback.core.vocabulary import Risk

LONGEST_COMMENT: Final = 4000
"""Characters of one comment, and of a reason."""


class Cause(StrEnum):
    """Why something is in the queue."""

    MISMATCH = "mismatch"  # the tool answered, and reading back shows something else
    PARTIAL = "partial"  # the tool reported an error, and the target is not as before
    IN_DOUBT = "in_doubt"  # looking could not decide whether it took effect
    LATE = "late"  # it took effect when its caller had gone
    RUN_CLOSED = "run_closed"  # it took effect when its run had been closed
    CONFLICT = "conflict"  # an undo found others' edits
    UNDO_FAILED = "undo_failed"  # an undo was begun and not brought to its end
    PLAN = "plan"  # a plan stopped, and not everything of it went back


class QueueState(StrEnum):
    """Where an entry stands. `handling`: somebody has claimed it, and their decision is being carried out."""

    OPEN = "open"
    HANDLING = "handling"
    CLOSED = "closed"


class QueueDecision(StrEnum):
    """What may be decided about an entry."""

    RESUME = "resume"
    COMPENSATE = "compensate"
    CLOSE = "close"
    TOOK_EFFECT = "took_effect"
    NO_EFFECT = "no_effect"


UNKNOWN_OUTCOME: Final = frozenset({Cause.IN_DOUBT})
"""Causes that are gone once the outcome of the action is known."""

EVERY_CAUSE: Final = frozenset(Cause)
"""Once an action is taken back, nothing of it is left to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryItem:
    """One thing that needs a look, with the way back that its policy had prepared (`suggestion`).

    `version` counts what happened to the entry; whoever saw another one is refused. `handler` claimed it to carry out
    `handling`; that holds for as long as a lease of the name `lease_name` is held, so that a crash gives it back.
    """

    id: str
    tenant: str
    run: str
    action: str
    risk: Risk
    why: str
    opened_at: datetime
    suggestion: JSON = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    decision: str | None = None
    reason: str | None = None
    cause: Cause = Cause.IN_DOUBT
    version: int = 1
    assignee: str | None = None
    handler: str | None = None
    handling: str | None = None

    @property
    def lease_name(self) -> str:
        """What whoever handles it holds a lease on."""
        return f"{self.tenant}/queue:{self.id}"

    def state(self, *, held: bool) -> QueueState:
        """Where it stands; `held`: somebody holds its lease."""
        if self.closed_at is not None:
            return QueueState.CLOSED
        return QueueState.HANDLING if self.handler is not None and held else QueueState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What somebody said of an entry. Appended, never changed."""

    id: str
    tenant: str
    item: str
    at: datetime
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What closes the open entries of an action with one of these causes, whoever opened them, in the same commit."""

    tenant: str
    action: str
    causes: frozenset[Cause]
    at: datetime
    by: str
    decision: QueueDecision
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A way out of an entry: what to decide, and for a compensation what would be called and under which terms.

    `arguments` are as stored, after redaction. `approval` says that the policy of today asks a person first. `text`
    is for people.
    """

    decision: QueueDecision
    text: str
    action: str
    tool: str | None = None
    arguments: JSON = None
    risk: Risk | None = None
    approval: bool = False

    def document(self) -> JSON:
        """For programs."""
        return {
            "decision": self.decision.value,
            "text": self.text,
            "action": self.action,
            "tool": self.tool,
            "arguments": self.arguments,
            "risk": self.risk.value if self.risk is not None else None,
            "approval": self.approval,
        }
