"""The data that a new desk starts with: two tenants, enough of everything to try each operation."""

import json
import re
import sqlite3
from collections.abc import Sequence

OPENED = "2026-11-02T08:15:00.000Z"
CHANGED = "2026-11-16T14:40:00.000Z"

Row = tuple[object, ...]

TICKETS: list[tuple[str, str, str, str, str, str | None, list[str], str]] = [
    ("T-101", "acme", "Cannot sign in after password reset", "high", "pending", "mira", ["login"], "C-2"),
    ("T-182", "acme", "Export fails with error 500", "normal", "open", "jonas", ["export", "bug"], "C-1"),
    ("T-190", "acme", "Please add a dark theme", "low", "open", None, ["feature"], "C-3"),
    ("T-204", "acme", "Invoice shows the wrong address", "normal", "open", None, ["billing"], "C-1"),
    ("T-207", "acme", "Webhook delivered twice", "high", "solved", "mira", ["api", "bug"], "C-3"),
    ("T-310", "globex", "Reactor dashboard is blank", "urgent", "open", "sven", ["dashboard"], "C-4"),
    ("T-311", "globex", "Export fails with error 500", "normal", "open", None, ["export"], "C-5"),
]

CONTACTS: list[Row] = [
    ("C-1", "acme", "Ada Lindqvist", "ada@lindqvist.example", "+46 8 5550 101"),
    ("C-2", "acme", "Boris Okafor", "boris@okafor.example", None),
    ("C-3", "acme", "Chen Wei", "chen.wei@northwind.example", "+1 555 0103"),
    ("C-4", "globex", "Dora Maar", "dora@reactor.example", "+33 1 5550 104"),
    ("C-5", "globex", "Emil Novak", "emil@novak.example", None),
]

BALANCES: list[Row] = [
    ("C-1", "acme", 120), ("C-2", "acme", 0), ("C-3", "acme", 35),
    ("C-4", "globex", 500), ("C-5", "globex", 10),
]  # fmt: skip

SEGMENTS: list[Row] = [("newsletter",), ("beta",), ("vip",)]
MEMBERSHIPS: list[Row] = [
    ("newsletter", "C-1"), ("newsletter", "C-3"), ("newsletter", "C-4"), ("beta", "C-3"), ("vip", "C-4"),
]  # fmt: skip

COMMENTS: list[Row] = [
    ("CM-1", "acme", "T-182", "jonas", "Seen with files over 10 MB only.", OPENED),
    ("CM-2", "acme", "T-182", "Ada Lindqvist", "It worked until last week.", CHANGED),
    ("CM-3", "globex", "T-310", "sven", "Blank in Firefox, fine in Chrome.", CHANGED),
]

DRAFTS: list[Row] = [("DR-1", "acme", "T-182", "Hello Ada, we have found the cause.", CHANGED, OPENED)]

OUTBOX: list[Row] = [
    ("ML-1", "acme", "T-207", "chen.wei@northwind.example", "Re: Webhook delivered twice",
     "Hello, this is fixed since Monday.", CHANGED),
]  # fmt: skip

INVOICES: list[Row] = [
    ("I-1001", "acme", "C-1", 50_000, "USD", OPENED),
    ("I-1002", "acme", "C-3", 12_900, "USD", OPENED),
    ("I-1003", "acme", "C-2", 80_000, "USD", CHANGED),
    ("I-1004", "globex", "C-4", 250_000, "EUR", OPENED),
]

CHARGES: list[Row] = [
    ("CH-1", "acme", "I-1001", 50_000, OPENED),
    ("CH-2", "acme", "I-1002", 12_900, OPENED),
    ("CH-3", "globex", "I-1004", 250_000, OPENED),
]

REFUNDS: list[Row] = [("R-1", "acme", "I-1002", 2_900, "Agreed discount", CHANGED)]

APPOINTMENTS: list[Row] = [
    (
        "A-1",
        "acme",
        "C-2",
        "T-101",
        "2026-12-01T09:30:00.000Z",
        "Prefers mornings",
        "booked",
        CHANGED,
        OPENED,
    ),
    ("A-2", "globex", "C-4", "T-310", "2026-12-02T13:00:00.000Z", None, "booked", CHANGED, OPENED),
]

DOCUMENTS: list[Row] = [
    ("refund-policy", "acme", "Refund policy", "Refunds within 30 days.\nAsk a lead above 200 dollars.",
     CHANGED, OPENED),
    ("export-limits", "acme", "Export limits", "Exports are limited to 10 MB.", CHANGED, OPENED),
    ("report-1", "acme", "Tickets", "Tickets of acme: 0", OPENED, OPENED),
    ("on-call", "globex", "On call", "Week 48: Sven.\nWeek 49: Ines.", CHANGED, OPENED),
]  # fmt: skip

JOBS: list[Row] = [("J-1", "acme", "report-1", "done", OPENED, OPENED)]

SETTINGS: list[Row] = [
    ("acme", "09:00-17:00", "true", "Your Acme team", 24, CHANGED),
    ("globex", "00:00-24:00", "false", "Globex Support", 4, CHANGED),
]


def fill(db: sqlite3.Connection) -> None:
    """Write the seed into empty tables."""
    _insert(db, "contacts", "contact_id, tenant, name, email, phone, updated_at, created_at",
            [(*row, CHANGED, OPENED) for row in CONTACTS])  # fmt: skip
    _insert(db, "balances", "contact_id, tenant, balance, updated_at", [(*row, CHANGED) for row in BALANCES])
    _insert(db, "segments", "segment", SEGMENTS)
    _insert(db, "memberships", "segment, contact_id", MEMBERSHIPS)
    _insert(db, "tickets", "ticket_id, tenant, subject, priority, status, assignee, tags, contact_id, "
            "updated_at, created_at",
            [(*row[:6], json.dumps(row[6]), row[7], CHANGED, OPENED) for row in TICKETS])  # fmt: skip
    _insert(db, "comments", "comment_id, tenant, ticket_id, author, body, created_at", COMMENTS)
    _insert(db, "drafts", "draft_id, tenant, ticket_id, body, updated_at, created_at", DRAFTS)
    _insert(db, "outbox", "mail_id, tenant, ticket_id, recipient, subject, body, sent_at", OUTBOX)
    _insert(db, "invoices", "invoice_id, tenant, contact_id, amount_cents, currency, issued_at", INVOICES)
    _insert(db, "charges", "charge_id, tenant, invoice_id, amount_cents, charged_at", CHARGES)
    _insert(db, "refunds", "refund_id, tenant, invoice_id, amount_cents, note, refunded_at", REFUNDS)
    _insert(db, "appointments", "appointment_id, tenant, contact_id, ticket_id, starts_at, note, status, "
            "updated_at, created_at", APPOINTMENTS)  # fmt: skip
    _insert(db, "documents", "document_id, tenant, title, body, updated_at, created_at", DOCUMENTS)
    _insert(db, "jobs", "job_id, tenant, document_id, status, created_at, finished_at", JOBS)
    _insert(db, "settings", "tenant, business_hours, auto_reply, signature, sla_hours, updated_at", SETTINGS)


def _insert(db: sqlite3.Connection, table: str, columns: str, rows: Sequence[Row]) -> None:
    marks = ", ".join("?" for _ in columns.split(","))
    db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
    for row in rows:
        _remember_number(db, str(row[0]))


def _remember_number(db: sqlite3.Connection, record_id: str) -> None:
    """Let new ids continue after the seeded ones."""
    if match := re.fullmatch(r"([A-Z]+)-(\d+)", record_id):
        db.execute(
            "INSERT INTO last_numbers VALUES (?, ?) ON CONFLICT DO UPDATE SET number = max(number, excluded.number)",
            (match[1], int(match[2])),
        )
