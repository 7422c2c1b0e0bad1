"""The first tables: actions, events, images, runs, approvals, the recovery queue, leases, counters, secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUSES = (
    "'approved', 'awaiting_approval', 'cancelled', 'compensated', 'compensating', 'denied', 'failed', 'in_doubt', "
    "'needs_operator', 'planned', 'running', 'succeeded'"
)
_NOT_VOID = "status NOT IN ('cancelled', 'denied')"
_OCCUPIES = "status IN ('compensating', 'in_doubt', 'running')"
_ORDINAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create them."""
    _actions()
    _action_indexes()
    _targets()
    _events()
    _images()
    _runs()
    _approvals()
    _recovery_items()
    _small_tables()


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null, primary_key=key)


def _word(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(32), nullable=False)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _tenant(table: str) -> sa.CheckConstraint:
    return sa.CheckConstraint("tenant <> ''", name=op.f(f"ck_{table}_tenant"))


def _actions() -> None:
    op.create_table(
        "actions",
        sa.Column("ord", _ORDINAL, primary_key=True, autoincrement=True),
        *[_text(name) for name in ("id", "tenant", "run", "principal", "client")],
        _text("client_key", null=True),
        *[_text(name) for name in ("upstream", "tool")],
        _text("arguments", null=True),
        *[_text(name) for name in ("targets", "operation")],
        _number("generation"),
        *[_text(name) for name in ("key", "fingerprint")],
        *[_word(name) for name in ("action_class", "effect", "does", "risk")],
        *[_text(name) for name in ("rule", "policy_digest")],
        _word("status"),
        _number("version"),
        _word("verified"),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        _word("origin"),
        *[_text(name, null=True) for name in ("original", "reason")],
        _number("attempts"),
        *[_text(name, null=True) for name in ("approval", "before", "after", "result")],
        *[_text(name) for name in ("fields", "changed")],
        *[_text(name, null=True) for name in ("mismatch", "error", "compensation", "compensated_by")],
        *[_number(name) for name in ("created_at", "updated_at")],
        *[_number(name, null=True) for name in ("deadline", "sent_at", "settled_at")],
        _text("searchable"),
        sa.PrimaryKeyConstraint("ord", name=op.f("pk_actions")),
        sa.UniqueConstraint("id", name=op.f("uq_actions_id")),
        sa.UniqueConstraint("tenant", "key", name=op.f("uq_actions_tenant_key")),
        sa.UniqueConstraint("tenant", "operation", "generation", name=op.f("uq_actions_tenant_operation_generation")),
        _tenant("actions"),
        sa.CheckConstraint(f"status IN ({_STATUSES})", name=op.f("ck_actions_status")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_actions_version")),
        sa.CheckConstraint("generation >= 0", name=op.f("ck_actions_generation")),
        sqlite_autoincrement=True,
    )


def _action_indexes() -> None:
    op.create_index("ix_actions_tenant_run", "actions", ["tenant", "run", "ord"])
    op.create_index("ix_actions_tenant_ord", "actions", ["tenant", "ord"])
    partial = {
        "ix_actions_tenant_original": (["tenant", "original"], "original IS NOT NULL", False),
        "ix_actions_occupying": (["tenant", "id"], _OCCUPIES, False),
        "uq_actions_successor": (["tenant", "original"], f"origin = 'repeat' AND {_NOT_VOID}", True),
        "uq_actions_client_key": (
            ["tenant", "client_key", "principal"],
            f"client_key IS NOT NULL AND {_NOT_VOID}",
            True,
        ),
    }
    for name, (columns, where, unique) in partial.items():
        condition = sa.text(where)
        op.create_index(name, "actions", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _targets() -> None:
    op.create_table(
        "action_targets",
        _text("action"),
        sa.Column("position", sa.Integer(), nullable=False, autoincrement=False),
        *[_text(name) for name in ("tenant", "lease_name", "type", "id")],
        _text("label", null=True),
        sa.Column("occupied", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("action", "position", name=op.f("pk_action_targets")),
        sa.ForeignKeyConstraint(["action"], ["actions.id"], name=op.f("fk_action_targets_action")),
    )
    op.create_index("ix_action_targets_lease_name", "action_targets", ["tenant", "lease_name"])
    op.create_index("ix_action_targets_id", "action_targets", ["tenant", "id"])
    occupied = sa.text("occupied")
    op.create_index(
        "ix_action_targets_occupied",
        "action_targets",
        ["tenant", "lease_name"],
        sqlite_where=occupied,
        postgresql_where=occupied,
    )


def _events() -> None:
    op.create_table(
        "events",
        _text("action"),
        sa.Column("seq", sa.BigInteger(), nullable=False, autoincrement=False),
        _word("happening"),
        _number("at"),
        *[_text(name) for name in ("actor", "changes", "detail")],
        _number("leaf", null=True),
        sa.PrimaryKeyConstraint("action", "seq", name=op.f("pk_events")),
        sa.ForeignKeyConstraint(["action"], ["actions.id"], name=op.f("fk_events_action")),
        sa.UniqueConstraint("leaf", name=op.f("uq_events_leaf")),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_events_seq")),
    )


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _number("size"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_images")),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        *[_text(name) for name in ("tenant", "id", "principal", "client")],
        *[_number(name) for name in ("opened_at", "active_at")],
        _word("status"),
        *[_text(name, null=True) for name in ("request", "trace", "predecessor", "reason")],
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_runs")),
        _tenant("runs"),
        sa.CheckConstraint(
            "status IN ('abandoned', 'finished', 'open', 'paused', 'recovering')", name=op.f("ck_runs_status")
        ),
    )
    op.create_index("ix_runs_tenant_active_at", "runs", ["tenant", "active_at"])


def _approvals() -> None:
    op.create_table(
        "approvals",
        *[_text(name) for name in ("tenant", "id", "run", "action", "digest")],
        _text("preview", null=True),
        *[_number(name) for name in ("requested_at", "expires_at")],
        _word("status"),
        _number("decided_at", null=True),
        *[_text(name, null=True) for name in ("decided_by", "how", "reason")],
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_approvals")),
        _tenant("approvals"),
        sa.CheckConstraint(
            "status IN ('approved', 'consumed', 'denied', 'expired', 'pending', 'void')",
            name=op.f("ck_approvals_status"),
        ),
    )
    op.create_index("ix_approvals_tenant_status", "approvals", ["tenant", "status", "requested_at"])


def _recovery_items() -> None:
    op.create_table(
        "recovery_items",
        *[_text(name) for name in ("tenant", "id", "run", "action")],
        _word("risk"),
        _text("why"),
        _number("opened_at"),
        _text("suggestion", null=True),
        _number("closed_at", null=True),
        *[_text(name, null=True) for name in ("closed_by", "decision", "reason")],
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_recovery_items")),
        _tenant("recovery_items"),
        sa.CheckConstraint("risk IN ('high', 'low', 'medium')", name=op.f("ck_recovery_items_risk")),
    )
    op.create_index("ix_recovery_items_tenant_action", "recovery_items", ["tenant", "action"])


def _small_tables() -> None:
    op.create_table(
        "leases",
        _text("name"),
        _text("holder", null=True),
        *[_number(name) for name in ("fence", "taken_at", "expires_at")],
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "counters",
        *[_text(name) for name in ("tenant", "name")],
        _number("value"),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_counters")),
        _tenant("counters"),
    )
    op.create_table(
        "secrets",
        _text("name"),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secrets")),
    )
