"""Retention: tombstones, when an image was last used, and indexes that do not grow with what is settled. Only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATUSES = (
    "'approved', 'awaiting_approval', 'cancelled', 'compensated', 'compensating', 'denied', 'failed', 'in_doubt', "
    "'needs_operator', 'planned', 'running', 'succeeded'"
)
_UNDECIDED = (
    "status IN ('approved', 'awaiting_approval', 'compensating', 'in_doubt', 'needs_operator', 'planned', 'running')"
)
_INDEXES = (
    ("ix_actions_undecided", "actions", ["tenant", "run", "ord"], _UNDECIDED),
    ("ix_actions_mismatched", "actions", ["tenant", "ord"], "verified = 'mismatch' AND in_force"),
    ("ix_images_kept", "images", ["used_at", "digest"], "pruned_at IS NULL"),
    ("ix_images_pruned", "images", ["pruned_at"], "pruned_at IS NOT NULL"),
    ("ix_runs_active_at", "runs", ["active_at", "tenant", "id"], None),
    ("ix_approvals_tenant_run", "approvals", ["tenant", "run"], None),
    ("ix_recovery_items_open", "recovery_items", ["tenant", "opened_at", "id"], "closed_at IS NULL"),
    ("ix_counters_daily", "counters", ["tenant", "name"], "substr(name, 1, 10) = 'principal:'"),
    ("ix_access_log_tenant_run", "access_log", ["tenant", "run", "at"], None),
)
_USED = """
UPDATE images SET used_at = uses.at FROM (
  SELECT digest, max(at) AS at FROM (
    SELECT before AS digest, updated_at AS at FROM actions
    UNION ALL SELECT after, updated_at FROM actions
    UNION ALL SELECT result, updated_at FROM actions
  ) AS every_use WHERE digest IS NOT NULL GROUP BY digest
) AS uses WHERE uses.digest = images.digest
"""


def upgrade() -> None:
    """Add the table, the columns and the indexes; say of each image when an action that refers to it last changed."""
    _tombstones()
    for column in ("used_at", "pruned_at"):
        op.add_column("images", sa.Column(column, sa.BigInteger(), nullable=True))
    op.execute(_USED)
    for name, table, columns, condition in _INDEXES:
        where = sa.text(condition) if condition is not None else None
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _tombstones() -> None:
    op.create_table(
        "tombstones",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("tenant", "action", "run", "operation")],
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("client_key", sa.Text(), nullable=True),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        *[sa.Column(name, sa.BigInteger(), nullable=False) for name in ("events", "ended_at", "pruned_at")],
        sa.PrimaryKeyConstraint("tenant", "action", name=op.f("pk_tombstones")),
        sa.UniqueConstraint("tenant", "key", name=op.f("uq_tombstones_tenant_key")),
        sa.UniqueConstraint(
            "tenant", "operation", "generation", name=op.f("uq_tombstones_tenant_operation_generation")
        ),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_tombstones_tenant")),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name=op.f("ck_tombstones_status")),
    )
    where = sa.text("client_key IS NOT NULL AND status NOT IN ('cancelled', 'denied')")
    op.create_index(
        "uq_tombstones_client_key", "tombstones", ["tenant", "client_key", "principal"], unique=True,
        sqlite_where=where, postgresql_where=where,
    )  # fmt: skip
