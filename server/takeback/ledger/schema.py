"""The tables. Their constraints repeat the core's invariants, so that no bug above can break them.

* One idempotency key, one (operation, generation), one successor and one client's key: each unique within a tenant.
  Void actions (denied, cancelled: nothing was ever sent) do not hold a successor or a client's key.
* The first sight of a tool pins one definition of it, and no second one.
* One thing is frozen once at a time (`freezes`); one entry of the queue is open for one action and cause (`entries`).
* A status is one that the table of states knows. A tenant is never empty.
* What was pruned leaves a tombstone: its key and its generation stay taken (`changes` looks before it claims).
* An action's events are numbered without a fork: (action, seq) is unique, and that is the compare-and-set.

`REVISION` names the migration that leads to these tables; a test compares the two.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    and_,
)

from takeback.core.action import PLAN
from takeback.core.pins.judge import PinState
from takeback.core.run import ApprovalStatus
from takeback.core.states import OCCUPYING, UNSETTLED, VOID
from takeback.core.vocabulary import COMPENSATIONS, RunStatus, Status
from takeback.ledger import entries
from takeback.ledger.columns import Document, FreeText, Instant
from takeback.ledger.freezes import freezes as _freezes
from takeback.ledger.tables import listed, only, tenant_check
from takeback.ledger.tables import metadata as _metadata

REVISION: Final = "0011"

metadata: Final = _metadata

# Literal text and not parameters: a planner matches a partial index only by the words of its condition.
OCCUPIES: Final = f"status IN ({listed(OCCUPYING)})"
STANDING: Final = "in_force AND origin NOT IN ('redo', 'undo')"
NOT_VOID: Final = f"status NOT IN ({listed(VOID)})"
UNDECIDED: Final = f"status IN ({listed({Status.PLANNED, *UNSETTLED})})"
MISMATCHED: Final = "verified = 'mismatch' AND in_force"
UNREAD: Final = (
    f"verified = 'not_yet' AND status = 'succeeded' AND in_force AND origin NOT IN ({listed(COMPENSATIONS)})"
    f" AND NOT (upstream = '{PLAN[0]}' AND tool = '{PLAN[1]}')"
)
OPEN: Final = entries.OPEN
DAILY: Final = "substr(name, 1, 10) = 'principal:'"
KEPT: Final = "pruned_at IS NULL"

# SQLite numbers rows by itself only for INTEGER PRIMARY KEY.
_Ordinal = BigInteger().with_variant(Integer, "sqlite")


actions: Final = Table(
    "actions",
    metadata,
    Column("ord", _Ordinal, primary_key=True, autoincrement=True),
    Column("id", FreeText, nullable=False, unique=True),
    Column("tenant", FreeText, nullable=False),
    Column("run", FreeText, nullable=False),
    Column("principal", FreeText, nullable=False),
    Column("client", FreeText, nullable=False),
    Column("client_key", FreeText),
    Column("upstream", FreeText, nullable=False),
    Column("tool", FreeText, nullable=False),
    Column("arguments", Document),
    Column("targets", Document, nullable=False),
    Column("operation", FreeText, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("key", FreeText, nullable=False),
    Column("fingerprint", FreeText, nullable=False),
    Column("action_class", String(32), nullable=False),
    Column("effect", String(32), nullable=False),
    Column("does", String(32), nullable=False),
    Column("risk", String(32), nullable=False),
    Column("rule", FreeText, nullable=False),
    Column("policy_digest", FreeText, nullable=False),
    Column("status", String(32), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("verified", String(32), nullable=False),
    Column("in_force", Boolean, nullable=False),
    Column("origin", String(32), nullable=False),
    Column("original", FreeText),
    Column("reason", FreeText),
    Column("attempts", BigInteger, nullable=False),
    Column("approval", FreeText),
    Column("before", FreeText),
    Column("after", FreeText),
    Column("result", FreeText),
    Column("fields", Document, nullable=False),
    Column("changed", Document, nullable=False),
    Column("mismatch", Document),
    Column("error", Document),
    Column("compensation", Document),
    Column("compensated_by", FreeText),
    Column("forecast", Document),
    Column("outcome", Document),
    Column("trace", FreeText),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deadline", Instant),
    Column("sent_at", Instant),
    Column("settled_at", Instant),
    Column("found_before", Boolean),
    Column("searchable", FreeText, nullable=False),
    UniqueConstraint("tenant", "key"),
    UniqueConstraint("tenant", "operation", "generation"),
    tenant_check(),
    CheckConstraint(f"status IN ({listed(Status)})", name="status"),
    CheckConstraint("version >= 1", name="version"),
    CheckConstraint("generation >= 0", name="generation"),
    Index("ix_actions_tenant_run", "tenant", "run", "ord"),
    Index("ix_actions_tenant_ord", "tenant", "ord"),
    Index("ix_actions_tenant_original", "tenant", "original", **only("original IS NOT NULL")),
    Index("ix_actions_standing", "tenant", "run", "ord", **only(STANDING)),
    Index("ix_actions_occupying", "tenant", "id", **only(OCCUPIES)),
    Index("ix_actions_undecided", "tenant", "run", "ord", **only(UNDECIDED)),
    Index("ix_actions_unread", "tenant", "ord", **only(UNREAD)),
    Index("ix_actions_mismatched", "tenant", "ord", **only(MISMATCHED)),
    sqlite_autoincrement=True,
)

_PLACE: Final = actions.c.tenant, actions.c.original
_SUCCESSOR: Final = only(f"origin = 'repeat' AND {NOT_VOID}")
Index("uq_actions_successor", *_PLACE, unique=True, **_SUCCESSOR)
_OWN: Final = actions.c.tenant, actions.c.client_key, actions.c.principal
_CLIENT_KEY: Final = only(f"client_key IS NOT NULL AND {NOT_VOID}")
Index("uq_actions_client_key", *_OWN, unique=True, **_CLIENT_KEY)

action_targets: Final = Table(
    "action_targets",
    metadata,
    Column("action", FreeText, ForeignKey("actions.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("tenant", FreeText, nullable=False),
    Column("lease_name", FreeText, nullable=False),
    Column("type", FreeText, nullable=False),
    Column("id", FreeText, nullable=False),
    Column("label", FreeText),
    Column("occupied", Boolean, nullable=False),
    Index("ix_action_targets_lease_name", "tenant", "lease_name"),
    Index("ix_action_targets_id", "tenant", "id"),
    Index("ix_action_targets_occupied", "tenant", "lease_name", **only("occupied")),
)

events: Final = Table(
    "events",
    metadata,
    Column("action", FreeText, ForeignKey("actions.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("happening", String(32), nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", FreeText, nullable=False),
    Column("changes", Document, nullable=False),
    Column("detail", FreeText, nullable=False),
    Column("leaf", BigInteger, unique=True),
    CheckConstraint("seq >= 1", name="seq"),
)

images: Final = Table(
    "images",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("used_at", Instant),
    Column("pruned_at", Instant),
    Index("ix_images_kept", "used_at", "digest", **only(KEPT)),
    Index("ix_images_pruned", "pruned_at", **only("pruned_at IS NOT NULL")),
)

runs: Final = Table(
    "runs",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("id", FreeText, primary_key=True),
    Column("principal", FreeText, nullable=False),
    Column("client", FreeText, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("active_at", Instant, nullable=False),
    Column("status", String(32), nullable=False),
    Column("request", FreeText),
    Column("trace", FreeText),
    Column("predecessor", FreeText),
    Column("reason", FreeText),
    Column("owner", FreeText),
    Column("ended_at", Instant),
    tenant_check(),
    CheckConstraint(f"status IN ({listed(RunStatus)})", name="status"),
    Index("ix_runs_tenant_active_at", "tenant", "active_at"),
    Index("ix_runs_client", "tenant", "principal", "client", "opened_at"),
    Index("uq_runs_predecessor", "tenant", "predecessor", unique=True, **only("predecessor IS NOT NULL")),
    Index("ix_runs_active_at", "active_at", "tenant", "id"),
)

scopes: Final = Table(
    "scopes",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("scope", FreeText, primary_key=True),
    Column("run", FreeText, nullable=False),
    Column("used_at", Instant, nullable=False),
    tenant_check(),
    Index("ix_scopes_used_at", "used_at"),
)

approvals: Final = Table(
    "approvals",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("id", FreeText, primary_key=True),
    Column("run", FreeText, nullable=False),
    Column("action", FreeText, nullable=False),
    Column("digest", FreeText, nullable=False),
    Column("preview", Document),
    Column("requested_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("status", String(32), nullable=False),
    Column("decided_at", Instant),
    Column("decided_by", FreeText),
    Column("how", FreeText),
    Column("reason", FreeText),
    tenant_check(),
    CheckConstraint(f"status IN ({listed(ApprovalStatus)})", name="status"),
    Index("ix_approvals_tenant_status", "tenant", "status", "requested_at"),
    Index("ix_approvals_tenant_run", "tenant", "run"),
)

recovery_items: Final = entries.recovery_items
OF_ITEM: Final = and_(actions.c.tenant == recovery_items.c.tenant, actions.c.id == recovery_items.c.action)
recovery_comments: Final = entries.recovery_comments

leases: Final = Table(
    "leases",
    metadata,
    Column("name", FreeText, primary_key=True),
    Column("holder", FreeText),
    Column("fence", BigInteger, nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("id", FreeText, primary_key=True),
    Column("run", FreeText, nullable=False),
    Column("name", FreeText, nullable=False),
    Column("at", Instant, nullable=False),
    Column("action", FreeText),
    Column("body", Document),
    tenant_check(),
    Index("ix_checkpoints_tenant_run", "tenant", "run", "at"),
)

unwindings: Final = Table(
    "unwindings",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("id", FreeText, primary_key=True),
    Column("run", FreeText, nullable=False),
    Column("principal", FreeText, nullable=False),
    Column("what", FreeText, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("actions", Document, nullable=False),
    Column("confirm", FreeText),
    Column("opened_at", Instant, nullable=False),
    tenant_check(),
    Index("ix_unwindings_tenant_run", "tenant", "run", "opened_at"),
)

counters: Final = Table(
    "counters",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("name", FreeText, primary_key=True),
    Column("value", BigInteger, nullable=False),
    tenant_check(),
    Index("ix_counters_daily", "tenant", "name", **only(DAILY)),
)

access_log: Final = Table(
    "access_log",
    metadata,
    Column("ord", _Ordinal, primary_key=True, autoincrement=True),
    Column("tenant", FreeText, nullable=False),
    Column("run", FreeText, nullable=False),
    Column("principal", FreeText, nullable=False),
    Column("upstream", FreeText, nullable=False),
    Column("tool", FreeText, nullable=False),
    Column("at", Instant, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("arguments_digest", FreeText, nullable=False),
    tenant_check(),
    Index("ix_access_log_tenant_at", "tenant", "at"),
    Index("ix_access_log_tenant_run", "tenant", "run", "at"),
    sqlite_autoincrement=True,
)

sightings: Final = Table(
    "sightings",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("run", FreeText, primary_key=True),
    Column("place", String(64), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("image", String(64), nullable=False),
    tenant_check(),
    Index("ix_sightings_at", "at", "tenant", "run", "place"),
)

pins: Final = Table(
    "pins",
    metadata,
    Column("scope", FreeText, primary_key=True),
    Column("upstream", FreeText, primary_key=True),
    Column("tool", FreeText, primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("definition", Document, nullable=False),
    Column("state", String(32), nullable=False),
    Column("first_use", Boolean, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("decided_at", Instant),
    Column("decided_by", FreeText),
    CheckConstraint(f"state IN ({listed(PinState)})", name="state"),
)
Index("uq_pins_first_use", pins.c.scope, pins.c.upstream, pins.c.tool, unique=True, **only("first_use"))

freezes: Final = _freezes

secrets: Final = Table(
    "secrets",
    metadata,
    Column("name", FreeText, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

tombstones: Final = Table(
    "tombstones",
    metadata,
    Column("tenant", FreeText, primary_key=True),
    Column("action", FreeText, primary_key=True),
    Column("run", FreeText, nullable=False),
    Column("operation", FreeText, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("key", FreeText, nullable=False),
    Column("client_key", FreeText),
    Column("principal", FreeText, nullable=False),
    Column("status", String(32), nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("pruned_at", Instant, nullable=False),
    UniqueConstraint("tenant", "key"),
    UniqueConstraint("tenant", "operation", "generation"),
    tenant_check(),
    CheckConstraint(f"status IN ({listed(Status)})", name="status"),
)
_BURIED: Final = tombstones.c.tenant, tombstones.c.client_key, tombstones.c.principal
_BURIED_KEY: Final = only(f"client_key IS NOT NULL AND {NOT_VOID}")
Index("uq_tombstones_client_key", *_BURIED, unique=True, **_BURIED_KEY)
