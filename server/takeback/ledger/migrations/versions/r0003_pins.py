"""Definitions of tools: which are pinned, and which wait for a person. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them. No definition is known yet: what a guard sees next is its first."""
    op.create_table(
        "pins",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("scope", "upstream", "tool")],
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("first_use", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("scope", "upstream", "tool", "digest", name=op.f("pk_pins")),
        sa.CheckConstraint("state IN ('offered', 'pinned', 'retired')", name=op.f("ck_pins_state")),
    )
    where = sa.text("first_use")
    op.create_index(
        "uq_pins_first_use", "pins", ["scope", "upstream", "tool"], unique=True,
        sqlite_where=where, postgresql_where=where,
    )  # fmt: skip
