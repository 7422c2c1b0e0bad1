"""What a policy file may say. Every key has its meaning beside it; unknown keys are errors.

Keys that sections of the design promise for later versions are here too (so that no key changes its name), and listed
in `takeback.core.policy.later`, where loading refuses them with that message.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from takeback.core.expressions import Template
from takeback.core.policy.apis import Auth, Operation
from takeback.core.policy.plans import Plans
from takeback.core.policy.table import TABLE
from takeback.core.policy.values import Args, Duration, Expr
from takeback.core.vocabulary import ActionClass, Does, Effect, PauseFrom, Risk


class _Table(BaseModel):
    model_config = TABLE


class Retry(_Table):
    """How the guard itself retries what is transient: `attempts` in all, exponential from `backoff` up to `max`."""

    attempts: int = Field(default=3, ge=1, le=20)
    backoff: Duration = timedelta(milliseconds=500)
    max: Duration = timedelta(seconds=10)


class Limits(_Table):
    """Bounds on the blast radius. `same_call`: equal calls in a row without progress before a loop is stopped."""

    writes_per_run: int = Field(default=200, ge=0)
    deletes_per_run: int = Field(default=20, ge=0)
    writes_per_principal: int | None = Field(default=None, ge=0, description="a day")
    deletes_per_principal: int | None = Field(default=None, ge=0, description="a day")
    calls_per_tool: int | None = Field(default=None, ge=0, description="writes of one tool in one run")
    same_call: int = Field(default=5, ge=1)


class LedgerTable(_Table):
    """Where the ledger lies: `sqlite+aiosqlite:///...` or `postgresql+asyncpg://...`.

    `lease` is how long a guard that dies keeps the others off what it was at.
    """

    url: str = "sqlite+aiosqlite:///${STATE}/takeback.db"
    lease: Duration = timedelta(seconds=20)


class Retention(_Table):
    """How long the ledger keeps what is settled; left out, for ever.

    `images`: what was read and returned, after the last change of an action that refers to it. `runs`: whole runs,
    after the last that happened in them; a tombstone of each action stays. Without `images`, images stay as long as
    runs.
    """

    images: Duration | None = None
    runs: Duration | None = None


class Defaults(_Table):
    """What holds where a rule says nothing."""

    unknown_tools: Literal["deny", "ask", "allow"] = "ask"
    approval: Risk = Risk.HIGH
    approval_expires: Duration = timedelta(hours=1)
    timeout: Duration = timedelta(seconds=30)
    join_within: Duration = timedelta(seconds=20)
    retry: Retry = Retry()
    limits: Limits = Limits()
    announce: bool = True
    tenant: str = Field(default="default", min_length=1)
    user: str = Field(default="local", min_length=1)
    pause: PauseFrom = "medium"
    reads_without_ledger: bool = False
    agent_tools: tuple[Literal["checkpoint", "plan"], ...] = ()
    trace_link: str | None = Field(default=None, description="where a trace is looked at; `{trace}` stands for its id")


class Idempotency(_Table):
    """How a key travels to the upstream, and how long it protects there."""

    header: str | None = None
    argument: str | None = None
    meta: str | None = None
    valid_for: Duration = timedelta(hours=24)
    stores_errors: bool = False


class BreakerTable(_Table):
    """The circuit breaker of an upstream: after so many `failures` in a row it is left alone for `rest`."""

    failures: int = Field(default=5, ge=1)
    rest: Duration = timedelta(seconds=10)


class Upstream(_Table):
    """A real system behind the guard: an MCP server (`command`, `url`) or an HTTP API (`openapi`, `operation`)."""

    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    transport: Literal["stdio", "http", "sse"] | None = None
    headers: dict[str, str] = {}
    openapi: str | None = None
    base_url: str | None = None
    operation: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], Operation] = {}
    auth: Auth | None = None
    tags: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    pin: Literal["first-use", "strict", "off"] = "first-use"
    idempotency: Idempotency | None = None
    lands_within: Duration | None = None
    read_lag: Duration = timedelta(0)
    timeout: Duration | None = None
    start_timeout: Duration = timedelta(seconds=30)
    breaker: BreakerTable | Literal["off"] = BreakerTable()
    stateful: bool = False

    @property
    def kind(self) -> Literal["mcp", "http"]:
        """Which connector it takes."""
        is_api = self.openapi is not None or self.base_url is not None or bool(self.operation)
        return "http" if is_api and self.command is None and self.url is None else "mcp"


class Call(_Table):
    """A call that the guard makes itself: `tool` with its upstream, and `args`, whose strings are expressions."""

    tool: str
    args: Args = Template({})


class Read(Call):
    """How a target is read. `select` picks the record out of `result`; `absent` says when it is not there."""

    select: Expr | None = None
    absent: Expr | None = None


class Probe(Call):
    """A search that settles whether a `once` call took effect: `found` over the search's `result`."""

    found: Expr


class Undo(Call):
    """One call that takes the write back; several make a chain.

    `when` picks the calls that apply to what the write did (`before == null`: it created the target). `compensation`
    names the way (an entry point); left out, it follows from what the write did.
    """

    when: Expr | None = None
    compensation: str | None = None


class NamedUndo(_Table):
    """A way back that needs code: a compensation registered under `takeback.compensations`."""

    compensation: str
    options: dict[str, Any] = {}


class TargetSpec(_Table):
    """A thing that the call changes. `name` tells several apart; `canonical` brings spellings of one `id` together."""

    type: str
    id: Expr
    name: str = "target"
    label: Expr | None = None
    resource: Expr | None = None
    canonical: Literal["exact", "trim", "lower", "path"] | Expr = "exact"
    read: Read | None = None


class Condition(_Table):
    """What makes a write conditional on nobody having changed the target since it was read.

    The version travels as a `header` or as an `argument`. It is the one that the read gave (an ETag), or `version`, an
    expression over what was read. `target` names whose version it is where there are several. `failed` recognises, over
    `error`, how a tool says that the condition did not hold; over HTTP that is the status 412.
    """

    header: str | None = None
    argument: str | None = None
    version: Expr | None = None
    target: str | None = None
    failed: Expr | None = None


class Poll(Call):
    """How a job that was only accepted is followed until it is done. All expressions are over the `result`.

    `when` says, over the write's own result, whether there is a job to follow (left out: over HTTP the status 202,
    elsewhere always). `args` are over that result, too; `done` and `failed` are over the poll's.
    """

    done: Expr
    failed: Expr | None = None
    when: Expr | None = None
    every: Duration = timedelta(seconds=2)
    within: Duration = timedelta(minutes=5)


class KeyedList(_Table):
    """A list whose elements are told apart by one of their fields."""

    key: str = Field(min_length=1)


ListKind = Literal["set", "lines"] | KeyedList
"""How the parts of a value are told apart: elements by what they are, a text by its lines, elements by their key."""


class Children(Call):
    """What may hang on a created record: a call that lists it, and `ids` over its `result`.

    The record is deleted only while nothing of somebody else's hangs on it. `type` is the type of target under which
    the ledger knows children that were created through the guard.
    """

    type: str
    ids: Expr


class Use(_Table):
    """A target that the call depends on without writing it: undoing its creation takes this call back first."""

    type: str
    id: Expr


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


class Rule(_Table):
    """What one tool does, and what the guard does about it. The first rule that matches a call wins."""

    tool: str = Field(min_length=3, description="upstream.tool; * and ? match")
    id: str | None = Field(default=None, description="the rule's name in decisions; its number and tool otherwise")
    when: Expr | None = Field(default=None, description="matches only calls for which this is true, over args")
    action_class: ActionClass = Field(alias="class")
    effect: Effect = Effect.ONCE
    does: Does | None = None
    risk: Risk | None = None
    approval: Literal["always", "never"] | Risk | Expr | None = None
    target: Annotated[tuple[TargetSpec, ...], BeforeValidator(_as_tuple)] = ()
    read: Read | None = None
    require: Expr | None = None
    verify: Expr | None = None
    writes: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    operation: Expr | None = None
    duplicates: Literal["retry", "meant", "ask"] = "retry"
    by: dict[str, Expr] = {}
    lists: dict[str, ListKind] = {}
    undo: Annotated[tuple[Undo | NamedUndo, ...], BeforeValidator(_as_tuple)] | Literal["none"] | None = None
    undo_within: Duration | None = None
    correct: Call | None = None
    probe: Probe | None = None
    result: Expr | None = None
    idempotency: Idempotency | None = None
    lands_within: Duration | None = None
    read_lag: Duration | None = None
    timeout: Duration | None = None
    retry: Retry | None = None
    limits: Limits | None = None
    polling: bool = False
    redact: tuple[str, ...] = ()
    confirm: Literal["person"] | None = None
    children: Annotated[tuple[Children, ...], BeforeValidator(_as_tuple)] = ()
    uses: Annotated[tuple[Use, ...], BeforeValidator(_as_tuple)] = ()
    condition: Condition | Literal["none"] | None = None
    poll: Poll | None = None
    stale: Literal["refuse", "allow"] | None = None
    auto_compensate: bool | None = None

    @property
    def is_read(self) -> bool:
        """Whether the rule says that the tool only reads."""
        return self.action_class is ActionClass.READ_ONLY

    @property
    def effective_risk(self) -> Risk:
        """The rule's risk; irreversible classes are high unless the rule says otherwise in as many words."""
        if self.risk is not None:
            return self.risk
        by_class = {ActionClass.EXTERNAL_IRREVERSIBLE: Risk.HIGH, ActionClass.WORKFLOW: Risk.HIGH}
        by_class |= {ActionClass.DRAFT: Risk.LOW, ActionClass.READ_ONLY: Risk.LOW}
        return by_class.get(self.action_class, Risk.MEDIUM)

    @property
    def effective_does(self) -> Does:
        """What the write does; an update where the rule does not say."""
        if self.does is not None:
            return self.does
        if self.action_class is ActionClass.EXTERNAL_IRREVERSIBLE:
            return Does.SEND
        return Does.CREATE if self.action_class is ActionClass.DRAFT and self.effect is Effect.ONCE else Does.UPDATE


class PolicyFile(_Table):
    """The whole file."""

    ledger: LedgerTable = LedgerTable()
    retention: Retention = Retention()
    defaults: Defaults = Defaults()
    upstream: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")], Upstream] = {}
    plans: Plans = Plans()
    rule: tuple[Rule, ...] = ()
    tenants: dict[str, Any] | None = None
    console: dict[str, Any] | None = None
