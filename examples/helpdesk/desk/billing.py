"""Invoices, the charges that paid them, and refunds. Money is in whole cents."""

import sqlite3

from desk import records
from desk.clock import now
from desk.errors import Conflict, Invalid
from desk.records import Kind, Record
from desk.store import transaction

INVOICE = Kind("invoice", "invoices", "invoice_id", "I")
CHARGE = Kind("charge", "charges", "charge_id", "CH")
REFUND = Kind("refund", "refunds", "refund_id", "R")


def get_invoice(db: sqlite3.Connection, invoice_id: str) -> Record:
    """One invoice, with its charges and with what was paid and refunded of it."""
    invoice = records.get(db, INVOICE, invoice_id)
    charges = records.select(db, CHARGE, invoice_id=invoice_id)
    paid = _sum(charges)
    refunded = _sum(records.select(db, REFUND, invoice_id=invoice_id))
    return {
        **invoice,
        "paid_cents": paid,
        "refunded_cents": refunded,
        "status": _status(invoice["amount_cents"], paid, refunded),
        "charges": charges,
    }


def list_refunds(db: sqlite3.Connection, invoice_id: str | None = None, tenant: str | None = None) -> Record:
    """Refunds, oldest first."""
    return {"refunds": records.select(db, REFUND, invoice_id=invoice_id, tenant=tenant)}


def issue_refund(db: sqlite3.Connection, invoice_id: str, amount_cents: int, note: str | None = None) -> Record:
    """Pay back a part of what was paid. Each call pays anew, up to the sum that was paid."""
    with transaction(db):
        invoice = get_invoice(db, invoice_id)
        _check(amount_cents, invoice["paid_cents"] - invoice["refunded_cents"], f"refunded of {invoice_id}")
        refund = {
            "tenant": invoice["tenant"],
            "invoice_id": invoice_id,
            "amount_cents": amount_cents,
            "note": note,
            "refunded_at": now(),
        }
        return records.insert(db, REFUND, refund)


def charge_card(db: sqlite3.Connection, invoice_id: str, amount_cents: int) -> Record:
    """Charge the contact's card for an invoice. Each call charges anew, up to the sum that is due."""
    with transaction(db):
        invoice = get_invoice(db, invoice_id)
        _check(amount_cents, invoice["amount_cents"] - invoice["paid_cents"], f"charged for {invoice_id}")
        charge = {
            "tenant": invoice["tenant"],
            "invoice_id": invoice_id,
            "amount_cents": amount_cents,
            "charged_at": now(),
        }
        return records.insert(db, CHARGE, charge)


def _sum(entries: list[Record]) -> int:
    return sum(entry["amount_cents"] for entry in entries)


def _status(amount: int, paid: int, refunded: int) -> str:
    if refunded:
        return "refunded" if refunded == paid else "partly_refunded"
    return "paid" if paid == amount else "open"


def _check(amount_cents: int, limit_cents: int, what: str) -> None:
    if amount_cents <= 0:
        raise Invalid("the amount must be positive")
    if amount_cents > limit_cents:
        raise Conflict(f"{amount_cents} cents cannot be {what}: only {limit_cents} are left")
