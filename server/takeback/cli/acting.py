"""`undo`, `approve`, `deny`, `abandon`: what only people may do."""

from __future__ import annotations

from typing import Annotated

import typer

from takeback.bootstrap import Guard
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
from takeback.cli.output import Exit, agreed, emit, fail, say
from takeback.core.action import Action
from takeback.core.run import Approval, Run
from takeback.guard import history as stories
from takeback.guard.approving import NotDecidable
from takeback.mcp.face import question
from takeback.ports import UndoAnswer

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it goes into the record.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (undo, approve, deny, abandon):
        app.command()(command)


def undo(
    reason: Reason,
    action: Annotated[str | None, typer.Argument(help="The action to take back; an undo's id redoes it.")] = None,
    run: Annotated[str | None, typer.Option(help="Take back what this run changed.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="With --run: only its last N changes.")] = None,
    since: Annotated[
        str | None, typer.Option(help="With --run: only what came after this action or checkpoint.")
    ] = None,
    policy: PolicyPath = DEFAULT_POLICY,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Go on without asking after the preview.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Take back an action, or what a run changed, after a preview, and read back what came of it."""
    selection = _selection(action, run, last, since)

    async def work(guard: Guard) -> UndoAnswer:
        what, of_run = selection, run
        if of_run is None:
            found = await stories.find(guard.use_cases.services, tenant_of(guard, tenant), selection)
            what, of_run = found.id, found.run
        caller = person_caller(guard, tenant, of_run)
        answer = await guard.use_cases.undo(caller, what=what, reason=reason, confirm=None)
        if answer.confirm is None:
            return answer
        if not yes and not agreed(for_people(answer.text), "Go on?", aside=as_json):
            return UndoAnswer(f"Not undone: nobody agreed. Nothing was changed; {answer.action} stands.", ok=False)
        return await guard.use_cases.undo(caller, what=what, reason=reason, confirm=answer.confirm)

    answer = with_guard(policy, work, upstreams=True, one_must_start=True, tenant=tenant)
    if as_json:
        emit({"ok": answer.ok, "action": answer.action, "outcome": answer.outcome, "text": answer.text})
    else:
        say(answer.text)
    if not answer.ok:
        raise typer.Exit(Exit.REFUSED)


def _selection(action: str | None, run: str | None, last: int | None, since: str | None) -> str:
    """What is meant, in the words of the use case. Ends with exit code 2 where the options do not fit together."""
    if (action is None) is (run is None):
        fail("Nothing was done: name an action, or a run with --run.", Exit.USAGE)
    if action is not None:
        if last is not None or since is not None:
            fail("Nothing was done: --last and --since go with --run.", Exit.USAGE)
        return action
    if last is not None and since is not None:
        fail("Nothing was done: choose one of --last and --since.", Exit.USAGE)
    return f"last {last}" if last is not None else f"since {since}" if since is not None else "run"


def for_people(preview: str) -> str:
    """The preview without its last sentence, which tells an agent how to call again."""
    for last in ("To go on, call ", "To take all of them back, call "):
        before, found, _ = preview.rpartition(last)
        if found:
            return before.rstrip()
    return preview


def approve(
    approval: Annotated[str, typer.Argument(help="The approval's id.")],
    policy: PolicyPath = DEFAULT_POLICY,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not show and ask first.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Agree to exactly what an approval shows. The agent's next equal call then runs."""
    _decide(approval, policy, tenant, agree=True, reason=None, yes=yes, as_json=as_json)


def deny(
    approval: Annotated[str, typer.Argument(help="The approval's id.")],
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="Why; the agent is told.")] = None,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Refuse what an approval asks for. Nothing is executed."""
    _decide(approval, policy, tenant, agree=False, reason=reason, yes=True, as_json=as_json)


def _goes_on(action: Action) -> str:
    return "The guard begins the plan by itself." if action.is_plan else "The agent may call again."


def _decide(
    approval_id: str,
    policy: PolicyPath,
    tenant: str | None,
    *,
    agree: bool,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    async def work(guard: Guard) -> tuple[Action, Approval] | str:
        owner = tenant_of(guard, tenant)
        if not yes:
            shown = question(await guard.ledger.approval(owner, approval_id))
            if not agreed(shown, "Approve exactly this?", aside=as_json):
                return f"Nothing was decided: approval {approval_id} is as it was."
        try:
            return await guard.use_cases.decide_approval(
                owner, approval_id, agree=agree, by=person(), how="command line", reason=reason
            )
        except NotDecidable as error:
            return f"Not decided: {error}."

    found = with_guard(policy, work)
    if isinstance(found, str):
        fail(found, Exit.REFUSED)
    action, decided = found
    if as_json:
        emit({"approval": decided.id, "action": action.id, "status": decided.status.value})
    else:
        say(f"{decided.id} is {decided.status.value}; action {action.id}. {_goes_on(action) if agree else ''}")


def abandon(
    run: Annotated[str, typer.Argument(help="The run.")],
    reason: Reason,
    policy: PolicyPath = DEFAULT_POLICY,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Close a run for good: it takes no more writes. What is under way goes on, and is for a person to look at."""

    async def work(guard: Guard) -> tuple[Run, list[Action]]:
        return await guard.use_cases.abandon(tenant_of(guard, tenant), run, by=person(), reason=reason)

    closed, under_way = with_guard(policy, work)
    if as_json:
        emit({"run": closed.id, "status": closed.status.value, "under_way": [action.id for action in under_way]})
        return
    ids = ", ".join(action.id for action in under_way)
    left = f" Still under way, and then in the recovery queue: {ids}." if under_way else " Nothing of it is under way."
    say(f"{closed.id} is {closed.status.value}: it takes no more writes.{left}")
