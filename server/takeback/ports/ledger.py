"""The port to the durable memory of every change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from takeback.core.action import Action, Event
from takeback.core.freezing import Freeze
from takeback.core.operation import Tombstone
from takeback.core.pausing import Concern
from takeback.core.policy.schema import Retention
from takeback.core.queue import Comment, RecoveryItem, Settled
from takeback.core.run import Approval, Checkpoint, Run, Unwinding
from takeback.core.run_state import RunFacts
from takeback.core.vocabulary import RunStatus, Status
from takeback.ports.access import AccessLedger
from takeback.ports.queue import QueueLedger


class LedgerFailure(Exception):
    """The ledger cannot be used right now; nothing was changed by the call that raised this."""


class Stale(LedgerFailure):
    """Somebody else moved the action (or the entry of the queue) on since it was read. Read again and decide anew."""


class KeyTaken(LedgerFailure):
    """Another guard claimed this idempotency key (or successor) first: join its action."""


class LeaseLost(LedgerFailure):
    """A lease that the change rests on is no longer ours: nothing was written."""


class NotFound(LedgerFailure):
    """The ledger has no such entry in this tenant."""


class Pruned(NotFound):
    """It was in the ledger, and retention took it. `at` is when, where that is still known."""

    def __init__(self, message: str, at: datetime | None = None) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one target until `expires_at`. `fence` grows with every new holder."""

    name: str
    holder: str
    fence: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Approach:
    """What a call wants to know and to hold before it goes on.

    `lease_names` are all granted or none; they are sorted. `operation` is the logical operation to look up.
    `counters` are the names of counters whose values are wanted. `principal` is whose `client_key` it is; without it
    only an action of the same `operation` is found under that key. `inherits` is the same operation as the run before
    this one would have named it.
    """

    tenant: str
    run: str
    operation: str
    holder: str
    lease_names: tuple[str, ...]
    lease_for: timedelta
    now: datetime
    client_key: str | None = None
    counters: tuple[str, ...] = ()
    principal: str | None = None
    inherits: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says under the leases.

    `earlier` is the newest action of the logical operation that is not void, `newest_generation` the highest generation
    ever allocated for it (-1: none), `tombstone` the newest pruned one of it that was not void. `by_client_key` is the
    action under the client's own key. `occupants` are other actions that occupy one of the targets. `run_status` is
    None for an unknown run; `concerns` are what may pause it. `freezes` are all that are in force in the tenant.
    """

    leases: tuple[Lease, ...] = ()
    refused_by: str | None = None
    earlier: Action | None = None
    newest_generation: int = -1
    tombstone: Tombstone | None = None
    by_client_key: Action | None = None
    occupants: tuple[Action, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    run_status: RunStatus | None = None
    concerns: tuple[Concern, ...] = ()
    inherited: Action | None = None
    freezes: tuple[Freeze, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Facts to commit together: durable when the call returns, all or nothing.

    `actions` pairs the event with the action after it (`core.action.evolve` made it). `images` maps digests to
    canonical JSON; a digest that is there already is kept. `leases` must still be ours (checked in the same
    transaction) and `release` frees them there. `counters` are added to. `runs`, `approvals`, `checkpoints` and
    `unwindings` are written as given (insert or replace by id). `queue` holds new entries (version 1; merged into an
    open one of the same action and cause) and later versions of entries, which must follow the one that stands;
    `settled` closes those that are open, and `comments` are added.
    """

    actions: tuple[tuple[Event, Action], ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict)
    approvals: tuple[Approval, ...] = ()
    runs: tuple[Run, ...] = ()
    queue: tuple[RecoveryItem, ...] = ()
    settled: tuple[Settled, ...] = ()
    comments: tuple[Comment, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    unwindings: tuple[Unwinding, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    tenant: str = ""
    leases: tuple[Lease, ...] = ()
    release: tuple[Lease, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """What retention took, or would take. `reads` are entries of the access log. `more`: it is not done yet."""

    images: int = 0
    runs: int = 0
    actions: int = 0
    events: int = 0
    reads: int = 0
    more: bool = False

    def __add__(self, other: Removed) -> Removed:
        """Both together; whether there is more is what the second one says."""
        return Removed(
            self.images + other.images,
            self.runs + other.runs,
            self.actions + other.actions,
            self.events + other.events,
            self.reads + other.reads,
            other.more,
        )


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which actions to list, newest first.

    `cursor` is what the page before returned. `text` is searched in tool, target and label.
    """

    tenant: str
    run: str | None = None
    statuses: tuple[Status, ...] = ()
    tool: str | None = None
    target: str | None = None
    text: str | None = None
    needs_attention: bool = False
    limit: int = 20
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some actions, newest first, and where the next page begins (None: there is none)."""

    actions: tuple[Action, ...]
    cursor: str | None = None


class Ledger(QueueLedger, AccessLedger, Protocol):
    """The durable memory of every change. Every query is bound to a tenant."""

    async def approach(self, approach: Approach) -> Standing:
        """Take the leases and look up what the ledger says, in one transaction (not synced to disk).

        With `refused_by` set no lease was taken; the rest is filled all the same.
        """

    async def commit(self, change: Change) -> None:
        """Write durably. Concurrent commits share a sync, each with a savepoint of its own.

        Raises:
            Stale, KeyTaken, LeaseLost: this change was not written at all; others in the group are not affected.
            LedgerFailure: the database failed; nothing of this change stands.
        """

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back; those that are no longer ours are left alone."""

    async def renew(self, leases: Sequence[Lease], until: datetime) -> Sequence[Lease]:
        """Prolong those of the leases that are still ours, and return them. Raises LedgerFailure."""

    async def holders(self, now: datetime) -> Sequence[str]:
        """Those who hold leases that have not run out."""

    async def is_held(self, name: str, now: datetime) -> bool:
        """Whether somebody holds a lease of that name that has not run out."""

    async def let_go(self, holder: str) -> None:
        """Free all leases of a holder that is known to be gone."""

    async def unattended(self, tenant: str, now: datetime, limit: int = 200) -> Sequence[Action]:
        """Actions under way that nobody holds a lease on: what a guard began and left."""

    async def unverified(self, tenant: str, limit: int = 200) -> Sequence[Action]:
        """Actions whose effect stands and did not verify (with an open entry for that) or was not read back yet.

        The newest first: of what is read again and again in vain, there may be more than `limit`.
        """

    async def steps(self, tenant: str, plan: str) -> Sequence[Action]:
        """The actions that are steps of a plan, oldest first."""

    async def agreed_plans(self, tenant: str, now: datetime) -> Sequence[Action]:
        """Plans that a person has agreed to and that nobody is at: they are to be begun."""

    async def prune(
        self, retention: Retention, now: datetime, *, dry_run: bool = False, batches: int | None = None
    ) -> Removed:
        """Take what is older than its retention, in short transactions, at most `batches` of them; or only count it.

        Safe beside guards that work, and to be stopped at any time: the next one goes on. Raises LedgerFailure.
        """

    async def open_run(self, run: Run) -> None:
        """Insert a run, or do nothing when it is there."""

    async def shared_run(self, tenant: str, scope: str, fresh: str, now: datetime, idle: timedelta) -> str:
        """The run of callers without a connection: that of before, unless it was idle for so long, else `fresh`."""

    async def broken_off(
        self, tenant: str, principal: str, client: str, *, owner: str, since: datetime
    ) -> Sequence[Run]:
        """Runs of other guards' connections to the same client, from which no run goes on yet, newest first."""

    async def end_runs(self, tenant: str, owner: str, at: datetime) -> None:
        """The connections of this guard ended in good order."""

    async def went_on(self, tenant: str, run_id: str, after: datetime) -> bool:
        """Whether the client asked for anything in the run after a moment: then it had the answers of before."""

    async def run(self, tenant: str, run_id: str) -> Run:
        """One run. Raises NotFound."""

    async def runs(self, tenant: str, limit: int = 50) -> Sequence[Run]:
        """The most recently active runs first."""

    async def facts_of_runs(self, runs: Sequence[Run]) -> Sequence[RunFacts]:
        """What is going on in each of these runs of one tenant, in their order."""

    async def action(self, tenant: str, action_id: str) -> Action:
        """One action. Raises NotFound; Pruned when retention took it."""

    async def history(self, query: HistoryQuery) -> Page:
        """A page of actions."""

    async def events(self, tenant: str, action_id: str) -> Sequence[Event]:
        """The events of one action, in order. Raises NotFound; Pruned when retention took them."""

    async def later_writes(self, action: Action) -> Sequence[Action]:
        """Actions begun after this one on one of its targets, in any run of the tenant, in force, oldest first."""

    async def newest_write(self, action: Action) -> Action | None:
        """The newest action after this one on one of its targets that was read back, in force or not, if any."""

    async def deletions_taken_back(self, action: Action) -> Sequence[Action]:
        """Later deletions of one of its targets that were taken back, oldest first."""

    async def standing_after(self, action: Action) -> Sequence[Action]:
        """What its run did after it and still stands, undos and redos aside, newest first, within a bound."""

    async def earlier_writes(self, action: Action, limit: int = 200) -> Sequence[Action]:
        """Actions that ran before this one on one of its targets, newest first, at most `limit`."""

    async def creations(self, tenant: str, type_: str, ids: Sequence[str]) -> Mapping[str, Action]:
        """By id: the action in force that created this target."""

    async def unwindings(
        self, tenant: str, run_id: str, *, what: str | None = None, limit: int = 20
    ) -> Sequence[Unwinding]:
        """The undos of several actions that were asked for in a run, newest first; in these words only."""

    async def checkpoints(self, tenant: str, run_id: str) -> Sequence[Checkpoint]:
        """The checkpoints of a run, newest first."""

    async def named_checkpoints(
        self, tenant: str, run_id: str, *, before: Checkpoint | None = None, limit: int
    ) -> Sequence[Checkpoint]:
        """At most `limit` of those that the run's agent named, newest first; with `before`, only what is older."""

    async def checkpoint(self, tenant: str, checkpoint_id: str) -> Checkpoint:
        """One checkpoint. Raises NotFound."""

    async def successor(self, tenant: str, action_id: str) -> Action | None:
        """The one action that repeats this one on purpose, where there is one."""

    async def compensations(self, tenant: str, action_id: str) -> Sequence[Action]:
        """Actions that undo or redo this one, oldest first."""

    async def image(self, digest: str) -> bytes:
        """Canonical JSON by digest. Raises NotFound; Pruned when retention took it."""

    async def approval(self, tenant: str, approval_id: str) -> Approval:
        """One approval. Raises NotFound."""

    async def approvals(self, tenant: str, *, pending_only: bool = True) -> Sequence[Approval]:
        """Approvals, oldest first."""

    async def freeze(self, freeze: Freeze) -> Freeze:
        """Use the stop switch; all stores of this ledger heed it at once. Returns the freeze that is in force then.

        One that stood already stays as it is, unless it let reads pass and this one does not.
        Raises Stale, LedgerFailure.
        """

    async def lift(self, tenant: str, freeze_id: str, *, at: datetime, by: str, reason: str) -> Freeze:
        """Thaw; returns the freeze as it stands then, by whomever it was lifted. Raises NotFound, LedgerFailure."""

    async def freezes(self, tenant: str, *, in_force_only: bool = True, limit: int = 200) -> Sequence[Freeze]:
        """Uses of the stop switch, the newest first."""

    async def frozen(self, tenant: str) -> Sequence[Freeze]:
        """What is frozen, as it was known at most a second ago: costs nothing mostly. Raises LedgerFailure."""

    async def wait_for_change(self, tenant: str, action_id: str, version: int, timeout: float) -> None:
        """Return when the action has a higher version than `version`, or after `timeout` seconds at the latest."""

    async def wait_for_any(self, timeout: float) -> bool:
        """Whether something happened since the last answer that a worker may want to look at; one waiter at a time.

        That is: an action came in doubt or was left without a lease, or an approval was decided.
        Waits for it, at most `timeout` seconds. What is not heard of (other guards' doings on SQLite, the death of a
        guard) is to be looked for when it returns False.
        """

    @property
    def available(self) -> bool:
        """Whether the database answered when it was last asked for something. Costs nothing."""

    async def secret(self, name: str) -> bytes:
        """32 random bytes, made at the first call for `name` and kept with the ledger (sealing, keyed digests)."""
