"""Logical operations, generations, idempotency keys, and what an earlier action means for a new call.

A retry is replayed and a repetition is not swallowed: the table of `judge` is total over what the ledger can say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, assert_never

from takeback.core.action import Action, Target
from takeback.core.canonical import digest
from takeback.core.jsontext import JSON
from takeback.core.states import VOID
from takeback.core.vocabulary import COMPENSATIONS, Effect, Origin, Status

KEY_VERSION: Final = 1


def without_volatile(arguments: JSON, volatile: tuple[str, ...]) -> JSON:
    """The arguments without those that a rule calls volatile (top-level names)."""
    return {name: value for name, value in arguments.items() if name not in volatile}


def logical_operation(*, tenant: str, run: str, tool: str, targets: tuple[Target, ...], operation: JSON) -> str:
    """The digest that names a logical operation; `operation` is the rule's expression or the canonical arguments."""
    named = sorted([target.name, target.type, target.id] for target in targets)
    return digest([tenant, run, tool, named, operation])


def idempotency_key(operation: str, generation: int) -> str:
    """The key of one generation of a logical operation: SHA-256, in hexadecimal, over key version and both."""
    return digest([KEY_VERSION, operation, generation])


def client_operation(*, tenant: str, principal: str, client_key: str) -> str:
    """The logical operation of a call that carries the client's own key: it replaces all of the above."""
    return digest(["client", tenant, principal, client_key])


def step_operation(*, tenant: str, plan: str, step: str) -> str:
    """The logical operation of a plan's step: whoever goes on with the plan, and however often, means the same one."""
    return digest(["plan", tenant, plan, step])


def fingerprint(*, tool: str, arguments: JSON, principal: str) -> str:
    """What a client's key is bound to, so that other arguments under the same key are noticed."""
    return digest([tool, arguments, principal])


@dataclass(frozen=True, slots=True)
class Go:
    """Run it: as a new generation, or as a new attempt of `attempt_of`."""

    generation: int
    attempt_of: Action | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """The same call is under way: share its outcome."""

    action: Action


@dataclass(frozen=True, slots=True)
class Replay:
    """It was done: answer with the recorded result."""

    action: Action


@dataclass(frozen=True, slots=True)
class Compare:
    """It was done, and sets a state: read the target, then `judge_current` decides."""

    action: Action


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not executed. `why` is one of the reasons below; wording belongs to the messages."""

    action: Action
    why: Literal["mismatch", "undone_by_other", "expired", "other_arguments", "changed_meanwhile", "occupied"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What stays of an action whose retention is over: enough to know it again, and nothing of what it did.

    `ended_at` is when it last changed, `pruned_at` when it was removed, `events` how many events it had.
    """

    tenant: str
    action: str
    run: str
    operation: str
    generation: int
    key: str
    status: Status
    ended_at: datetime
    pruned_at: datetime
    events: int
    principal: str
    client_key: str | None = None


@dataclass(frozen=True, slots=True)
class Expired:
    """It is older than its retention: not executed, since nothing tells any more how it stands."""

    tombstone: Tombstone


Verdict = Go | Join | Replay | Compare | Refuse | Expired


def judge(
    earlier: Action | None,
    *,
    newest_generation: int,
    later: tuple[Action, ...] = (),
    own_principals: frozenset[str] = frozenset(),
    undone_by: str | None = None,
    tombstone: Tombstone | None = None,
) -> Verdict:
    """What an equal call gets, whatever the ledger says of the newest action with its operation.

    `earlier` is the newest action of the logical operation that is not void. `later` are actions of the same run begun
    after it, in force, on one of its targets. `undone_by` is who took `earlier` back, where it was compensated;
    `own_principals` are those whose undo counts as the agent's own wish. `tombstone` is what stays of an action of the
    operation, not a void one, whose retention is over; an action that is still there is always newer.
    """
    if earlier is None:
        return Go(newest_generation + 1) if tombstone is None else Expired(tombstone)
    match earlier.status:
        case (
            Status.PLANNED
            | Status.AWAITING_APPROVAL
            | Status.APPROVED
            | Status.RUNNING
            | Status.IN_DOUBT
            | Status.COMPENSATING
            | Status.NEEDS_OPERATOR
        ):
            return Join(earlier)
        case Status.FAILED:
            return Refuse(earlier, "mismatch") if earlier.in_force else Go(earlier.generation, attempt_of=earlier)
        case Status.COMPENSATED:
            return _after_compensation(earlier, newest_generation, own_principals, undone_by)
        case Status.SUCCEEDED:
            return _in_force(earlier, newest_generation, later)
        case Status.DENIED | Status.CANCELLED:
            return Go(newest_generation + 1)
        case _:
            assert_never(earlier.status)


def _after_compensation(earlier: Action, newest_generation: int, own: frozenset[str], undone_by: str | None) -> Verdict:
    if undone_by is not None and undone_by in own:
        return Go(newest_generation + 1)
    return Refuse(earlier, "undone_by_other")


def _in_force(earlier: Action, newest_generation: int, later: tuple[Action, ...]) -> Verdict:
    if earlier.effect is Effect.ONCE:
        return Replay(earlier)
    if any(overlaps(action, earlier) for action in later):
        return Go(newest_generation + 1)
    return Compare(earlier)


def overlaps(action: Action, earlier: Action) -> bool:
    """Whether `action` wrote one of the fields that `earlier` wrote, on one of its targets.

    An action that names no fields (a delete, say) is taken to have written them all.
    """
    if action.status in VOID or not action.in_force or action.id == earlier.id:
        return False
    if action.origin in COMPENSATIONS:
        return False  # it brought back a state that another action made: the target tells whether that is this one's
    mine = {target.lease_name for target in earlier.targets}
    if mine.isdisjoint(target.lease_name for target in action.targets):
        return False
    return not action.fields or not earlier.fields or not set(action.fields).isdisjoint(earlier.fields)


def judge_current(earlier: Action, *, as_left: bool) -> Replay | Refuse:
    """For a `set` in force: replayed while the target is still as it was left, otherwise changed by others."""
    return Replay(earlier) if as_left else Refuse(earlier, "changed_meanwhile")


def judge_client_key(known: Action, print_now: str) -> Refuse | None:
    """Other arguments under the same client's key are an error; equal ones go on to `judge`."""
    return Refuse(known, "other_arguments") if known.fingerprint != print_now else None


def is_own_undo(undo: Action) -> bool:
    """Whether an action is an undo (not a redo, not a plain write)."""
    return undo.origin is Origin.UNDO
