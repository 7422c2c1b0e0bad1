"""What every command starts from: the policy, the ledger or a whole guard, and failures turned into exit codes."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from takeback.bootstrap import Guard, StartFailure, read_policy, running
from takeback.cli.output import Exit, fail
from takeback.core.policy.load import Policy
from takeback.core.policy.mistakes import PolicyMistakes
from takeback.guard.catalog import CatalogError
from takeback.ports import Caller, LedgerFailure, NotFound

T = TypeVar("T")

PolicyPath = Annotated[
    Path, typer.Option("--policy", "-p", envvar="TAKEBACK_POLICY", help="The policy file.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs instead of tables for people.")]
Tenant = Annotated[str | None, typer.Option("--tenant", help="The tenant; the policy's default otherwise.")]

DEFAULT_POLICY = Path("policy.toml")

BEFORE_A_COMMAND: Final = {"allow_interspersed_args": False}
"""For commands that take a command: from its first word on, options are its own; before it, unknown ones are errors."""

_WHERE_IDS_ARE: Final = (
    "Nothing was changed. `takeback history` and `takeback approvals --all` list the ids of a tenant (--tenant names "
    "another one)."
)


def policy_at(path: Path) -> Policy:
    """Load the policy, or say what is wrong with it and end with exit code 2."""
    try:
        return read_policy(path, dict(os.environ))
    except StartFailure as error:
        fail(f"{error}. Write one with `takeback init`, or name it with --policy.", Exit.USAGE)
    except PolicyMistakes as mistakes:
        fail(str(mistakes), Exit.USAGE)


def with_guard(
    path: Path,
    work: Callable[[Guard], Awaitable[T]],
    *,
    upstreams: bool = False,
    one_must_start: bool = False,
    policy: Policy | None = None,
    tenant: str | None = None,
) -> T:
    """Run `work` with a guard; without `upstreams` only the ledger is opened. The rest as `bootstrap.running`."""
    loaded = policy or policy_at(path)

    async def main() -> T:
        async with running(loaded, upstreams=upstreams, one_must_start=one_must_start, tenant=tenant) as guard:
            return await work(guard)

    try:
        return asyncio.run(main())
    except NotFound as error:
        fail(f"{error}. {_WHERE_IDS_ARE}", Exit.NOT_FOUND)
    except (LedgerFailure, StartFailure, CatalogError) as error:
        fail(f"Not done: {error}", Exit.NOT_STARTED)


def tenant_of(guard: Guard, named: str | None) -> str:
    """The tenant that a person works on."""
    return named or guard.use_cases.services.policy.file.defaults.tenant


def user_name() -> str:
    """Who runs this process. In a container nobody may have given its user a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def person() -> str:
    """How the person at this command line is recorded."""
    return f"{user_name()} (command line)"


def person_caller(guard: Guard, tenant: str | None, run: str) -> Caller:
    """The person at this command line, acting in a run."""
    return Caller(tenant=tenant_of(guard, tenant), principal=person(), run=run, client="command line", person=True)
