"""What tables are made with: a naming of constraints, partial indexes for both databases, a tenant in each row."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import CheckConstraint, MetaData, text

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def listed(words: object) -> str:
    """Words for an `IN (...)` of literal text."""
    return ", ".join(f"'{word}'" for word in sorted(words))  # type: ignore[call-overload]


def only(condition: str) -> dict[str, Any]:
    """The condition of a partial index, for both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def tenant_check() -> CheckConstraint:
    """A tenant is never empty."""
    return CheckConstraint("tenant <> ''", name="tenant")
