"""What one store tells the others of its commits: by NOTIFY, on PostgreSQL, inside the transaction that it tells of.

A notice names actions by id and nothing else: whoever hears it looks for himself. One that would be too long says
"any of them". Claims are left out, since nobody can wait for an action that he has not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from takeback.core.run import ApprovalStatus
from takeback.core.states import OCCUPYING
from takeback.core.vocabulary import Status
from takeback.ports import Change

LONGEST: Final = 7_000
"""Bytes of a notice. PostgreSQL takes fewer than 8,000."""

# The table's number tells apart the ledgers of one database, which have a channel each.
CHANNEL: Final = "SELECT 'takeback_' || CAST('actions' AS regclass)::oid"
_TELL: Final = text("SELECT pg_notify('takeback_' || CAST('actions' AS regclass)::oid, CAST(:payload AS text))")

_STIRRING, _ANY, _SWITCHED = "!", "*", "^"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class News:
    """Actions that moved on (None: any may have), and whether there may be something for a worker in it.

    `switched`: something was frozen or thawed.
    """

    actions: frozenset[str] | None = frozenset()
    stirring: bool = False
    switched: bool = False

    @classmethod
    def of(cls, changes: Iterable[Change]) -> News:
        """What these changes are to others."""
        known = list(changes)
        moved = {event.action for change in known for event, _ in change.actions if event.seq > 1}
        return cls(frozenset(moved), any(map(_stirs, known)))

    def __bool__(self) -> bool:
        return self.stirring or self.switched or self.actions is None or bool(self.actions)

    def payload(self) -> str:
        """As it travels: at most LONGEST bytes. Ids that are no plain words are not spelled out."""
        words = [word for word, said in ((_STIRRING, self.stirring), (_SWITCHED, self.switched)) if said]
        if self.actions is None or not all(map(_PLAIN.fullmatch, self.actions)):
            return " ".join([*words, _ANY])
        whole = " ".join([*words, *sorted(self.actions)])
        return whole if len(whole) <= LONGEST else " ".join([*words, _ANY])

    @classmethod
    def heard(cls, payload: str) -> News:
        """What a notice says. Whatever is on the channel is taken for ids: an id that there is not wakes nobody."""
        words = set(payload.split())
        ids = None if _ANY in words else frozenset(words - {_STIRRING, _SWITCHED})
        return cls(ids, _STIRRING in words, _SWITCHED in words)


SWITCHED: Final = News(stirring=True, switched=True)
"""The stop switch was used. What was frozen may go on after a thaw, which is something for a worker."""

EVERYTHING: Final = News(None, stirring=True, switched=True)
"""What has to be assumed after not having listened."""


def tell(connection: Connection, changes: Iterable[Change]) -> None:
    """Tell the other stores, once this transaction is committed; nobody, where the database cannot do it."""
    tell_of(connection, News.of(changes))


def tell_of(connection: Connection, news: News) -> None:
    """The same, of what is no change to an action."""
    if connection.dialect.name == "postgresql" and news:
        connection.execute(_TELL, {"payload": news.payload()})


def _stirs(change: Change) -> bool:
    """New in doubt, left under way without a lease, or decided by a person."""
    statuses = {action.status for _, action in change.actions}
    left = bool(change.release) and not statuses.isdisjoint(OCCUPYING)
    decided = any(approval.status is not ApprovalStatus.PENDING for approval in change.approvals)
    return left or decided or Status.IN_DOUBT in statuses
