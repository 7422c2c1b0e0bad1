"""The life of an action, as one table.

Rules of this file:

* `TABLE` holds every transition an action may make, with who makes it. There is no other.
* Live calls and recovery after a crash go through the same function, `next_status`.
* A transition that the table does not hold raises and changes nothing.
* `docs/states.md` is drawn from this table (`python -m takeback.core.states`).

`steno`'s saga log (one `next_status` for live recording and recovery) and `h11`'s state table gave the idea.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from takeback.core.vocabulary import Status


class Happening(StrEnum):
    """What can happen to an action; the kind of an event in the ledger."""

    PLAN = "plan"
    ASK = "ask"
    DENY = "deny"
    APPROVE = "approve"
    EXPIRE = "expire"
    CANCEL = "cancel"
    CLAIM = "claim"
    ATTEMPT = "attempt"
    SUCCEED = "succeed"
    FAIL = "fail"
    LOSE = "lose"
    GIVE_UP = "give_up"
    CONFIRM = "confirm"
    COMPENSATE = "compensate"
    RESTORE = "restore"
    SPARE = "spare"
    REDO = "redo"
    CLOSE = "close"
    NOTE = "note"


class Transition(NamedTuple):
    """One row of the table: from `source`, when `happening`, to `target`; `by` says who does it and when."""

    source: Status | None
    happening: Happening
    target: Status
    by: str


class IllegalTransition(Exception):
    """The table has no such transition. Nothing was changed."""

    def __init__(self, status: Status | None, happening: Happening) -> None:
        self.status, self.happening = status, happening
        here = "an action that does not exist" if status is None else f"an action that is {status.value}"
        super().__init__(f"{happening.value!r} cannot happen to {here}")


_S, _H = Status, Happening

TABLE: Final[tuple[Transition, ...]] = (
    Transition(None, _H.PLAN, _S.PLANNED, "a plan that was accepted"),
    Transition(None, _H.ASK, _S.AWAITING_APPROVAL, "the guard, when the decision asks for a person"),
    Transition(None, _H.DENY, _S.DENIED, "the policy"),
    Transition(None, _H.CLAIM, _S.RUNNING, "the guard, with key and before-image, before the first byte"),
    Transition(_S.PLANNED, _H.ASK, _S.AWAITING_APPROVAL, "the guard, when the step's turn comes"),
    Transition(_S.PLANNED, _H.CLAIM, _S.RUNNING, "the guard, when the step's turn comes"),
    Transition(_S.PLANNED, _H.DENY, _S.DENIED, "the policy, when the step's turn comes"),
    Transition(_S.PLANNED, _H.CANCEL, _S.CANCELLED, "whoever cancels the plan"),
    Transition(_S.AWAITING_APPROVAL, _H.APPROVE, _S.APPROVED, "a person"),
    Transition(_S.AWAITING_APPROVAL, _H.DENY, _S.DENIED, "a person"),
    Transition(_S.AWAITING_APPROVAL, _H.EXPIRE, _S.DENIED, "the clock"),
    Transition(_S.AWAITING_APPROVAL, _H.CANCEL, _S.CANCELLED, "the caller, or what was shown no longer holds"),
    Transition(_S.APPROVED, _H.CLAIM, _S.RUNNING, "the guard; the approval is consumed"),
    Transition(_S.APPROVED, _H.EXPIRE, _S.DENIED, "the clock"),
    Transition(_S.APPROVED, _H.DENY, _S.DENIED, "a person who takes the approval back, or today's policy"),
    Transition(_S.APPROVED, _H.CANCEL, _S.CANCELLED, "the caller, or what was shown no longer holds"),
    Transition(_S.RUNNING, _H.ATTEMPT, _S.RUNNING, "the guard that tries again under the same key"),
    Transition(_S.RUNNING, _H.SUCCEED, _S.SUCCEEDED, "the guard that read the effect"),
    Transition(_S.RUNNING, _H.FAIL, _S.FAILED, "the guard that had a definite answer or read a mismatch"),
    Transition(_S.RUNNING, _H.LOSE, _S.IN_DOUBT, "the guard that lost the reply, or any guard after the lease"),
    Transition(_S.RUNNING, _H.CANCEL, _S.CANCELLED, "the guard, where provably nothing was sent"),
    Transition(_S.IN_DOUBT, _H.ATTEMPT, _S.RUNNING, "settling: same key, or the target is provably unchanged"),
    Transition(_S.IN_DOUBT, _H.SUCCEED, _S.SUCCEEDED, "settling: the effect was found"),
    Transition(_S.IN_DOUBT, _H.FAIL, _S.FAILED, "settling: there provably was no effect"),
    Transition(_S.IN_DOUBT, _H.GIVE_UP, _S.NEEDS_OPERATOR, "settling: looking did not decide it"),
    Transition(_S.FAILED, _H.CLAIM, _S.RUNNING, "the guard, on the agent's retry of an action without effect"),
    Transition(_S.FAILED, _H.ASK, _S.AWAITING_APPROVAL, "the guard, on a retry that needs a new approval"),
    Transition(_S.FAILED, _H.COMPENSATE, _S.COMPENSATING, "an undo of a partial or unverified effect"),
    Transition(_S.FAILED, _H.CONFIRM, _S.SUCCEEDED, "a person, or a later read that shows what was expected"),
    Transition(_S.SUCCEEDED, _H.CONFIRM, _S.SUCCEEDED, "a person who confirms the result, or a later read"),
    Transition(_S.SUCCEEDED, _H.COMPENSATE, _S.COMPENSATING, "an undo that begins"),
    Transition(_S.COMPENSATING, _H.RESTORE, _S.COMPENSATED, "the guard that read the restored state"),
    Transition(_S.COMPENSATING, _H.SPARE, _S.SUCCEEDED, "an undo that was refused, denied or had no effect"),
    Transition(_S.COMPENSATING, _H.GIVE_UP, _S.NEEDS_OPERATOR, "an undo that failed or cannot be settled"),
    Transition(_S.COMPENSATED, _H.REDO, _S.SUCCEEDED, "a redo that was read back"),
    Transition(_S.NEEDS_OPERATOR, _H.SUCCEED, _S.SUCCEEDED, "a person who looked, or a probe that found it"),
    Transition(_S.NEEDS_OPERATOR, _H.FAIL, _S.FAILED, "a person who looked"),
    Transition(_S.NEEDS_OPERATOR, _H.ATTEMPT, _S.RUNNING, "a person who resumes it"),
    Transition(_S.NEEDS_OPERATOR, _H.COMPENSATE, _S.COMPENSATING, "a person who takes it back"),
    Transition(_S.NEEDS_OPERATOR, _H.CLOSE, _S.CANCELLED, "a person who closes it, with a reason"),
)

_NEXT: Final = {(row.source, row.happening): row.target for row in TABLE}

UNSETTLED: Final = frozenset(
    {_S.AWAITING_APPROVAL, _S.APPROVED, _S.RUNNING, _S.IN_DOUBT, _S.COMPENSATING, _S.NEEDS_OPERATOR}
)
"""An equal call joins an action in one of these."""

OCCUPYING: Final = frozenset({_S.RUNNING, _S.IN_DOUBT, _S.COMPENSATING})
"""An action in one of these keeps other writes off its targets."""

VOID: Final = frozenset({_S.DENIED, _S.CANCELLED})
"""Nothing was ever sent; the action does not count as an earlier one."""


def next_status(status: Status | None, happening: Happening) -> Status:
    """Where `happening` leads from `status` (None: the action does not exist yet).

    A note (a remark, an answer taken, a label found) never moves an action that exists.

    Raises:
        IllegalTransition: the table has no such row.
    """
    if happening is Happening.NOTE and status is not None:
        return status
    try:
        return _NEXT[status, happening]
    except KeyError:
        raise IllegalTransition(status, happening) from None


def diagram() -> str:
    """The table as a Mermaid state diagram, followed by the table itself in Markdown."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for row in TABLE:
        source = "[*]" if row.source is None else row.source.value
        lines.append(f"    {source} --> {row.target.value}: {row.happening.value}")
    lines += [f"    {status.value} --> [*]" for status in sorted(VOID)]
    lines += ["```", "", "| from | what happens | to | who |", "|---|---|---|---|"]
    for row in TABLE:
        source = "(nothing)" if row.source is None else f"`{row.source.value}`"
        lines.append(f"| {source} | `{row.happening.value}` | `{row.target.value}` | {row.by} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(diagram(), end="")
