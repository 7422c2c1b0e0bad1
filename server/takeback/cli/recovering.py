"""`queue` and `resolve`: what needs a look, and a person's word on it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from takeback.bootstrap import Guard
from takeback.cli.acting import Reason
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, Tenant, person, tenant_of, with_guard
from takeback.cli.looking import jsonable
from takeback.cli.output import Exit, emit, fail, say, table
from takeback.core.action import Action
from takeback.core.queue import RecoveryItem
from takeback.guard.deciding import Decision, NotResolvable


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(queue)
    app.command()(resolve)


def queue(
    policy: PolicyPath = DEFAULT_POLICY,
    everything: Annotated[bool, typer.Option("--all", help="Closed entries, too.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """What needs a look, oldest first."""

    async def work(guard: Guard) -> Any:
        return await guard.ledger.queue(tenant_of(guard, tenant), open_only=not everything)

    found = with_guard(policy, work)
    if as_json:
        emit([jsonable(asdict(item)) for item in found])
        return
    rows = [
        (i.id, i.action, i.run, i.risk.value, f"{i.opened_at:%Y-%m-%d %H:%M}", i.why, i.decision or "") for i in found
    ]
    table(("entry", "action", "run", "risk", "since (UTC)", "why", "decision"), rows, empty="Nothing needs a look.")


def resolve(
    entry: Annotated[str, typer.Argument(help="The entry, or its action.")],
    reason: Reason,
    took_effect: Annotated[bool, typer.Option("--took-effect", help="You looked: it took effect.")] = False,
    no_effect: Annotated[bool, typer.Option("--no-effect", help="You looked: it had no effect.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Close it; what is known of it stays as it is.")] = False,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Say what became of an action in doubt, or close an entry of the recovery queue."""
    options: tuple[tuple[Decision, bool], ...] = (
        ("took_effect", took_effect),
        ("no_effect", no_effect),
        ("close", close),
    )
    chosen: list[Decision] = [decision for decision, wanted in options if wanted]
    if len(chosen) != 1:
        fail("Nothing was decided: choose one of --took-effect, --no-effect and --close.", Exit.USAGE)

    async def work(guard: Guard) -> tuple[RecoveryItem, Action] | str:
        owner = tenant_of(guard, tenant)
        try:
            return await guard.use_cases.resolve(owner, entry, decision=chosen[0], by=person(), reason=reason)
        except NotResolvable as error:
            return f"Nothing was decided: {error}."

    found = with_guard(policy, work)
    if isinstance(found, str):
        fail(found, Exit.REFUSED)
    item, action = found
    if as_json:
        emit({"entry": item.id, "decision": item.decision, "action": action.id, "status": action.status.value})
    else:
        say(f"{item.id} is closed ({item.decision}); action {action.id} is {action.status.value}.")
