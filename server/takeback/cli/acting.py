"""`undo`, `approve`, `deny`: what only people may do."""

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
from takeback.core.run import Approval
from takeback.guard import history as stories
from takeback.guard.approving import NotDecidable
from takeback.mcp.face import question
from takeback.ports import UndoAnswer

Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it goes into the record.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (undo, approve, deny):
        app.command()(command)


def undo(
    action: Annotated[str, typer.Argument(help="The action to take back.")],
    reason: Reason,
    policy: PolicyPath = DEFAULT_POLICY,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Go on without asking after the preview.")] = False,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Take an action back, after a preview, and read back what came of it."""

    async def work(guard: Guard) -> UndoAnswer:
        found = await stories.find(guard.use_cases.services, tenant_of(guard, tenant), action)
        caller = person_caller(guard, tenant, found.run)
        answer = await guard.use_cases.undo(caller, what=found.id, reason=reason, confirm=None)
        if answer.confirm is None:
            return answer
        if not yes and not agreed(_for_people(answer.text), "Go on?", aside=as_json):
            return UndoAnswer(f"Not undone: nobody agreed. Nothing was changed; {found.id} stands.", ok=False)
        return await guard.use_cases.undo(caller, what=found.id, reason=reason, confirm=answer.confirm)

    answer = with_guard(policy, work, upstreams=True, one_must_start=True, tenant=tenant)
    if as_json:
        emit({"ok": answer.ok, "action": answer.action, "outcome": answer.outcome, "text": answer.text})
    else:
        say(answer.text)
    if not answer.ok:
        raise typer.Exit(Exit.REFUSED)


def _for_people(preview: str) -> str:
    """The preview without its last sentence, which tells an agent how to call again."""
    return preview.rpartition(" To go on, call ")[0] or preview


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
    async def work(guard: Guard) -> Approval | str:
        owner = tenant_of(guard, tenant)
        if not yes:
            shown = question(await guard.ledger.approval(owner, approval_id))
            if not agreed(shown, "Approve exactly this?", aside=as_json):
                return f"Nothing was decided: approval {approval_id} is as it was."
        try:
            _, decided = await guard.use_cases.decide_approval(
                owner, approval_id, agree=agree, by=person(), how="command line", reason=reason
            )
        except NotDecidable as error:
            return f"Not decided: {error}."
        return decided

    found = with_guard(policy, work)
    if isinstance(found, str):
        fail(found, Exit.REFUSED)
    if as_json:
        emit({"approval": found.id, "action": found.action, "status": found.status.value})
    else:
        say(
            f"{found.id} is {found.status.value}; action {found.action}. "
            + ("The agent may call again." if agree else "")
        )
