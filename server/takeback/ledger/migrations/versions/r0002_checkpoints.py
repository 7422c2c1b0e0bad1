"""Checkpoints, the access log, and an action's forecast, outcome and trace. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; rows that are there have none of the new facts."""
    for name in ("forecast", "outcome", "trace"):
        op.add_column("actions", sa.Column(name, sa.Text(), nullable=True))
    _checkpoints()
    _access_log()


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        *[_text(name) for name in ("tenant", "id", "run", "name")],
        sa.Column("at", sa.BigInteger(), nullable=False),
        *[_text(name, null=True) for name in ("action", "body")],
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_checkpoints")),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_checkpoints_tenant")),
    )
    op.create_index("ix_checkpoints_tenant_run", "checkpoints", ["tenant", "run", "at"])


def _access_log() -> None:
    ordinal = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "access_log",
        sa.Column("ord", ordinal, nullable=False, autoincrement=True),
        *[_text(name) for name in ("tenant", "run", "principal", "upstream", "tool")],
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        _text("arguments_digest"),
        sa.PrimaryKeyConstraint("ord", name=op.f("pk_access_log")),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_access_log_tenant")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_access_log_tenant_at", "access_log", ["tenant", "at"])
