"""`queue`, `resolve`, `assign`, `comment`: what needs a look, and a person's word on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar, cast

import typer

from takeback.bootstrap import Guard
from takeback.cli.acting import Reason, for_people
from takeback.cli.context import (
    DEFAULT_POLICY,
    AsJson,
    PolicyPath,
    Tenant,
    person,
    person_caller,
    tenant_of,
    with_guard,
)
from takeback.cli.looking import jsonable
from takeback.cli.output import Exit, agreed, emit, fail, say, table
from takeback.core.jsontext import JSON
from takeback.core.policy.values import parse_duration
from takeback.core.queue import QueueState
from takeback.core.tracing import TraceLinks
from takeback.core.vocabulary import Risk
from takeback.core.wording import targets_of
from takeback.guard.deciding import Decision
from takeback.guard.entries import NotResolvable
from takeback.guard.handling import Resolved
from takeback.ports import QueueEntry, QueuePage, QueueQuery

T = TypeVar("T")

Entry = Annotated[str, typer.Argument(help="The entry, or its action.")]

_RESUME, _COMPENSATE = "resume", "compensate"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (queue, resolve, assign, comment):
        app.command()(command)


def queue(
    text: Annotated[str | None, typer.Option("--text", help="Words in tools, targets, reasons and comments.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Only this run.")] = None,
    risk: Annotated[Risk | None, typer.Option("--risk", help="Only this risk.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what is assigned to you.")] = False,
    assignee: Annotated[
        str | None, typer.Option("--assignee", help="Only what is assigned to this person; '' for nobody.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Only what has waited for longer, as in 2h or 3d.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Closed entries, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """What needs a look, the longest waiting first. `takeback show ENTRY` tells all about one."""
    if mine and assignee is not None:
        fail("Choose one of --mine and --assignee.", Exit.USAGE)
    age = _age(older_than)

    async def work(guard: Guard) -> tuple[QueuePage, datetime, TraceLinks]:
        now = guard.use_cases.services.clock.now()
        query = QueueQuery(
            tenant=tenant_of(guard, tenant),
            text=text,
            run=run,
            risk=risk,
            assignee=person() if mine else assignee,
            before=now - age if age is not None else None,
            open_only=not everything,
            limit=limit,
            cursor=cursor,
        )
        return await guard.use_cases.queue(query), now, guard.use_cases.traces

    page, now, traces = with_guard(policy, work)
    if as_json:
        emit({"entries": [entry_json(entry, traces) for entry in page.entries], "cursor": page.cursor})
        return
    columns = ("entry", "state", "action", "tool", "target", "risk", "waits", "assigned to", "why")
    table(columns, [_row(entry, now) for entry in page.entries], empty="Nothing needs a look.")
    if page.cursor:
        say(f"More: --cursor {page.cursor}")


def _age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except (ValueError, OverflowError):
        fail(f"{text!r} is no time span: write one as 30m, 2h or 3d.", Exit.USAGE)


def _row(entry: QueueEntry, now: datetime) -> tuple[str, ...]:
    item, action = entry.item, entry.action
    return (
        item.id,
        item.decision or "closed" if item.closed_at is not None else state_text(entry),
        item.action,
        action.tool if action is not None else "",
        targets_of(action.targets) if action is not None else "",
        item.risk.value,
        waited((item.closed_at or now) - item.opened_at),
        item.assignee or "",
        item.why,
    )


def state_text(entry: QueueEntry) -> str:
    """Where an entry stands, for people."""
    item = entry.item
    return f"{item.handler}: {item.handling}" if entry.state is QueueState.HANDLING else entry.state.value


def waited(span: timedelta) -> str:
    """For how long, in its two largest units at the most."""
    minutes = max(int(span.total_seconds()) // 60, 0)
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def entry_json(entry: QueueEntry, traces: TraceLinks) -> JSON:
    """An entry for programs."""
    action = entry.action
    about: dict[str, Any] = {"state": entry.state.value, "request": entry.request, **traces.beside(entry.traced)}
    if action is not None:
        about |= {
            "tool": action.name,
            "targets": [target.human for target in action.targets],
            "status": action.status.value,
        }
    return jsonable(asdict(entry.item) | {"cause": entry.item.cause.value} | about)


def resolve(
    entry: Entry,
    reason: Reason,
    resume: Annotated[bool, typer.Option("--resume", help="Look again, or try it again, now.")] = False,
    compensate: Annotated[bool, typer.Option("--compensate", help="Take back what it did.")] = False,
    took_effect: Annotated[bool, typer.Option("--took-effect", help="You looked: it took effect.")] = False,
    no_effect: Annotated[bool, typer.Option("--no-effect", help="You looked: it had no effect.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Close it; what is known of it stays as it is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --compensate: do not ask after the preview.")] = False,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Decide about an entry of the queue: resume or take back its action, say what became of it, or close it."""
    options = (
        (_RESUME, resume),
        (_COMPENSATE, compensate),
        ("took_effect", took_effect),
        ("no_effect", no_effect),
        ("close", close),
    )
    chosen = [decision for decision, wanted in options if wanted]
    if len(chosen) != 1:
        names = "--resume, --compensate, --took-effect, --no-effect and --close"
        fail(f"Nothing was decided: choose one of {names}.", Exit.USAGE)
    if chosen[0] in {_RESUME, _COMPENSATE}:
        _carry_out(entry, chosen[0], reason, policy, tenant, yes=yes, as_json=as_json)
        return

    async def work(guard: Guard) -> Any:
        owner, decision = tenant_of(guard, tenant), cast(Decision, chosen[0])
        return await guard.use_cases.resolve(owner, entry, decision=decision, by=person(), reason=reason)

    item, action = _decided(policy, work)
    if as_json:
        emit({"entry": item.id, "decision": item.decision, "action": action.id, "status": action.status.value})
    else:
        say(f"{item.id} is closed ({item.decision}); action {action.id} is {action.status.value}.")


def _carry_out(
    entry: str, decision: str, reason: str, policy: Any, tenant: str | None, *, yes: bool, as_json: bool
) -> None:
    """What needs the upstreams: they are started, and the entry is claimed for as long as it takes."""

    async def work(guard: Guard) -> Resolved:
        use_cases, owner = guard.use_cases, tenant_of(guard, tenant)
        if decision == _RESUME:
            return await use_cases.resume(owner, entry, by=person(), reason=reason)
        caller = person_caller(guard, tenant, "")
        found = await use_cases.compensate(caller, entry, reason=reason)
        if found.confirm is None:
            return found
        if not yes and not agreed(for_people(found.text), "Go on?", aside=as_json):
            raise NotResolvable(f"nobody agreed; {found.entry.item.id} is as it was")
        return await use_cases.compensate(caller, entry, reason=reason, confirm=found.confirm)

    found = _decided(policy, work, upstreams=True, tenant=tenant)
    item, action = found.entry.item, found.action
    if as_json:
        emit(
            {
                "entry": item.id,
                "state": found.entry.state.value,
                "decision": item.decision,
                "action": action.id,
                "status": action.status.value,
                "text": found.text,
            }
        )
    else:
        ends = f"{item.id} is closed ({item.decision})" if found.done else f"{item.id} stays open: {item.why}"
        say(f"{found.text}\n{ends}; action {action.id} is {action.status.value}.")
    if not found.done:
        raise typer.Exit(Exit.REFUSED)


def assign(
    entry: Entry,
    to: Annotated[str | None, typer.Argument(help="The person; left out, nobody.")] = None,
    me: Annotated[bool, typer.Option("--me", help="To yourself.")] = False,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Make an entry of the recovery queue somebody's, or nobody's."""
    if me and to is not None:
        fail("Nothing was assigned: name a person, or --me.", Exit.USAGE)

    async def work(guard: Guard) -> Any:
        whom = person() if me else to
        return await guard.use_cases.assign(tenant_of(guard, tenant), entry, to=whom, by=person())

    item = _decided(policy, work)
    if as_json:
        emit({"entry": item.id, "assignee": item.assignee})
    else:
        say(f"{item.id} is assigned to {item.assignee or 'nobody'}.")


def comment(
    entry: Entry,
    text: Annotated[str, typer.Argument(help="What is to be remembered of it.")],
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Say something of an entry of the recovery queue; it is kept with who and when."""

    async def work(guard: Guard) -> Any:
        return await guard.use_cases.comment(tenant_of(guard, tenant), entry, by=person(), text=text)

    said = _decided(policy, work)
    if as_json:
        emit(jsonable(asdict(said)))
    else:
        say(f"{said.item}: noted.")


def _decided(
    policy: Any,
    work: Callable[[Guard], Awaitable[T]],
    *,
    upstreams: bool = False,
    tenant: str | None = None,
) -> T:
    """What a decision came to; one that does not fit, or comes too late, is said on standard error."""
    try:
        return with_guard(policy, work, upstreams=upstreams, one_must_start=upstreams, tenant=tenant)
    except NotResolvable as problem:
        fail(f"Nothing was decided: {problem}.", Exit.REFUSED)
