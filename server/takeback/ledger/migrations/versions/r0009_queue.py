"""The recovery queue: why, who is at it, versions, comments, and one open entry a cause. Only adds."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, the table and the indexes; what is there can be searched for, too."""
    columns: list[sa.Column[Any]] = [
        sa.Column("cause", sa.String(32), nullable=False, server_default="in_doubt"),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
        *[sa.Column(name, sa.Text(), nullable=True) for name in ("assignee", "handler", "handling")],
        sa.Column("searchable", sa.Text(), nullable=False, server_default=""),
    ]
    for column in columns:
        op.add_column("recovery_items", column)
    _fold()
    op.create_index("ix_recovery_items_tenant_opened_at", "recovery_items", ["tenant", "opened_at", "id"])
    where = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_recovery_items_cause", "recovery_items", ["tenant", "action", "cause"], unique=True,
        sqlite_where=where, postgresql_where=where,
    )  # fmt: skip
    op.create_table(
        "recovery_comments",
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("tenant", "id", "item")],
        sa.Column("at", sa.BigInteger(), nullable=False),
        *[sa.Column(name, sa.Text(), nullable=False) for name in ("by", "text", "searchable")],
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_recovery_comments")),
        sa.CheckConstraint("tenant <> ''", name=op.f("ck_recovery_comments_tenant")),
    )
    op.create_index("ix_recovery_comments_item", "recovery_comments", ["tenant", "item", "at"])


def _fold() -> None:
    """Upper and lower case are folded by the program, so that both databases agree."""
    items = sa.table("recovery_items", *map(sa.column, ("tenant", "id", "why", "searchable")))
    connection = op.get_bind()
    for tenant, id_, why in connection.execute(sa.select(items.c.tenant, items.c.id, items.c.why)).all():
        named = (items.c.tenant == tenant, items.c.id == id_)
        connection.execute(sa.update(items).where(*named).values(searchable=why.casefold()))
