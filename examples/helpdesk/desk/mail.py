"""Drafts of replies, and the outbox of what was sent."""

import sqlite3

from desk import records
from desk.clock import now
from desk.contacts import get_contact
from desk.errors import Conflict
from desk.records import Kind, Record
from desk.store import transaction
from desk.tickets import get_ticket

DRAFT = Kind("draft", "drafts", "draft_id", "DR")
MAIL = Kind("mail", "outbox", "mail_id", "ML")


def get_draft(db: sqlite3.Connection, draft_id: str) -> Record:
    """One draft."""
    return records.get(db, DRAFT, draft_id)


def create_draft(db: sqlite3.Connection, ticket_id: str, body: str, draft_id: str | None = None) -> Record:
    """Draft a reply to a ticket; an explicit id brings back a deleted draft."""
    moment = now()
    with transaction(db):
        draft = {
            "draft_id": draft_id,
            "tenant": get_ticket(db, ticket_id)["tenant"],
            "ticket_id": ticket_id,
            "body": body,
            "created_at": moment,
            "updated_at": moment,
        }
        return records.insert(db, DRAFT, draft)


def update_draft(db: sqlite3.Connection, draft_id: str, body: str, expected_version: int | None = None) -> Record:
    """Replace the text of a draft."""
    return records.update(db, DRAFT, draft_id, {"body": body}, expected_version)


def delete_draft(db: sqlite3.Connection, draft_id: str, expected_version: int | None = None) -> Record:
    """Throw a draft away."""
    return records.delete(db, DRAFT, draft_id, expected_version)


def send_reply(db: sqlite3.Connection, ticket_id: str, body: str) -> Record:
    """Mail the ticket's contact. Each call is a mail of its own, equal texts or not."""
    with transaction(db):
        ticket = get_ticket(db, ticket_id)
        mail = {
            "tenant": ticket["tenant"],
            "ticket_id": ticket_id,
            "recipient": _address(db, ticket),
            "subject": f"Re: {ticket['subject']}",
            "body": body,
            "sent_at": now(),
        }
        return records.insert(db, MAIL, mail)


def list_outbox(
    db: sqlite3.Connection, ticket_id: str | None = None, tenant: str | None = None, limit: int = 100
) -> Record:
    """Mail that was sent, newest first."""
    found = records.select(db, MAIL, ticket_id=ticket_id, tenant=tenant)
    return {"mails": found[::-1][:limit], "total": len(found)}


def _address(db: sqlite3.Connection, ticket: Record) -> str:
    if ticket["contact_id"] is None:
        raise Conflict(f"ticket {ticket['ticket_id']} has no contact to reply to")
    return str(get_contact(db, ticket["contact_id"])["email"])
