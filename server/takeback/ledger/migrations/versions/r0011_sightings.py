"""What runs saw at reads that a rule with `stale` asks about. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and its index."""
    op.create_table(
        "sightings",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("tenant", "run")],
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run", "place", name=op.f("pk_sightings")),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_sightings_tenant")),
    )
    op.create_index("ix_sightings_at", "sightings", ["at", "tenant", "run", "place"])
