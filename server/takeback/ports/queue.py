"""The part of the ledger's port that is about the recovery queue: what to look for, and what is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from takeback.core.action import Action
from takeback.core.queue import Comment, QueueState, RecoveryItem
from takeback.core.vocabulary import Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueQuery:
    """Which entries to list, the longest waiting first.

    `text` is searched in tools, targets and their labels, in why an entry is there, and in comments. `assignee` is a
    person, or "" for nobody. `before` and `after` bound when it was opened. `cursor` is what the page before returned.
    """

    tenant: str
    text: str | None = None
    run: str | None = None
    action: str | None = None
    risk: Risk | None = None
    assignee: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    open_only: bool = True
    limit: int = 20
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """An entry with what it is about. `request` are the user's words in its run; `held`: somebody is at it.

    `trace` is its run's. `action` is None only where retention took it.
    """

    item: RecoveryItem
    action: Action | None = None
    request: str | None = None
    trace: str | None = None
    held: bool = False

    @property
    def traced(self) -> str | None:
        """The trace in which it came to this: its action's own, else its run's."""
        return (self.action.trace if self.action is not None else None) or self.trace

    @property
    def state(self) -> QueueState:
        """Where it stands."""
        return self.item.state(held=self.held)


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Some entries, and where the next page begins (None: there is none)."""

    entries: tuple[QueueEntry, ...]
    cursor: str | None = None


class QueueLedger(Protocol):
    """What is read of the recovery queue. It is written by `Ledger.commit`."""

    async def queue(self, tenant: str, *, run: str | None = None, open_only: bool = True) -> Sequence[RecoveryItem]:
        """Recovery items (of one run, where it is named), oldest first."""

    async def entries(self, query: QueueQuery, now: datetime) -> QueuePage:
        """A page of entries. Raises LedgerFailure for a cursor that is none, or a text that is too long."""

    async def entry(self, tenant: str, item_id: str, now: datetime) -> QueueEntry:
        """One entry. Raises NotFound."""

    async def items_of(self, tenant: str, action_id: str, *, open_only: bool = True) -> Sequence[RecoveryItem]:
        """The items of one action, oldest first."""

    async def comments(self, tenant: str, item_id: str) -> Sequence[Comment]:
        """What was said of an entry, oldest first."""
