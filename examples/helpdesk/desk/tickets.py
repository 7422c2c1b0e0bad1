"""Tickets and the comments on them."""

import sqlite3
from typing import NotRequired, TypedDict, Unpack

from desk import records
from desk.clock import in_utc, now
from desk.contacts import of_tenant
from desk.errors import Invalid
from desk.records import Kind, Record
from desk.store import transaction

TICKET = Kind("ticket", "tickets", "ticket_id", "T", frozenset({"tags"}))
COMMENT = Kind("comment", "comments", "comment_id", "CM")


class NewTicket(TypedDict):
    """What a new ticket may say; `ticket_id` and `created_at` bring back a deleted one as it was."""

    tenant: str
    subject: str
    priority: NotRequired[str]
    status: NotRequired[str]
    assignee: NotRequired[str | None]
    tags: NotRequired[list[str]]
    contact_id: NotRequired[str | None]
    ticket_id: NotRequired[str]
    created_at: NotRequired[str]


class TicketChanges(TypedDict, total=False):
    """The fields that may be changed; the absent ones stay."""

    subject: str
    priority: str
    status: str
    assignee: str | None
    tags: list[str]


class TicketFilter(TypedDict, total=False):
    """What to search by; the absent ones do not matter."""

    tenant: str
    status: str
    priority: str
    assignee: str
    contact_id: str


class NewComment(TypedDict):
    """What a new comment says; `comment_id` and `created_at` bring back a deleted one as it was."""

    body: str
    author: NotRequired[str]
    comment_id: NotRequired[str]
    created_at: NotRequired[str]


def get_ticket(db: sqlite3.Connection, ticket_id: str) -> Record:
    """One ticket."""
    return records.get(db, TICKET, ticket_id)


def search_tickets(
    db: sqlite3.Connection,
    *,
    text: str = "",
    tag: str | None = None,
    limit: int = 20,
    **equal: Unpack[TicketFilter],
) -> Record:
    """Tickets by their fields, by a word in the subject, by a tag."""
    found = [
        ticket
        for ticket in records.select(db, TICKET, **equal)
        if text.casefold() in ticket["subject"].casefold() and (tag is None or tag in ticket["tags"])
    ]
    return {"tickets": found[:limit], "total": len(found)}


def create_ticket(db: sqlite3.Connection, **fields: Unpack[NewTicket]) -> Record:
    """Open a ticket."""
    moment = now()
    ticket = {"priority": "normal", "status": "open", "assignee": None, "tags": [], **fields}
    ticket |= _normal_subject(fields["subject"])
    ticket |= {"created_at": in_utc(fields.get("created_at", moment)), "updated_at": moment}
    with transaction(db):
        if contact_id := fields.get("contact_id"):
            of_tenant(db, contact_id, fields["tenant"])
        return records.insert(db, TICKET, ticket)


def update_ticket(
    db: sqlite3.Connection,
    ticket_id: str,
    *,
    expected_version: int | None = None,
    **changes: Unpack[TicketChanges],
) -> Record:
    """Change the given fields of a ticket."""
    normal: dict[str, object] = {**changes}
    if "subject" in changes:
        normal |= _normal_subject(changes["subject"])
    return records.update(db, TICKET, ticket_id, normal, expected_version)


def delete_ticket(db: sqlite3.Connection, ticket_id: str, expected_version: int | None = None) -> Record:
    """Remove a ticket with its comments and drafts; mail that was sent stays in the outbox."""
    return records.delete(db, TICKET, ticket_id, expected_version)


def list_comments(db: sqlite3.Connection, ticket_id: str) -> Record:
    """The comments on a ticket, oldest first."""
    get_ticket(db, ticket_id)
    return {"ticket_id": ticket_id, "comments": records.select(db, COMMENT, ticket_id=ticket_id)}


def get_comment(db: sqlite3.Connection, comment_id: str) -> Record:
    """One comment."""
    return records.get(db, COMMENT, comment_id)


def add_comment(db: sqlite3.Connection, ticket_id: str, **fields: Unpack[NewComment]) -> Record:
    """Comment on a ticket."""
    with transaction(db):
        ticket = get_ticket(db, ticket_id)
        comment = {
            "author": "agent",
            **fields,
            "ticket_id": ticket_id,
            "tenant": ticket["tenant"],
            "created_at": in_utc(fields.get("created_at", now())),
        }
        _touch(db, ticket_id)
        return records.insert(db, COMMENT, comment)


def delete_comment(db: sqlite3.Connection, comment_id: str) -> Record:
    """Remove a comment."""
    with transaction(db):
        _touch(db, get_comment(db, comment_id)["ticket_id"])
        return records.delete(db, COMMENT, comment_id)


def _touch(db: sqlite3.Connection, ticket_id: str) -> None:
    # Not the version: a comment must not spoil a conditional write to the ticket's own fields.
    db.execute("UPDATE tickets SET updated_at = ? WHERE ticket_id = ?", (now(), ticket_id))


def _normal_subject(subject: str) -> dict[str, str]:
    if not subject.strip():
        raise Invalid("the subject is empty")
    return {"subject": subject.strip()}
