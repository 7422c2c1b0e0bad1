"""`ledger prune`: what is older than its retention goes; or is counted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from takeback.bootstrap import Guard
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, policy_at, with_guard
from takeback.cli.output import Exit, emit, fail, say
from takeback.ports import Removed

group = typer.Typer(no_args_is_help=True, help="The ledger itself.", rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group.command()(prune)
    app.add_typer(group, name="ledger")


def prune(
    policy: PolicyPath = DEFAULT_POLICY,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take what is older than the policy's [retention]. Guards do so by themselves, a little at a time."""
    loaded = policy_at(policy)
    kept = loaded.file.retention
    if kept.images is None and kept.runs is None:
        fail("Nothing was pruned: the policy has no [retention], so that everything is kept.", Exit.USAGE)

    async def work(guard: Guard) -> Removed:
        return await guard.ledger.prune(kept, guard.use_cases.services.clock.now(), dry_run=dry_run)

    gone = with_guard(policy, work, policy=loaded)
    if as_json:
        emit({**asdict(gone), "dry_run": dry_run})
        return
    lead = "Would be pruned" if dry_run else "Pruned"
    say(
        f"{lead}: {gone.runs} runs with {gone.actions} actions and {gone.events} events, "
        f"{gone.images} images, {gone.reads} reads of the access log."
    )
