"""Contacts, the segments they belong to, and their credit balance."""

import sqlite3
from typing import NotRequired, TypedDict, Unpack

from desk import records
from desk.clock import now
from desk.errors import Conflict, Invalid, NotFound
from desk.records import Kind, Record
from desk.store import transaction

CONTACT = Kind("contact", "contacts", "contact_id", "C")
# Its name is the contact's, because a balance is missing only when the contact is.
BALANCE = Kind("contact", "balances", "contact_id")


class NewContact(TypedDict):
    """What a new contact may say; `contact_id` brings back a deleted one."""

    tenant: str
    name: str
    email: str
    phone: NotRequired[str | None]
    contact_id: NotRequired[str]


class ContactChanges(TypedDict, total=False):
    """The fields that may be changed; the absent ones stay."""

    name: str
    email: str
    phone: str | None


def get_contact(db: sqlite3.Connection, contact_id: str) -> Record:
    """One contact with the segments it belongs to."""
    return _with_segments(db, records.get(db, CONTACT, contact_id))


def of_tenant(db: sqlite3.Connection, contact_id: str, tenant: str) -> Record:
    """The contact, which must belong to this tenant."""
    contact = records.get(db, CONTACT, contact_id)
    if contact["tenant"] != tenant:
        raise Invalid(f"contact {contact_id} does not belong to {tenant}")
    return contact


def search_contacts(
    db: sqlite3.Connection,
    *,
    text: str = "",
    tenant: str | None = None,
    email: str | None = None,
    limit: int = 20,
) -> Record:
    """Contacts by tenant, by exact address, by a part of their name or address."""
    found = [
        contact
        for contact in records.select(db, CONTACT, tenant=tenant, email=email)
        if text.casefold() in f"{contact['name']}\n{contact['email']}".casefold()
    ]
    return {"contacts": [_with_segments(db, contact) for contact in found[:limit]], "total": len(found)}


def create_contact(db: sqlite3.Connection, **fields: Unpack[NewContact]) -> Record:
    """Add a contact, with an empty balance and no segments."""
    moment = now()
    with transaction(db):
        contact = records.insert(db, CONTACT, {**fields, "created_at": moment, "updated_at": moment})
        row = (contact["contact_id"], contact["tenant"], moment)
        db.execute("INSERT INTO balances (contact_id, tenant, updated_at) VALUES (?, ?, ?)", row)
        return _with_segments(db, contact)


def update_contact(
    db: sqlite3.Connection,
    contact_id: str,
    *,
    expected_version: int | None = None,
    **changes: Unpack[ContactChanges],
) -> Record:
    """Change the given fields of a contact."""
    with transaction(db):
        return _with_segments(db, records.update(db, CONTACT, contact_id, changes, expected_version))


def delete_contact(db: sqlite3.Connection, contact_id: str, expected_version: int | None = None) -> Record:
    """Remove a contact that nothing refers to any more; its memberships go with it."""
    with transaction(db):
        if balance := get_balance(db, contact_id)["balance"]:
            raise Conflict(f"contact {contact_id} still has a balance of {balance}")
        return records.delete(db, CONTACT, contact_id, expected_version)


def list_segment(db: sqlite3.Connection, segment: str, tenant: str | None = None) -> Record:
    """The ids of the contacts in a segment."""
    _check_segment(db, segment)
    rows = db.execute(
        "SELECT contact_id FROM memberships JOIN contacts USING (contact_id) "
        "WHERE segment = ? AND tenant = coalesce(?, tenant) ORDER BY length(contact_id), contact_id",
        (segment, tenant),
    )
    return {"segment": segment, "members": [row["contact_id"] for row in rows]}


def add_to_segment(db: sqlite3.Connection, segment: str, contact_id: str) -> Record:
    """Make the contact a member; being one already is fine."""
    return _set_membership(db, "INSERT OR IGNORE INTO memberships VALUES (?, ?)", segment, contact_id)


def remove_from_segment(db: sqlite3.Connection, segment: str, contact_id: str) -> Record:
    """End the membership; being no member is fine."""
    statement = "DELETE FROM memberships WHERE segment = ? AND contact_id = ?"
    return _set_membership(db, statement, segment, contact_id)


def get_balance(db: sqlite3.Connection, contact_id: str) -> Record:
    """The credits that a contact has."""
    return records.get(db, BALANCE, contact_id)


def adjust_balance(db: sqlite3.Connection, contact_id: str, by: int) -> Record:
    """Add credits, or take some when `by` is negative; a balance never falls below zero."""
    with transaction(db):
        balance = get_balance(db, contact_id)["balance"]
        if balance + by < 0:
            raise Conflict(f"contact {contact_id} has {balance} credits, so {-by} cannot be taken")
        db.execute(
            "UPDATE balances SET balance = balance + ?, updated_at = ? WHERE contact_id = ?",
            (by, now(), contact_id),
        )
        return get_balance(db, contact_id)


def _with_segments(db: sqlite3.Connection, contact: Record) -> Record:
    query = "SELECT segment FROM memberships WHERE contact_id = ? ORDER BY segment"
    rows = db.execute(query, (contact["contact_id"],))
    return {**contact, "segments": [row["segment"] for row in rows]}


def _set_membership(db: sqlite3.Connection, statement: str, segment: str, contact_id: str) -> Record:
    with transaction(db):
        _check_segment(db, segment)
        records.get(db, CONTACT, contact_id)
        changed = db.execute(statement, (segment, contact_id)).rowcount > 0
        return {**list_segment(db, segment), "contact_id": contact_id, "changed": changed}


def _check_segment(db: sqlite3.Connection, segment: str) -> None:
    if not db.execute("SELECT 1 FROM segments WHERE segment = ?", (segment,)).fetchone():
        raise NotFound("segment", segment)
