"""`freeze`, `thaw` and `freezes`: the stop switch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from takeback.bootstrap import Guard
from takeback.cli.acting import Reason
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, Tenant, person, tenant_of, with_guard
from takeback.cli.looking import jsonable
from takeback.cli.output import Exit, emit, fail, say, table
from takeback.core.freezing import Freeze, FreezeKind
from takeback.core.pins.judge import pin_scope
from takeback.core.wording import freeze_line
from takeback.guard.switching import NotSwitchable, Switched

Upstream = Annotated[str | None, typer.Option(help="An upstream of the policy.")]
Tool = Annotated[str | None, typer.Option(help="A tool, as upstream.tool.")]
Run = Annotated[str | None, typer.Option(help="A run.")]
All = Annotated[bool, typer.Option("--all", help="Everything that the tenant does.")]

_NAMED: Final = 20


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (freeze, thaw, freezes):
        app.command()(command)


def freeze(
    reason: Reason,
    upstream: Upstream = None,
    tool: Tool = None,
    run: Run = None,
    everything: All = False,
    reads: Annotated[bool, typer.Option("--reads", help="Stop reads, too; writes only otherwise.")] = False,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Stop an upstream, a tool, a run or everything, at once and on every guard of the ledger, until it is thawed.

    What was sent already is finished and recorded. Ends with 1 where it was frozen before.
    """
    kind, name = _chosen(upstream, tool, run, everything, reason)

    async def work(guard: Guard) -> Switched:
        owner = tenant_of(guard, tenant)
        known = await _known_tools(guard) if kind is FreezeKind.TOOL else ()
        return await guard.use_cases.freeze(
            owner, kind, name or owner, reads=reads, by=person(), reason=reason, tools=known
        )

    found = _switch(policy, work, Exit.NOT_FOUND)
    if as_json:
        emit({**_document(found.freeze), "fresh": found.fresh, "under_way": [one.id for one in found.under_way]})
    elif found.fresh:
        say(f"Frozen: {freeze_line(found.freeze)}.")
        if found.under_way:
            named = ", ".join(one.id for one in found.under_way[:_NAMED])
            say(f"Under way, and finished or settled by looking, never sent again: {named}.")
    if not found.fresh:
        hint = " To stop its reads, too, say --reads." if not found.freeze.reads else ""
        fail(f"Nothing was changed: frozen already: {freeze_line(found.freeze)}.{hint}", Exit.REFUSED)


def thaw(
    reason: Reason,
    upstream: Upstream = None,
    tool: Tool = None,
    run: Run = None,
    everything: All = False,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Let go on what was frozen."""
    kind, name = _chosen(upstream, tool, run, everything, reason)

    async def work(guard: Guard) -> Switched:
        owner = tenant_of(guard, tenant)
        return await guard.use_cases.thaw(owner, kind, name or owner, by=person(), reason=reason)

    found = _switch(policy, work, Exit.REFUSED)
    lifted = found.freeze
    if as_json:
        emit({**_document(lifted), "fresh": found.fresh})
    elif found.fresh:
        say(f"Thawed: {lifted.what}. Calls that were refused are not made up for: whoever wants them calls again.")
    if not found.fresh:
        fail(f"Nothing was changed: {lifted.lifted_by} was quicker ({lifted.lifted_reason}).", Exit.REFUSED)


def freezes(
    policy: PolicyPath = DEFAULT_POLICY,
    everything: Annotated[bool, typer.Option("--all", help="Also what was thawed.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """What is frozen, the newest first."""

    async def work(guard: Guard) -> Any:
        return await guard.use_cases.freezes(tenant_of(guard, tenant), in_force_only=not everything)

    found = with_guard(policy, work)
    if as_json:
        emit([_document(one) for one in found])
        return
    rows = [
        (one.what, "reads, writes" if one.reads else "writes", f"{one.since:%Y-%m-%d %H:%M}", one.frozen_by, one.reason,
         _thawed(one))
        for one in found
    ]  # fmt: skip
    table(("frozen", "stops", "since (UTC)", "by", "why", "thawed"), rows, empty="Nothing is frozen.")


def _thawed(one: Freeze) -> str:
    return f"{one.lifted_at:%Y-%m-%d %H:%M} by {one.lifted_by}: {one.lifted_reason}" if one.lifted_at else ""


def _document(one: Freeze) -> dict[str, Any]:
    return dict(jsonable(asdict(one)))


def _chosen(
    upstream: str | None, tool: str | None, run: str | None, everything: bool, reason: str
) -> tuple[FreezeKind, str]:
    """What is meant; the name of all is left open."""
    if not reason.strip():
        fail("Nothing was changed: a reason is required; the agents are told it.", Exit.USAGE)
    named = {FreezeKind.UPSTREAM: upstream, FreezeKind.TOOL: tool, FreezeKind.RUN: run}
    chosen = [(kind, name) for kind, name in named.items() if name is not None]
    chosen += [(FreezeKind.TENANT, "")] if everything else []
    if len(chosen) != 1 or (not everything and not chosen[0][1]):
        fail("Nothing was changed: choose one of --upstream, --tool, --run and --all.", Exit.USAGE)
    return chosen[0]


def _switch(policy: PolicyPath, work: Callable[[Guard], Awaitable[Switched]], code: Exit) -> Switched:
    try:
        return with_guard(policy, work)
    except NotSwitchable as problem:
        fail(f"Nothing was changed: {problem}.", code)


async def _known_tools(guard: Guard) -> set[str]:
    """The tools that guards of this policy have seen; the upstreams need not run for that."""
    scope = pin_scope(guard.use_cases.services.policy.place)
    return {f"{pin.upstream}.{pin.tool}" for pin in await guard.ledger.pins(scope)}
