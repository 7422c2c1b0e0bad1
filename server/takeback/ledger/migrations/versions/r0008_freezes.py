"""The stop switch: what is frozen, and what was. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and that one thing is frozen once at a time."""
    op.create_table(
        "freezes",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("tenant", "id")],
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reads", sa.Boolean(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("frozen_by", "reason")],
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        *[sa.Column(name, sa.Text(), nullable=True) for name in ("lifted_by", "lifted_reason")],
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_freezes")),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_freezes_tenant")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_freezes_name")),
        sa.CheckConstraint("kind IN ('run', 'tenant', 'tool', 'upstream')", name=op.f("ck_freezes_kind")),
    )
    where = sa.text("lifted_at IS NULL")
    op.create_index(
        "uq_freezes_in_force", "freezes", ["tenant", "kind", "name"], unique=True,
        sqlite_where=where, postgresql_where=where,
    )  # fmt: skip
