"""`checkpoints`: the safe pauses of a run, and whether one can be gone on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from takeback.bootstrap import Guard
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, Tenant, tenant_of, with_guard
from takeback.cli.looking import jsonable
from takeback.cli.output import Exit, emit, fail, say, table
from takeback.core.run import Checkpoint
from takeback.guard.checkpoints import Stale, told


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(checkpoints)


def checkpoints(
    run: Annotated[str, typer.Argument(help="The run's id, as `takeback runs` lists it.")],
    check: Annotated[
        str | None, typer.Option("--check", help="Whether the targets of this one still are as last verified.")
    ] = None,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """The checkpoints of a run, newest first; or whether one can be gone on from."""
    if check is not None:
        _check(policy, run, check, tenant, as_json)
        return

    async def work(guard: Guard) -> Sequence[Checkpoint]:
        return await guard.use_cases.checkpoints_of(tenant_of(guard, tenant), run)

    found = with_guard(policy, work)
    if as_json:
        emit([jsonable(asdict(one)) for one in found])
        return
    rows = [(c.id, c.name, f"{c.at:%Y-%m-%d %H:%M:%S}", str((c.body or {}).get("summary", ""))) for c in found]
    table(("checkpoint", "name", "at (UTC)", "summary"), rows, empty="No checkpoints yet.")


def _check(policy: PolicyPath, run: str, point: str, tenant: str | None, as_json: bool) -> None:
    async def work(guard: Guard) -> tuple[Checkpoint, Sequence[Stale]]:
        return await guard.use_cases.stale(tenant_of(guard, tenant), run, point)

    found, stale = with_guard(policy, work, upstreams=True)
    if as_json:
        emit({"checkpoint": jsonable(asdict(found)), "stale": [one.line for one in stale]})
    elif not stale:
        say(told(found))
    if stale:
        lines = [f"- {one.line}" for one in stale]
        fail("\n".join([f"Stale: {found.name} ({found.id}); these changed since:", *lines]), Exit.REFUSED)
