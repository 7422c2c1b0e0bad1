"""What is open in a run, found by each write of it, and what was not read back yet: two indexes. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_UNREAD = (
    "verified = 'not_yet' AND status = 'succeeded' AND in_force AND origin NOT IN ('redo', 'undo')"
    " AND NOT (upstream = 'takeback' AND tool = 'plan')"
)


def upgrade() -> None:
    """Add the indexes."""
    _index("ix_recovery_items_open_run", "recovery_items", ["tenant", "run"], "closed_at IS NULL")
    _index("ix_actions_unread", "actions", ["tenant", "ord"], _UNREAD)


def _index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
