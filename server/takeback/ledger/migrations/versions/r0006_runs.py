"""Runs: whose connection one was opened for, when that ended, and those of callers without any. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, the columns and the indexes."""
    op.create_table(
        "scopes",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("tenant", "scope", "run")],
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "scope", name=op.f("pk_scopes")),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_scopes_tenant")),
    )
    op.create_index("ix_scopes_used_at", "scopes", ["used_at"])
    op.add_column("runs", sa.Column("owner", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_runs_client", "runs", ["tenant", "principal", "client", "opened_at"])
    where = sa.text("predecessor IS NOT NULL")
    op.create_index(
        "uq_runs_predecessor",
        "runs",
        ["tenant", "predecessor"],
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )
