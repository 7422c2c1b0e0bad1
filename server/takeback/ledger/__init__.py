"""The ledger: the durable memory of every change, on SQLite or PostgreSQL, behind `takeback.ports.Ledger`."""

from takeback.ledger.store import SqlLedger, open_ledger

__all__ = ["SqlLedger", "open_ledger"]
