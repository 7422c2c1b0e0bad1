"""Probes: whether one had found what it looks for before the action was sent. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("actions", sa.Column("found_before", sa.Boolean(), nullable=True))
