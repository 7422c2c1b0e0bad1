"""What the shell of the core needs from the outside, as protocols.

Ledger, tools, compensations and the guard stand side by side on these and do not know each other. A port lets no
foreign exception through: what can go wrong is one of the exceptions below.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from takeback.core.action import Action, Event
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.run import Approval, Checkpoint, RecoveryItem, Run
from takeback.core.undo import Standoff, Step
from takeback.core.vocabulary import RunStatus, Status

# --- Tools -----------------------------------------------------------------------------------------------------------


class ToolFailure(Exception):
    """Base of what can go wrong with a request to an upstream. The message is fit for an agent to read."""


class NotSent(ToolFailure):
    """Provably nothing reached the upstream: it is not running, or the connection could not be made."""


class Answered(ToolFailure):
    """The upstream answered with a JSON-RPC error: a definite answer. `code`, `data` are passed on unchanged."""

    def __init__(self, code: int, message: str, data: JSON = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class OutcomeUnknown(ToolFailure):
    """The first byte was sent and no usable reply came: time-out, lost connection, malformed reply.

    `kind` is `timeout`, `lost` or `malformed`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


ProgressSink = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Gets the params of each `notifications/progress` of one request, as sent, without the token."""

NotificationSink = Callable[[str, str, JSON], Awaitable[None]]
"""Gets (upstream, method, params) of each notification that belongs to no request."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as its upstream defines it: `raw` is the definition as sent, unknown fields included."""

    upstream: str
    name: str
    raw: Mapping[str, Any]

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the arguments; an empty object schema where the upstream gave none."""
        schema = self.raw.get("inputSchema")
        return schema if isinstance(schema, Mapping) else {"type": "object"}


class ToolClient(Protocol):
    """One upstream: a real system with tools. Started, supervised and restarted behind this port."""

    @property
    def name(self) -> str:
        """The upstream's name in the policy."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the upstream declared when it was asked last; empty before it has started."""

    @property
    def instructions(self) -> str | None:
        """The upstream's own instructions for models, where it gives any."""

    async def start(self) -> None:
        """Connect and negotiate.

        Raises:
            NotSent: it does not start; the message says why (with the last lines it wrote to stderr).
        """

    async def close(self) -> None:
        """Stop what was started. Never raises; bounded in time."""

    async def tools(self) -> Sequence[ToolDefinition]:
        """All tools, every page, in the upstream's order. Cached until the upstream says that the list changed.

        Raises:
            ToolFailure: the list could not be had.
        """

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send one request and return its `result` as it came, unknown fields and big numbers included.

        `timeout` is in seconds, from the send. On a time-out the upstream is told (`notifications/cancelled`), and the
        outcome is unknown. `headers` travel with the request where the transport has headers.

        Raises:
            NotSent, Answered, OutcomeUnknown: as their names say.
        """

    def on_notification(self, sink: NotificationSink) -> None:
        """Where notifications of this upstream go from now on."""


# --- The ledger ------------------------------------------------------------------------------------------------------


class LedgerFailure(Exception):
    """The ledger cannot be used right now; nothing was changed by the call that raised this."""


class Stale(LedgerFailure):
    """Somebody else moved the action on since it was read. Read again and decide anew."""


class KeyTaken(LedgerFailure):
    """Another guard claimed this idempotency key (or successor) first: join its action."""


class LeaseLost(LedgerFailure):
    """A lease that the change rests on is no longer ours: nothing was written."""


class NotFound(LedgerFailure):
    """The ledger has no such entry in this tenant."""


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

    `lease_names` are all granted or none; they are sorted. `operation` is the logical operation to look up. `counters`
    are the names of counters whose values are wanted. `principal` is whose `client_key` it is; without it only an action
    of the same `operation` is found under that key.
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


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says under the leases.

    `earlier` is the newest action of the logical operation that is not void, `newest_generation` the highest generation
    ever allocated for it (-1: none). `by_client_key` is the action under the client's own key. `occupants` are other
    actions that occupy one of the targets. `run_status` is None for an unknown run.
    """

    leases: tuple[Lease, ...] = ()
    refused_by: str | None = None
    earlier: Action | None = None
    newest_generation: int = -1
    by_client_key: Action | None = None
    occupants: tuple[Action, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    run_status: RunStatus | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Facts to commit together: durable when the call returns, all or nothing.

    `actions` pairs the event with the action after it (`core.action.evolve` made it). `images` maps digests to canonical
    JSON; a digest that is there already is kept. `leases` must still be ours (checked in the same transaction) and
    `release` frees them there. `counters` are added to. `runs`, `approvals`, `queue` and `checkpoints` are written as given (insert or replace by id).
    """

    actions: tuple[tuple[Event, Action], ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict)
    approvals: tuple[Approval, ...] = ()
    runs: tuple[Run, ...] = ()
    queue: tuple[RecoveryItem, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    tenant: str = ""
    leases: tuple[Lease, ...] = ()
    release: tuple[Lease, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One read that passed through, for the access log (written in batches)."""

    tenant: str
    run: str
    principal: str
    upstream: str
    tool: str
    at: datetime
    ok: bool
    arguments_digest: str


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


class Ledger(Protocol):
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

    async def extend(self, leases: Sequence[Lease], until: datetime) -> None:
        """Prolong leases that are still ours.

        Raises:
            LeaseLost: one of them is not.
        """

    async def log_access(self, entry: AccessEntry) -> None:
        """Remember a read. Returns at once; written within 100 ms."""

    async def open_run(self, run: Run) -> None:
        """Insert a run, or do nothing when it is there."""

    async def run(self, tenant: str, run_id: str) -> Run:
        """One run. Raises NotFound."""

    async def runs(self, tenant: str, limit: int = 50) -> Sequence[Run]:
        """The most recently active runs first."""

    async def action(self, tenant: str, action_id: str) -> Action:
        """One action. Raises NotFound."""

    async def history(self, query: HistoryQuery) -> Page:
        """A page of actions."""

    async def events(self, tenant: str, action_id: str) -> Sequence[Event]:
        """The events of one action, in order. Raises NotFound."""

    async def later_writes(self, action: Action) -> Sequence[Action]:
        """Actions begun after this one on one of its targets, in any run of the tenant, that are in force, oldest first."""

    async def successor(self, tenant: str, action_id: str) -> Action | None:
        """The one action that repeats this one on purpose, where there is one."""

    async def compensations(self, tenant: str, action_id: str) -> Sequence[Action]:
        """Actions that undo or redo this one, oldest first."""

    async def image(self, digest: str) -> bytes:
        """Canonical JSON by digest. Raises NotFound."""

    async def approval(self, tenant: str, approval_id: str) -> Approval:
        """One approval. Raises NotFound."""

    async def approvals(self, tenant: str, *, pending_only: bool = True) -> Sequence[Approval]:
        """Approvals, oldest first."""

    async def queue(self, tenant: str, *, open_only: bool = True) -> Sequence[RecoveryItem]:
        """Recovery items, oldest first."""

    async def wait_for_change(self, tenant: str, action_id: str, version: int, timeout: float) -> None:
        """Return when the action has a higher version than `version`, or after `timeout` seconds at the latest."""

    async def secret(self, name: str) -> bytes:
        """32 random bytes, made at the first call for `name` and kept with the ledger (sealing, keyed digests)."""


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class Ids(Protocol):
    """Identifiers and jitter, as an argument."""

    def new(self, prefix: str) -> str:
        """A short identifier: the prefix letter and eight characters that are easy to read aloud."""

    def jitter(self) -> float:
        """A number from 0 to 1."""


# --- Compensations ---------------------------------------------------------------------------------------------------


class Impossible(Exception):
    """This compensation cannot take the action back; the message says why, for a person. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that a compensation may look at. `steps` were resolved when the action succeeded.

    `standoff` says which changed fields still hold what the action left. `keeps` are the arguments that a step's tool
    requires, by tool. Images are as stored: redacted values in them can be compared and never written.
    """

    action: Action
    steps: tuple[Step, ...]
    before: Image | None
    after: Image | None
    current: Image | None
    standoff: Standoff
    ignore: tuple[str, ...]
    reason: str
    keeps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        """Whether the target was read before the action, after it, and now: only then `standoff` tells anything."""
        return all(image is not None and image.readable for image in (self.before, self.after, self.current))


@dataclass(frozen=True, slots=True)
class Remedy:
    """The calls that take an action back, what must then be read, and what will be left over.

    `expected` maps fields (as `core.images.differences` names them, `*` for a whole target) to values. An empty one
    means that nothing can be read back, and the outcome is never *exact*.
    """

    steps: tuple[Step, ...]
    expected: Mapping[str, JSON] = field(default_factory=dict)
    residue: tuple[str, ...] = ()


class Compensation(Protocol):
    """One way of taking a write back, found under the entry point `takeback.compensations`."""

    @property
    def name(self) -> str:
        """How policies name it."""

    def plan(self, material: Material) -> Remedy:
        """What to call now. Pure.

        Raises:
            Impossible: it cannot be taken back this way.
        """


class CodedCompensation(Compensation, Protocol):
    """A compensation that acts by code of its own instead of tools: each step's tool is `python.<name>`."""

    async def carry_out(self, step: Step) -> Mapping[str, Any]:
        """Do one step, bounded in time, and return a tool result (`content`, perhaps `isError`).

        Raises:
            ToolFailure: as a tool client would.
        """


# --- The agent's own tools -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf something is done. `tenant` and `principal` come from authentication or the operator's settings.

    `person` is true for a human at the command line or the console, never for anything that an agent can call.
    """

    tenant: str
    principal: str
    run: str
    client: str = ""
    trace: str | None = None
    person: bool = False


class AgentUseCases(Protocol):
    """What the agent's own tools can ask for. Nothing in here approves anything."""

    async def history(
        self, caller: Caller, *, text: str | None, action: str | None, needs_attention: bool, cursor: str | None
    ) -> str:
        """One line an entry, or the correction trail of one action."""

    async def undo(self, caller: Caller, *, what: str | None, reason: str, confirm: str | None) -> UndoAnswer:
        """Take back an action of the caller's own run, or preview it."""

    async def repeat(self, caller: Caller, *, action: str, reason: str) -> Mapping[str, Any]:
        """Create the successor of an action and return a tool result."""


@dataclass(frozen=True, slots=True)
class UndoAnswer:
    """What an undo came to, in words; `ok` is false when it was refused or failed."""

    text: str
    ok: bool
    action: str | None = None
    outcome: str | None = None
    confirm: str | None = None
