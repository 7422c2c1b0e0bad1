"""An action: one logical operation of an agent on real targets, from proposal to recovery.

The current row of an action is the fold of its events through `evolve`; nothing else changes an action.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.core.phrases import one_line
from takeback.core.states import OCCUPYING, Happening, next_status
from takeback.core.vocabulary import COMPENSATIONS, ActionClass, Does, Effect, Origin, Risk, Status, Verified

PLAN: Final = ("takeback", "plan")
"""The upstream and the tool by which a plan stands in the ledger."""

LONGEST_NAME: Final = 300
"""How much of an id is shown to people and models; it comes from elsewhere."""
_LONGEST_LABEL: Final = 80


@dataclass(frozen=True, slots=True)
class Target:
    """A thing that an action changes.

    `type` and `id` name it; `id` is canonical (spellings of one id brought together). `name` tells several targets of
    one action apart in expressions; `label` is for people and never part of identity. `resource` names the thing
    behind two upstreams where the rule knows one.
    """

    type: str
    id: str
    name: str = "target"
    label: str | None = None
    resource: str | None = None

    @property
    def lease_name(self) -> str:
        """What a lease is taken on."""
        return self.resource or f"{self.type}:{self.id}"

    @property
    def human(self) -> str:
        """How a person would call it: the id, with the label behind it where there is one."""
        name = one_line(self.id, LONGEST_NAME)
        return f"{name} ({one_line(self.label, _LONGEST_LABEL)})" if self.label and self.label != self.id else name


def lease_names(tenant: str, targets: Iterable[Target], operation: str) -> tuple[str, ...]:
    """What leases are taken on: the targets, or the operation itself where there is no target."""
    names = {target.lease_name for target in targets} or {f"operation:{operation}"}
    return tuple(sorted(f"{tenant}/{name}" for name in names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """The current state of an action. Digests are SHA-256 in hexadecimal; times are aware and in UTC.

    `version` counts the action's events; a writer that saw another version is refused. `in_force` says whether an
    effect of the action stands in the world: set when the effect was read or reported, cleared when it was taken
    back, set again by a redo. `arguments` are as stored, after redaction, and are never sent anywhere.
    `original` is the action that this one undoes, redoes or repeats. `found_before` says whether its probe had found
    what it looks for already before the action was sent (None: it was not asked, or gave no answer).
    """

    id: str
    tenant: str
    run: str
    principal: str
    upstream: str
    tool: str
    arguments: JSON
    targets: tuple[Target, ...]
    operation: str
    generation: int
    key: str
    fingerprint: str
    action_class: ActionClass
    effect: Effect
    does: Does
    risk: Risk
    rule: str
    policy_digest: str
    created_at: datetime
    updated_at: datetime
    status: Status
    version: int = 1
    verified: Verified = Verified.NOT_YET
    in_force: bool = False
    client: str = ""
    client_key: str | None = None
    origin: Origin = Origin.AGENT
    original: str | None = None
    reason: str | None = None
    attempts: int = 0
    approval: str | None = None
    before: str | None = None
    after: str | None = None
    result: str | None = None
    fields: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    mismatch: JSON = None
    error: JSON = None
    compensation: JSON = None
    compensated_by: str | None = None
    forecast: JSON = None
    outcome: JSON = None
    trace: str | None = None
    deadline: datetime | None = None
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    found_before: bool | None = None

    @property
    def name(self) -> str:
        """The tool with its upstream, as policies name it: `helpdesk.update_ticket`."""
        return f"{self.upstream}.{self.tool}"

    @property
    def is_plan(self) -> bool:
        """Whether it is a plan. Its class, `workflow`, is also that of one call that does several things."""
        return self.action_class is ActionClass.WORKFLOW and (self.upstream, self.tool) == PLAN

    @property
    def occupies(self) -> bool:
        """Whether it keeps other writes off its targets: under way, or a person must say whether it took effect."""
        return self.status in OCCUPYING or (self.status is Status.NEEDS_OPERATOR and not self.in_force)

    @property
    def is_unread(self) -> bool:
        """Whether an effect stands that could not be read back yet."""
        told = self.is_plan or self.origin in COMPENSATIONS or self.verified is not Verified.NOT_YET
        return self.status is Status.SUCCEEDED and self.in_force and not told

    @property
    def ended_at(self) -> datetime:
        """When its outcome was recorded; of one that has none yet, when it last changed."""
        return self.settled_at or self.updated_at

    @property
    def lease_names(self) -> tuple[str, ...]:
        """The leases that whoever works on it holds."""
        return lease_names(self.tenant, self.targets, self.operation)


@dataclass(frozen=True, slots=True)
class Event:
    """One appended fact about one action.

    `seq` is 1 for the first event of an action and the action's `version` after it. `changes` holds the fields of
    `Action` that it sets (never `status`, which follows from the table, nor the identity); `detail` is for readers.
    """

    action: str
    seq: int
    happening: Happening
    at: datetime
    actor: str
    changes: dict[str, Any] = field(default_factory=dict)
    detail: str = ""


_FIELDS: Final = frozenset(f.name for f in fields(Action))
_DERIVED: Final = frozenset({"id", "status", "version", "updated_at", "created_at"})


class IllegalChange(Exception):
    """An event tried to set a field that no event may set. Nothing was changed."""


BEGUN: Final = frozenset({
    "tenant", "run", "principal", "client", "trace", "upstream", "tool", "operation", "generation", "key",
    "fingerprint", "client_key", "action_class", "effect", "does", "risk", "rule", "policy_digest", "origin",
    "original", "reason",
})  # fmt: skip
"""What an action is, which its first event says once and for all."""


def evolve(action: Action, event: Event) -> Action:
    """The action after one more event.

    Raises:
        IllegalTransition: the table does not let this happen to the action as it stands.
        IllegalChange: the event is not the action's next one, or sets a field that only follows from others
            or was said when the action began.
    """
    if event.action != action.id or event.seq != action.version + 1:
        raise IllegalChange(
            f"event {event.seq} of {event.action} does not follow version {action.version} of {action.id}"
        )
    _refuse_derived(event)
    if begun := BEGUN & event.changes.keys():
        raise IllegalChange(f"event {event.seq} of {event.action} cannot set {', '.join(sorted(begun))} anew")
    status = next_status(action.status, event.happening)
    return replace(action, status=status, version=event.seq, updated_at=event.at, **event.changes)


def begin(event: Event) -> Action:
    """The action that its first event creates; `changes` then holds every field that has no default.

    Raises:
        IllegalTransition: an action cannot begin this way.
        IllegalChange: the event is not a first one, or sets a field that only follows from others.
    """
    if event.seq != 1:
        raise IllegalChange(f"event {event.seq} cannot be the first of {event.action}")
    _refuse_derived(event)
    status = next_status(None, event.happening)
    return Action(id=event.action, status=status, created_at=event.at, updated_at=event.at, **event.changes)


def _refuse_derived(event: Event) -> None:
    odd = (event.changes.keys() - _FIELDS) | (event.changes.keys() & _DERIVED)
    if odd:
        raise IllegalChange(f"an event cannot set {', '.join(sorted(odd))}")
