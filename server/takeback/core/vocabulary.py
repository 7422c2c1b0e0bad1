"""The words in which the core speaks: closed sets of terms, each explained in docs/glossary.md."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal


class ActionClass(StrEnum):
    """How hard the way back is."""

    READ_ONLY = "read_only"
    DRAFT = "draft"
    INTERNAL_UPDATE = "internal_update"
    EXTERNAL_REVERSIBLE = "external_reversible"
    EXTERNAL_IRREVERSIBLE = "external_irreversible"
    WORKFLOW = "workflow"


class Effect(StrEnum):
    """How a call behaves when it comes twice: `set` names the state it wants, `once` adds to what is there."""

    SET = "set"
    ONCE = "once"


class Does(StrEnum):
    """What a write does to its target."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SEND = "send"


class Risk(StrEnum):
    """Who must agree. Ordered by `rank`."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for low, 1 for medium, 2 for high."""
        return ("low", "medium", "high").index(self.value)


PauseFrom = Literal["low", "medium", "high", "never"]
"""The least risk of an action that pauses its run."""


class Status(StrEnum):
    """Where an action stands. Each comment says who moves an action in and out, also after a crash."""

    PLANNED = "planned"  # in: a plan; out: the guard when its group's turn comes
    AWAITING_APPROVAL = "awaiting_approval"  # in: the guard; out: a person, the clock (expiry), the caller (cancel)
    APPROVED = "approved"  # in: a person; out: the guard at the first send, or when what was shown has changed
    RUNNING = "running"  # in: the guard's claim; out: the same guard, or any guard once the lease has expired
    SUCCEEDED = "succeeded"  # in: the guard that read the effect; out: a compensation that begins
    FAILED = "failed"  # in: the guard; out: a new attempt when there was no effect, else a compensation
    COMPENSATING = "compensating"  # in: the guard that runs the compensation; out: the same, or recovery
    COMPENSATED = "compensated"  # in: the guard that read the restored state; out: a redo
    IN_DOUBT = "in_doubt"  # in: the guard that lost the reply, or recovery; out: whoever looked
    NEEDS_OPERATOR = "needs_operator"  # in: the guard that could not settle; out: a person
    DENIED = "denied"  # in: policy, person or expiry; final
    CANCELLED = "cancelled"  # in: the caller before anything was sent; final


class Verified(StrEnum):
    """What reading back showed."""

    NOT_YET = "not_yet"
    YES = "yes"
    MISMATCH = "mismatch"
    IMPOSSIBLE = "impossible"


class Origin(StrEnum):
    """Why an action exists. `plan`: it is a step of a plan."""

    AGENT = "agent"
    PLAN = "plan"
    REPEAT = "repeat"
    UNDO = "undo"
    REDO = "redo"


COMPENSATIONS: Final = frozenset({Origin.UNDO, Origin.REDO})
"""What brings a state back: not a change of the agent's own."""


class UndoOutcome(StrEnum):
    """What an undo came to, and what the forecast says it will come to."""

    EXACT = "exact"
    COMPENSATED = "compensated"
    REFUSED = "refused"
    FAILED = "failed"


class RunStatus(StrEnum):
    """Where a run stands."""

    OPEN = "open"
    PAUSED = "paused"
    FINISHED = "finished"
    ABANDONED = "abandoned"
    RECOVERING = "recovering"


class RetryLayer(StrEnum):
    """Whose turn it is after an error (the four layers never mix)."""

    MODEL = "model"
    TOOL = "tool"
    WORKFLOW = "workflow"
    HUMAN = "human"
