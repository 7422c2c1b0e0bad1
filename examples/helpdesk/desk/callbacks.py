"""Callback appointments with contacts."""

import sqlite3
from typing import TypedDict, Unpack

from desk import records
from desk.clock import in_utc, now
from desk.contacts import get_contact
from desk.errors import Invalid
from desk.records import Kind, Record
from desk.store import transaction
from desk.tickets import get_ticket

APPOINTMENT = Kind("appointment", "appointments", "appointment_id", "A")


def get_appointment(db: sqlite3.Connection, appointment_id: str) -> Record:
    """One appointment, cancelled ones included."""
    return records.get(db, APPOINTMENT, appointment_id)


class AppointmentFilter(TypedDict, total=False):
    """What to list by; the absent ones do not matter."""

    tenant: str
    contact_id: str
    ticket_id: str
    status: str


def list_appointments(db: sqlite3.Connection, **equal: Unpack[AppointmentFilter]) -> Record:
    """Appointments by their fields, in the order of booking."""
    return {"appointments": records.select(db, APPOINTMENT, **equal)}


def book_callback(
    db: sqlite3.Connection,
    contact_id: str,
    starts_at: str,
    ticket_id: str | None = None,
    note: str | None = None,
) -> Record:
    """Book a call back to a contact. Each call books anew; equal times are allowed."""
    moment = now()
    with transaction(db):
        tenant = get_contact(db, contact_id)["tenant"]
        if ticket_id is not None and get_ticket(db, ticket_id)["tenant"] != tenant:
            raise Invalid(f"ticket {ticket_id} and contact {contact_id} belong to different tenants")
        appointment = {
            "tenant": tenant,
            "contact_id": contact_id,
            "ticket_id": ticket_id,
            "starts_at": in_utc(starts_at),
            "note": note,
            "status": "booked",
            "created_at": moment,
            "updated_at": moment,
        }
        return records.insert(db, APPOINTMENT, appointment)


def cancel_callback(db: sqlite3.Connection, appointment_id: str) -> Record:
    """Cancel an appointment; it stays on record. Cancelling it again changes nothing."""
    with transaction(db):
        appointment = get_appointment(db, appointment_id)
        if appointment["status"] == "cancelled":
            return appointment
        return records.update(db, APPOINTMENT, appointment_id, {"status": "cancelled"})
