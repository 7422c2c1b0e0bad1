"""How each tenant's desk is set up."""

import sqlite3
from typing import TypedDict, Unpack

from desk import records
from desk.records import Kind, Record

SETTINGS = Kind("settings of tenant", "settings", "tenant", encoded=frozenset({"auto_reply"}))


class SettingsChanges(TypedDict, total=False):
    """The settings that may be changed; the absent ones stay."""

    business_hours: str
    auto_reply: bool
    signature: str
    sla_hours: int


def get_settings(db: sqlite3.Connection, tenant: str) -> Record:
    """The settings of one tenant."""
    return records.get(db, SETTINGS, tenant)


def update_settings(
    db: sqlite3.Connection,
    tenant: str,
    *,
    expected_version: int | None = None,
    **changes: Unpack[SettingsChanges],
) -> Record:
    """Change the given settings of one tenant."""
    return records.update(db, SETTINGS, tenant, changes, expected_version)
