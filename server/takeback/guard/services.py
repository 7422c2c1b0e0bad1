"""What every use case of the guard works with, and the work that one guarded call is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

from takeback.core.action import Action, Event, lease_names
from takeback.core.images import MAX_IMAGE_BYTES, Image
from takeback.core.jsontext import JSON
from takeback.core.limits import LoopWatch
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.policy.decide import Decision, decide
from takeback.core.policy.load import Policy
from takeback.core.queue import RecoveryItem, Settled
from takeback.core.redaction import bounded, hidden, redact, redact_result, scrub
from takeback.core.states import Happening
from takeback.core.verification import Verification
from takeback.core.vocabulary import Origin, RetryLayer
from takeback.guard.catalog import Catalog, Entry
from takeback.guard.keeping import Keeper
from takeback.guard.readings import Reading
from takeback.guard.spending import Spending
from takeback.guard.turns import Turns
from takeback.ports import Caller, Clock, Compensation, Ids, Ledger, Processes, ProgressSink

T = TypeVar("T")

HAND_OVER: Final = 5.0
"""Seconds for writing down what is left to another guard when this one stops."""

_LONGEST_TEXT: Final = 2000


@dataclass(slots=True)
class Listener:
    """Whoever waits for the answer to a call. Once it has left, nothing more is begun for it; what was is recorded.

    `cancelled`: it had called, and took that back or went away.
    """

    left: bool = False
    cancelled: bool = False

    def cancel(self) -> None:
        """It does not wait any more."""
        self.left = self.cancelled = True


class Tasks:
    """Work that must go on when the caller has gone: held here until it is done, and waited for at the end."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`; when the awaiting task is cancelled, the work goes on."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin `work`, which nobody waits for and which reports its failures by itself."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen: whoever awaited it has it, or has gone

    async def done(self) -> None:
        """Wait for everything that was begun. Unbounded: whoever waits may be cancelled."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def drain(self, within: float) -> None:
        """Wait for what is in flight, at most `within` seconds. What is not done by then is told to hand over."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=within)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=HAND_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The guard's surroundings. `advisory` says that whoever runs the agent could also approve by themselves.

    `instance` names this guard among those of the ledger, by its process where the system tells. `known_runs` are those
    that the ledger knows for sure, each with its predecessor.
    """

    policy: Policy
    ledger: Ledger
    catalog: Catalog
    compensations: Mapping[str, Compensation]
    clock: Clock
    ids: Ids
    redaction_key: bytes
    keeper: Keeper
    processes: Processes
    instance: str
    advisory: bool = True
    watch: LoopWatch = field(default_factory=LoopWatch)
    turns: Turns = field(default_factory=Turns)
    tasks: Tasks = field(default_factory=Tasks)
    spending: Spending = field(default_factory=Spending)
    known_runs: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def decide(self, caller: Caller, tool: str, arguments: Mapping[str, JSON]) -> Decision:
        """What the policy says of a call of `tool` (as it names tools) by this caller. Raises Undecidable."""
        return decide(self.policy, tool, arguments, tenant=caller.tenant, user=caller.principal, run=caller.run)

    def kept_whole(self, arguments: Mapping[str, JSON], fields: tuple[str, ...]) -> bool:
        """Whether arguments are kept as they are, with nothing of them redacted."""
        return bool(self.redacted(dict(arguments), fields) == arguments)

    def redacted(self, value: JSON, fields: tuple[str, ...]) -> JSON:
        """A value as it may be stored."""
        return redact(value, fields=fields, key=self.redaction_key)

    def stored_image(self, image: Image, fields: tuple[str, ...]) -> Image:
        """An image as it may be stored: without what must not be kept, and of a bounded size."""
        return Image(tuple(replace(part, value=self.stored_value(part.value, fields)) for part in image.parts))

    def stored_value(self, value: JSON, fields: tuple[str, ...]) -> JSON:
        """A value as it may be stored: redacted, and of a bounded size."""
        return bounded(self.redacted(value, fields), most=MAX_IMAGE_BYTES, key=self.redaction_key)

    def masked(self, value: JSON, hide: frozenset[str]) -> JSON:
        """A value, or its mark when it repeats what must not be kept."""
        repeats = isinstance(value, str | int) and scrub(str(value), hide) != str(value)
        return self.redacted({"value": value}, ("value",))["value"] if repeats or str(value) in hide else value

    def stored_result(self, result: Mapping[str, Any], work: Work) -> JSON:
        """A tool's result as it may be stored."""
        hide = hidden(work.arguments, work.redact)
        return redact_result(result, fields=work.redact, key=self.redaction_key, hide=hide)

    def stored_text(self, text: str, work: Work) -> str:
        """What an upstream said, as it may be stored: bounded, without what the call must not leave behind."""
        return scrub(text, hidden(work.arguments, work.redact) | self.policy.secrets)[:_LONGEST_TEXT]

    def stored_why(self, failure: Exception | None, work: Work) -> str:
        """Why something did not come to its end, on one line of a sentence, as it may be stored."""
        return one_line(self.stored_text(str(failure), work), LONGEST_REASON)

    def holder(self) -> str:
        """A name under which to take leases: whoever meets it can tell whether this process still lives."""
        return f"{self.ids.new('h')}@{self.instance}"

    def is_gone(self, holder: str | None) -> bool:
        """Whether a holder of leases has provably ended."""
        return holder is not None and self.processes.is_gone(holder.partition("@")[2])

    @property
    def join_within(self) -> timedelta:
        """How long a call waits for an equal one, or for its target."""
        return self.policy.file.defaults.join_within


class Purpose(Protocol):
    """What a piece of guarded work is for: an agent's call, or an undo. The execution asks it at each turning point."""

    async def ready(self, work: Work, before: Image | None) -> dict[str, JSON]:
        """The arguments to send, seen the before-image. Raises `Refusal` when it must not run."""

    def located(self, work: Work, result: JSON) -> Work:
        """The work with the targets and reads that only the tool's result names."""

    def declares(self, work: Work, before: Image | None) -> tuple[str, ...]:
        """The fields that it means to write, of those that its arguments name."""

    def check(
        self, work: Work, sent: Mapping[str, JSON], before: Image | None, after: Image | None, result: JSON
    ) -> Verification:
        """What reading back shows."""

    def companions(self, happening: Happening, action: Action, event: Event) -> tuple[tuple[Event, Action], ...]:
        """What happens to other actions in the same commit."""

    def queued(self) -> tuple[RecoveryItem, ...]:
        """What a person must look at, in the same commit, once the companions are moved."""

    def settles(self, action: Action) -> tuple[Settled, ...]:
        """What a person need not look at any more, once `action` and its companions stand as they do."""

    def conclusions(
        self, work: Work, before: Image | None, after: Image | None, verification: Verification, result: JSON
    ) -> dict[str, Any]:
        """Fields of the action that follow from its success, for the same commit."""


class Refusal(Exception):
    """A call is not executed; the message is the whole text for the model. Nothing was changed by it.

    `layer` says whose turn it is next; `why` is for the ledger, where that is to say more than the decision does.
    """

    def __init__(self, message: str, *, layer: RetryLayer = RetryLayer.HUMAN, why: str = "") -> None:
        super().__init__(message)
        self.layer, self.why = layer, why


def caller_of(action: Action) -> Caller:
    """On whose behalf an action was made, for whoever goes on with it when its caller has gone."""
    return Caller(
        tenant=action.tenant, principal=action.principal, run=action.run, client=action.client, trace=action.trace
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One guarded call, decided and ready to be carried out.

    `meant` is what tells its operation from others on the same tool and targets, where that belongs to a run;
    `inherits` is what the operation was called in the run before. `agreed` is what a person agreed to with the plan
    that it is a step of: a digest as an approval has one, or "" where what it changes could not be known then.
    `takes_back` is the tool whose work it takes back by code, for the stop switch. `on_a_word`: a person wants it tried
    now, so that a pause of its run does not stop it.
    """

    caller: Caller
    entry: Entry
    arguments: dict[str, JSON]
    decision: Decision
    operation: str
    fingerprint: str
    readings: tuple[Reading, ...]
    variables: Mapping[str, JSON]
    purpose: Purpose
    redact: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    origin: Origin = Origin.AGENT
    original: str | None = None
    reason: str | None = None
    client_key: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    progress: ProgressSink | None = None
    listener: Listener = field(default_factory=Listener)
    side_by_side: bool = False
    marks: Mapping[str, int] = field(default_factory=dict)
    meant: JSON = None
    inherits: str | None = None
    agreed: str | None = None
    takes_back: str = ""
    on_a_word: bool = False

    @property
    def lease_names(self) -> tuple[str, ...]:
        """What leases are taken on."""
        return lease_names(self.caller.tenant, self.decision.targets, self.operation)
