"""Undos of several actions: what was asked for, and which actions that meant; an index of what stands. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "unwindings",
        *[sa.Column(n, sa.Text(), nullable=False) for n in ("tenant", "id", "run", "principal", "what", "reason")],
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("confirm", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_unwindings")),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_unwindings_tenant")),
    )
    standing = sa.text("in_force AND origin NOT IN ('redo', 'undo')")
    columns = ["tenant", "run", "ord"]
    op.create_index("ix_actions_standing", "actions", columns, sqlite_where=standing, postgresql_where=standing)
    op.create_index("ix_unwindings_tenant_run", "unwindings", ["tenant", "run", "opened_at"])
