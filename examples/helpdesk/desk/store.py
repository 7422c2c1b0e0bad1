"""The SQLite file: its schema, how it comes to be, and the transaction that every operation runs in."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from desk import seed

SCHEMA = """
CREATE TABLE last_numbers (prefix TEXT PRIMARY KEY, number INTEGER NOT NULL);

CREATE TABLE contacts (
    contact_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, phone TEXT,
    version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL, created_at TEXT NOT NULL);

CREATE TABLE segments (segment TEXT PRIMARY KEY);

CREATE TABLE memberships (
    segment TEXT NOT NULL REFERENCES segments,
    contact_id TEXT NOT NULL REFERENCES contacts ON DELETE CASCADE,
    PRIMARY KEY (segment, contact_id));

CREATE TABLE balances (
    contact_id TEXT PRIMARY KEY REFERENCES contacts ON DELETE CASCADE,
    tenant TEXT NOT NULL, balance INTEGER NOT NULL DEFAULT 0 CHECK (balance >= 0), updated_at TEXT NOT NULL);

CREATE TABLE tickets (
    ticket_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, subject TEXT NOT NULL, priority TEXT NOT NULL,
    status TEXT NOT NULL, assignee TEXT, tags TEXT NOT NULL, contact_id TEXT REFERENCES contacts,
    version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL, created_at TEXT NOT NULL);

CREATE TABLE comments (
    comment_id TEXT PRIMARY KEY, tenant TEXT NOT NULL,
    ticket_id TEXT NOT NULL REFERENCES tickets ON DELETE CASCADE,
    author TEXT NOT NULL, body TEXT NOT NULL, created_at TEXT NOT NULL);

CREATE TABLE drafts (
    draft_id TEXT PRIMARY KEY, tenant TEXT NOT NULL,
    ticket_id TEXT NOT NULL REFERENCES tickets ON DELETE CASCADE, body TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL, created_at TEXT NOT NULL);

-- What was sent stays sent: a mail outlives its ticket, so this is no foreign key.
CREATE TABLE outbox (
    mail_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, ticket_id TEXT NOT NULL, recipient TEXT NOT NULL,
    subject TEXT NOT NULL, body TEXT NOT NULL, sent_at TEXT NOT NULL);

CREATE TABLE invoices (
    invoice_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, contact_id TEXT NOT NULL REFERENCES contacts,
    amount_cents INTEGER NOT NULL, currency TEXT NOT NULL, issued_at TEXT NOT NULL);

CREATE TABLE charges (
    charge_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, invoice_id TEXT NOT NULL REFERENCES invoices,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0), charged_at TEXT NOT NULL);

CREATE TABLE refunds (
    refund_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, invoice_id TEXT NOT NULL REFERENCES invoices,
    amount_cents INTEGER NOT NULL CHECK (amount_cents > 0), note TEXT, refunded_at TEXT NOT NULL);

CREATE TABLE appointments (
    appointment_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, contact_id TEXT NOT NULL REFERENCES contacts,
    ticket_id TEXT REFERENCES tickets ON DELETE SET NULL, starts_at TEXT NOT NULL, note TEXT,
    status TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL,
    created_at TEXT NOT NULL);

CREATE TABLE documents (
    document_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL, created_at TEXT NOT NULL);

CREATE TABLE settings (
    tenant TEXT PRIMARY KEY, business_hours TEXT NOT NULL, auto_reply TEXT NOT NULL,
    signature TEXT NOT NULL, sla_hours INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1, updated_at TEXT NOT NULL);

CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, document_id TEXT NOT NULL, status TEXT NOT NULL, error TEXT,
    created_at TEXT NOT NULL, finished_at TEXT);

CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, headers TEXT NOT NULL,
    body BLOB NOT NULL, stored_at TEXT NOT NULL);
"""


def open_desk(path: Path) -> sqlite3.Connection:
    """Connect to the desk at this path; a file that does not exist is created and seeded."""
    if not path.exists():
        _create(path)
    return _connect(path)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one write transaction, or as part of the one that is already open."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


def _create(path: Path) -> None:
    # Built aside and linked into place, so that a second server that starts at the same moment, or a crash
    # in the middle, never leaves half a desk.
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    aside.unlink(missing_ok=True)
    with closing(_connect(aside)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA)
        with transaction(db):
            seed.fill(db)
    with suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()
