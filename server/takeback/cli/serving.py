"""`serve` and `wrap`: run the guard."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from takeback.bootstrap import Guard, StartFailure, running
from takeback.cli.context import BEFORE_A_COMMAND, DEFAULT_POLICY, PolicyPath, policy_at, user_name
from takeback.cli.drafting import check_name, draft_for
from takeback.cli.output import Exit, fail
from takeback.cli.stopping import Stop, tell, until_told
from takeback.cli.wrapped import (
    By,
    Header,
    Remote,
    Transport,
    Url,
    UrlFrom,
    is_guarded,
    own_policy,
    refuse_another,
    table_of,
)
from takeback.core.policy.load import Policy
from takeback.core.policy.source import Table, upstream_of
from takeback.core.wording import freeze_line
from takeback.guard.catalog import CatalogError
from takeback.mcp.server import McpServer
from takeback.mcp.serving import make_server, serve_http, serve_stdio
from takeback.mcp.stdio import stdio_transport
from takeback.ports import LedgerFailure
from takeback_tools.agent import AgentTools

log = logging.getLogger(__name__)

Http = Annotated[
    int | None,
    typer.Option("--http", min=0, max=65535, help="Serve streamable HTTP on this loopback port (0: any)."),
]

_HOST: Final = "127.0.0.1"
FIRST_WORD: Final = 1.0
"""Seconds that the guard waits for a client's first message before it starts the upstreams anyway."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(serve)
    app.command(context_settings=BEFORE_A_COMMAND)(wrap)


def serve(
    policy: PolicyPath = DEFAULT_POLICY,
    http: Http = None,
    tenant: Annotated[str | None, typer.Option(help="The tenant that this guard serves.")] = None,
    user: Annotated[str | None, typer.Option(help="On whose behalf the agent works.")] = None,
) -> None:
    """Guard the policy's upstreams, on stdio or over HTTP."""
    _run(policy_at(policy), http, tenant, user)


def wrap(
    command: Annotated[list[str] | None, typer.Argument(help="The MCP server to wrap, after --.")] = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", "-p", help="A policy; drafted and kept if left out.")
    ] = None,
    name: Annotated[str, typer.Option(help="The upstream's name.")] = "wrapped",
    url: Url = None,
    url_from: UrlFrom = None,
    header: Header = None,
    transport: By = Transport.HTTP,
    http: Http = None,
) -> None:
    """Guard one MCP server (`takeback wrap -- uvx mcp-server-git`). Without a policy, a cautious one is drafted."""
    check_name(name)
    table = table_of(command or [], Remote(url, url_from, header or [], transport))
    path = policy or _drafted(name, table)
    loaded, upstream = policy_at(path), upstream_of(table, os.environ)
    if not is_guarded(loaded, upstream):
        refuse_another(path, upstream)
    if policy is None:
        tell(f"takeback: policy {path}")
    _run(loaded, http, None, None)


def _drafted(name: str, table: Table) -> Path:
    """Where this server's policy lies, drafted where there is none yet.

    Clients start all their servers at once: another one of the same name may take the first place meanwhile.
    """
    while not (path := own_policy(name, table)).exists():
        try:
            asyncio.run(draft_for(path, path.stem, table))
        except StartFailure as error:
            fail(f"Not started, and no policy was drafted: {error}", Exit.NOT_STARTED)
        if own_policy(name, table) == path:
            tell(f"takeback: drafted a cautious policy for {name}; look it over: {path}")
    return path


def _run(policy: Policy, http: int | None, tenant: str | None, user: str | None) -> None:
    if http is None and (sys.stdin is None or sys.stdout is None):
        fail(
            "Not started: a client talks to the guard over stdin and stdout, and one is closed. See --http.", Exit.USAGE
        )
    try:
        asyncio.run(until_told(lambda stop: _serve(stop, policy, http, tenant=tenant, user=user)))
    except (LedgerFailure, StartFailure, CatalogError) as error:
        fail(f"Not started: {error}", Exit.NOT_STARTED)


async def _serve(stop: Stop, policy: Policy, http: int | None, *, tenant: str | None, user: str | None) -> None:
    if http:
        _check_free(http)
    if http is not None:
        async with running(policy, one_must_start=True, tenant=tenant, works=True) as guard:
            server = await _server(guard, policy, tenant, user)
            await _until_over(stop, serve_http(server, host=_HOST, port=http, ready=_ready))
        return
    async with stdio_transport() as transport:
        # What the client can do decides what the upstreams are told at their start, so it speaks first.
        client = await transport.opening(FIRST_WORD)
        async with running(policy, one_must_start=True, tenant=tenant, only=client.standing(), works=True) as guard:
            await _until_over(stop, serve_stdio(await _server(guard, policy, tenant, user), transport))


async def _server(guard: Guard, policy: Policy, tenant: str | None, user: str | None) -> McpServer:
    defaults = policy.file.defaults
    _report(guard)
    for freeze in await guard.use_cases.freezes(tenant or defaults.tenant):
        tell(f"takeback: frozen: {freeze_line(freeze)}. See `takeback freezes`.")
    tools = AgentTools(guard.use_cases, defaults.agent_tools)
    return make_server(guard.use_cases, tools, tenant=tenant or defaults.tenant, principal=user or defaults.user)


async def _until_over(stop: Stop, serving: Coroutine[Any, Any, None]) -> None:
    try:
        await serving
    except asyncio.CancelledError:
        log.debug("told to stop")
    finally:
        stop.ending = True  # what is in flight is finished when the guard's block ends


def _check_free(port: int) -> None:
    """The web server would end the whole process where it cannot listen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            why = f"port {port} of {_HOST} cannot be used: {error.strerror}"
            raise StartFailure(f"{why}. Choose another one, or 0 for any that is free.") from None


def _ready(port: int) -> None:
    tell(f"takeback: serving http://{_HOST}:{port}/mcp")


def _report(guard: Guard) -> None:
    for name, why in guard.failed.items():
        tell(f"takeback: upstream {name} did not start, and its tools are not offered: {why}")
    for entry in guard.use_cases.services.catalog.blocked():
        tell(f"takeback: {entry.definition.blocked}. See `takeback pin diff {entry.policy_name}`.")
    if guard.use_cases.services.advisory:
        tell(
            f"takeback: approvals are advisory: whatever runs as {user_name()} with a shell could approve "
            "(docs/threat-model.md)"
        )
