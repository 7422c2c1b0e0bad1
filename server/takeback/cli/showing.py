"""`show`: all about one action, or about one entry of the recovery queue."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

import typer

from takeback.bootstrap import Guard
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, Tenant, tenant_of, with_guard
from takeback.cli.looking import action_json, jsonable
from takeback.cli.output import emit, say, table
from takeback.cli.recovering import entry_json, state_text
from takeback.core.images import differences
from takeback.core.jsontext import JSON
from takeback.core.queue import Suggestion
from takeback.core.tracing import TraceLinks
from takeback.core.trail import Facts
from takeback.core.wording import shown
from takeback.guard import history as stories
from takeback.guard.entries import Shown
from takeback.ports import NotFound

_LONGEST: Final = 200


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(show)


def show(
    named: Annotated[str, typer.Argument(metavar="ID", help="An action, or an entry of the recovery queue.")],
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """One action: what it changed, its events, and where it stands. Or one entry of the queue, and the ways out."""

    async def work(guard: Guard) -> tuple[Facts | Shown, TraceLinks]:
        services, owner, traces = guard.use_cases.services, tenant_of(guard, tenant), guard.use_cases.traces
        try:
            return await stories.facts_of(services, await stories.find(services, owner, named)), traces
        except NotFound as missing:
            try:
                return await guard.use_cases.entry(owner, named), traces
            except NotFound:
                raise missing from None

    found, traces = with_guard(policy, work)
    if isinstance(found, Shown):
        _tell_entry(found, traces, as_json=as_json)
    else:
        _tell_action(found, traces, as_json=as_json)


def _tell_action(facts: Facts, traces: TraceLinks, *, as_json: bool) -> None:
    found = facts.action
    changed = differences(facts.before, facts.after, ignore=facts.ignore) if facts.before and facts.after else ()
    if as_json:
        events = [jsonable(asdict(event)) for event in facts.events]
        diff = [{"field": d.field, "before": d.before, "after": d.after} for d in changed]
        emit({"action": action_json(found, traces), "changed": diff, "events": events})
        return
    say(stories.line(found))
    say(f"rule {found.rule} · class {found.action_class.value} · effect {found.effect.value} · risk {found.risk.value}")
    say(f"key {found.key[:16]}… · generation {found.generation} · run {found.run} · by {found.principal}")
    _tell_trace(found.trace, traces)
    table(
        ("field", "before", "after"),
        [(d.field, shown(d.before), shown(d.after)) for d in changed],
        empty="No difference was read.",
    )
    rows = [(e.seq, f"{e.at:%Y-%m-%d %H:%M:%S.%f}"[:-3], e.happening.value, e.actor, e.detail) for e in facts.events]
    table(("#", "at (UTC)", "what happened", "who", "detail"), rows, empty="")


def _tell_trace(trace: str | None, traces: TraceLinks) -> None:
    if trace:
        say(f"Trace: {traces.line(trace)}")


def _document(found: Shown, traces: TraceLinks) -> JSON:
    """For programs."""
    return {
        **entry_json(found.entry, traces),
        "comments": [jsonable(asdict(said)) for said in found.comments],
        "suggestions": [way.document() for way in found.suggestions],
    }


def _tell_entry(found: Shown, traces: TraceLinks, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        emit(_document(found, traces))
        return
    item = found.entry.item
    say(f"{item.id}: {state_text(found.entry)} · {item.cause.value} · {item.risk.value} risk · run {item.run}")
    say(f"Why: {item.why}")
    if found.entry.request:
        say(f"The user had asked: {shown(found.entry.request, _LONGEST)}")
    if found.entry.action is not None:
        say(stories.line(found.entry.action))
    _tell_trace(found.entry.traced, traces)
    say(f"Since {item.opened_at:%Y-%m-%d %H:%M} UTC · assigned to {item.assignee or 'nobody'}")
    for said in found.comments:
        say(f"{said.at:%Y-%m-%d %H:%M} {said.by}: {said.text}")
    if item.closed_at is not None:
        say(f"Closed {item.closed_at:%Y-%m-%d %H:%M} UTC by {item.closed_by} ({item.decision}): {item.reason}")
    for number, way in enumerate(found.suggestions):
        say(f"{'Suggested' if number == 0 else 'Or'}: {_way(item.id, way)}")


def _way(item: str, way: Suggestion) -> str:
    option = way.decision.value.replace("_", "-")
    text = f"takeback resolve {item} --{option}: {way.text}"
    if way.tool is None:
        return text
    arguments = ", ".join(f"{name}={shown(value)}" for name, value in (way.arguments or {}).items())
    risk = f"{way.risk.value} risk" if way.risk is not None else ""
    agreed = ", a person must agree" if way.approval else ""
    return f"{text}. {way.tool}({arguments}), {risk}{agreed}"
