"""What is open in a run, found by each write of it: an index. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    where = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_recovery_items_open_run", "recovery_items", ["tenant", "run"], sqlite_where=where, postgresql_where=where
    )
