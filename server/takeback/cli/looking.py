"""`runs`, `history`, `explain`, `approvals`: what was done, for people and programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from takeback.bootstrap import Guard
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, Tenant, tenant_of, with_guard
from takeback.cli.output import emit, say, table
from takeback.core.action import Action
from takeback.core.jsontext import JSON
from takeback.core.pausing import worries
from takeback.core.run_state import RunState
from takeback.core.tracing import TraceLinks
from takeback.core.vocabulary import Status
from takeback.core.voice import Audience
from takeback.core.wording import shown
from takeback.guard import history as stories
from takeback.ports import HistoryQuery, Page

Run = Annotated[str | None, typer.Option("--run", help="Only this run.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (runs, account, history, explain, approvals):
        app.command()(command)


def runs(policy: PolicyPath = DEFAULT_POLICY, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """The runs, the most recently active first."""

    async def work(guard: Guard) -> tuple[Any, TraceLinks]:
        return await guard.use_cases.runs(tenant_of(guard, tenant)), guard.use_cases.traces

    found, traces = with_guard(policy, work)
    if as_json:
        emit([_run_json(state, traces) for state in found])
        return
    rows = [_run_row(state) for state in found]
    head = ("run", "status", "principal", "client", "opened (UTC)", "active (UTC)", "paused by")
    table(head, rows, empty="No runs yet.")


def _run_json(state: RunState, traces: TraceLinks) -> Any:
    here = {"status": state.status, "active_at": state.active_at, **traces.beside(state.run.trace)}
    return jsonable({**asdict(state.run), **here, "paused_by": [asdict(concern) for concern in state.paused_by]})


def _run_row(state: RunState) -> tuple[str, ...]:
    run, opened, active = state.run, state.run.opened_at, state.active_at
    times = f"{opened:%Y-%m-%d %H:%M:%S}", f"{active:%Y-%m-%d %H:%M:%S}"
    return run.id, state.status.value, run.principal, run.client, *times, worries(state.paused_by)


def account(
    run: Annotated[str, typer.Argument(help="The run's id, as `takeback runs` lists it.")],
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """A run's account: what exactly was changed, whether it can be undone, and what is proven to be back."""

    async def work(guard: Guard) -> Any:
        return await guard.use_cases.account(tenant_of(guard, tenant), run)

    found = with_guard(policy, work)
    if as_json:
        emit(found.document())
    else:
        say(found.text())


def history(
    text: Annotated[str | None, typer.Argument(help="Words to look for in tools and targets.")] = None,
    policy: PolicyPath = DEFAULT_POLICY,
    run: Run = None,
    needs_attention: Annotated[bool, typer.Option("--needs-attention", help="Only what is unsettled.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    cursor: Annotated[str | None, typer.Option(help="From the page before.")] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Actions, newest first."""

    async def work(guard: Guard) -> tuple[Page, TraceLinks]:
        query = HistoryQuery(
            tenant=tenant_of(guard, tenant),
            run=run,
            text=text,
            needs_attention=needs_attention,
            limit=limit,
            cursor=cursor,
        )
        return await guard.use_cases.page(query), guard.use_cases.traces

    page, traces = with_guard(policy, work)
    if as_json:
        emit({"actions": [action_json(a, traces) for a in page.actions], "cursor": page.cursor})
        return
    table(
        ("action", "at (UTC)", "tool", "target", "changed", "status", "verified", "undo"),
        [_row(a) for a in page.actions],
        empty="No actions yet.",
    )
    if page.cursor:
        say(f"More: --cursor {page.cursor}")


def _row(action: Action) -> tuple[str, ...]:
    undo = (
        (action.outcome or {}).get("outcome")
        if action.status is Status.COMPENSATED
        else (action.forecast or {}).get("text", "")
    )
    return (
        action.id,
        f"{action.created_at:%Y-%m-%d %H:%M:%S}",
        action.name.partition(".")[2] + (f" ({stories.part_of(action)})" if action.original else ""),
        stories.about(action),
        ", ".join(action.changed),
        action.status.value,
        "" if action.is_plan else action.verified.value,
        str(undo or ""),
    )


def explain(
    action: Annotated[str, typer.Argument(help="The action's id.")],
    policy: PolicyPath = DEFAULT_POLICY,
    customer: Annotated[
        bool, typer.Option("--customer", help="For the customer: no logins, nothing of others.")
    ] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """The correction trail of one action, in sentences made from facts."""

    async def work(guard: Guard) -> Any:
        audience: Audience = "customer" if customer else "internal"
        return await guard.use_cases.explain(tenant_of(guard, tenant), action, audience)

    sentences = with_guard(policy, work)
    if as_json:
        emit([sentence.document() for sentence in sentences])
        return
    for sentence in sentences:
        say(sentence.text if customer else f"{sentence.text}  ({sentence.source})")


def approvals(
    policy: PolicyPath = DEFAULT_POLICY,
    everything: Annotated[bool, typer.Option("--all", help="Decided ones, too.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Approvals that wait for a person."""

    async def work(guard: Guard) -> Any:
        return await guard.use_cases.approvals(tenant_of(guard, tenant), pending_only=not everything)

    found = with_guard(policy, work)
    if as_json:
        emit([jsonable(asdict(approval)) for approval in found])
        return
    rows = [
        (
            a.id,
            a.status.value,
            a.preview["tool"],
            ", ".join(a.preview["targets"]),
            _asked(a.preview),
            a.preview["undo"],
            f"{a.expires_at:%Y-%m-%d %H:%M}",
        )
        for a in found
    ]
    table(
        ("approval", "status", "tool", "target", "change", "undo", "until (UTC)"),
        rows,
        empty="Nothing waits for approval.",
    )


def _asked(preview: JSON) -> str:
    if preview["changes"]:
        return ", ".join(f"{c['field']} {shown(c['before'])} -> {shown(c['after'])}" for c in preview["changes"])
    return ", ".join(f"{name}={shown(value)}" for name, value in preview["arguments"].items())


def action_json(action: Action, traces: TraceLinks) -> JSON:
    """An action for programs."""
    return jsonable(asdict(action) | traces.beside(action.trace))


def jsonable(value: Any) -> JSON:
    """Times as ISO 8601, tuples as lists."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
