"""`serve` and `wrap`: run the guard."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from takeback.bootstrap import Guard, StartFailure, running, state_folder
from takeback.cli.context import DEFAULT_POLICY, PolicyPath, policy_at
from takeback.cli.drafting import draft_for
from takeback.cli.output import Exit, err, fail, plain
from takeback.core.policy.load import Policy
from takeback.guard.catalog import CatalogError
from takeback.mcp.serving import make_server, serve_http, serve_stdio
from takeback.ports import LedgerFailure
from takeback_tools.agent import AgentTools

Http = Annotated[int | None, typer.Option("--http", help="Serve streamable HTTP on this loopback port (0: any).")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(serve)
    app.command(context_settings={"ignore_unknown_options": True})(wrap)


def serve(
    policy: PolicyPath = DEFAULT_POLICY,
    http: Http = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant that this guard serves.")] = None,
    user: Annotated[str | None, typer.Option(help="On whose behalf the agent works.")] = None,
) -> None:
    """Guard the policy's upstreams, on stdio or over HTTP."""
    _run(policy_at(policy), http, tenant, user)


def wrap(
    command: Annotated[list[str], typer.Argument(help="The MCP server to wrap, after --.")],
    policy: Annotated[
        Path | None, typer.Option("--policy", "-p", help="A policy; drafted and kept if left out.")
    ] = None,
    name: Annotated[str, typer.Option(help="The upstream's name.")] = "wrapped",
    http: Http = None,
) -> None:
    """Guard one MCP server (`takeback wrap -- uvx mcp-server-git`). Without a policy, a cautious one is drafted."""
    if policy is None:
        policy = state_folder(os.environ) / "policies" / f"{name}.toml"
        if not policy.exists():
            asyncio.run(draft_for(policy, name, command))
            _tell(f"takeback: drafted a cautious policy: {policy}")
        else:
            _tell(f"takeback: policy {policy}")
    _run(policy_at(policy), http, None, None)


def _run(policy: Policy, http: int | None, tenant: str | None, user: str | None) -> None:
    try:
        asyncio.run(_serve(policy, http, tenant, user))
    except (LedgerFailure, StartFailure, CatalogError) as error:
        fail(f"Not started: {error}", Exit.NOT_STARTED)
    except KeyboardInterrupt:
        pass


async def _serve(policy: Policy, http: int | None, tenant: str | None, user: str | None) -> None:
    defaults = policy.file.defaults
    async with running(policy) as guard:
        _report(guard)
        server = make_server(
            guard.use_cases,
            AgentTools(guard.use_cases),
            tenant=tenant or defaults.tenant,
            principal=user or defaults.user,
        )
        serving = serve_stdio(server) if http is None else serve_http(server, host="127.0.0.1", port=http, ready=_ready)
        await _until_told(asyncio.ensure_future(serving))


async def _until_told(serving: asyncio.Future[None]) -> None:
    """Serve until the client leaves or SIGTERM comes; what is in flight is then finished by the guard's own end."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        _tell("takeback: stopping")
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _ready(port: int) -> None:
    _tell(f"takeback: serving http://127.0.0.1:{port}/mcp")


def _report(guard: Guard) -> None:
    for problem in guard.failed:
        _tell(f"takeback: an upstream did not start: {problem}")
    if guard.use_cases.services.advisory:
        _tell(
            f"takeback: approvals are advisory: whatever runs as {getpass.getuser()} with a shell could approve "
            "(docs/threat-model.md)"
        )


def _tell(text: str) -> None:
    """On stdio, standard output is the protocol; people read standard error."""
    err.print(plain(text))
