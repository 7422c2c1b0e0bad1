"""A run groups the actions of one agent at one piece of work; an approval belongs to an action."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from takeback.core.jsontext import JSON
from takeback.core.vocabulary import RunStatus

IDLE: Final = timedelta(minutes=30)
"""After so long without a call a run that nobody named closes, and the next call opens another."""

CLOSED: Final = frozenset({RunStatus.FINISHED, RunStatus.ABANDONED})
"""A run whose row says one of these takes no writes any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Who works, for whom, and where the work stands. `request` is the user's own words where the client gave them.

    `status` is open until somebody closes the run for good; `run_state.state_of` says where an open one stands.
    `owner` is the guard whose connection it was opened for, and `ended_at` when that connection ended in good order;
    `predecessor` is the run of a connection of the same client that had broken off before.
    """

    id: str
    tenant: str
    principal: str
    opened_at: datetime
    active_at: datetime
    status: RunStatus = RunStatus.OPEN
    client: str = ""
    request: str | None = None
    trace: str | None = None
    predecessor: str | None = None
    reason: str | None = None
    owner: str | None = None
    ended_at: datetime | None = None


class ApprovalStatus(StrEnum):
    """Where an approval stands. `consumed`: the send it was given for has been claimed."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    VOID = "void"
    CONSUMED = "consumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A question put to a person about one action, bound by `digest` to exactly what `preview` shows."""

    id: str
    tenant: str
    run: str
    action: str
    digest: str
    preview: JSON
    requested_at: datetime
    expires_at: datetime
    status: ApprovalStatus = ApprovalStatus.PENDING
    decided_at: datetime | None = None
    decided_by: str | None = None
    how: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwinding:
    """An undo of several actions, in the words in which it was asked for and with the actions that they meant then.

    "The last two" are resolved once: asked again, the same two are meant. `actions` are in the order in which they are
    taken back. `confirm` is what the preview was confirmed by.
    """

    id: str
    tenant: str
    run: str
    principal: str
    what: str
    reason: str
    actions: tuple[str, ...]
    opened_at: datetime
    confirm: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A safe pause in a run: what was done and verified by then, and how to go on."""

    id: str
    tenant: str
    run: str
    name: str
    at: datetime
    action: str | None = None
    body: JSON = field(default_factory=dict)
