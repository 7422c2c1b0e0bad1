"""What takes several steps at once."""

import sqlite3

from desk.callbacks import book_callback
from desk.errors import Conflict
from desk.records import Record
from desk.store import transaction
from desk.tickets import add_comment, get_ticket, update_ticket


def escalate_ticket(db: sqlite3.Connection, ticket_id: str, reason: str, callback_at: str) -> Record:
    """Make a ticket urgent, note why, and book a call back to its contact: all of it or nothing."""
    with transaction(db):
        contact_id = get_ticket(db, ticket_id)["contact_id"]
        if contact_id is None:
            raise Conflict(f"ticket {ticket_id} has no contact to call back")
        update_ticket(db, ticket_id, priority="urgent")
        comment = add_comment(db, ticket_id, body=f"Escalated: {reason}")
        appointment = book_callback(db, contact_id, callback_at, ticket_id, reason)
        return {"ticket": get_ticket(db, ticket_id), "comment": comment, "appointment": appointment}
