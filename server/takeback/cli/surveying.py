"""`inventory`: ask upstreams what they offer, judge it, and draft rules for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from takeback.bootstrap import StartFailure
from takeback.cli.context import BEFORE_A_COMMAND, AsJson, policy_at
from takeback.cli.drafting import check_name, offered
from takeback.cli.output import Exit, emit, err, fail, plain
from takeback.cli.wrapped import By, Header, OpenApi, Remote, Transport, Url, UrlFrom, table_of
from takeback.core.inventory.documents import document
from takeback.core.inventory.drafting import Drafted, inventory
from takeback.core.inventory.tables import policy_text, rules_text
from takeback.core.policy.schema import Defaults, Upstream
from takeback.core.policy.source import Table, upstream_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("inventory", context_settings=BEFORE_A_COMMAND)(survey)


def survey(
    command: Annotated[list[str] | None, typer.Argument(help="An MCP server, after --.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", "-p", help="Ask the upstreams of this policy.")] = None,
    name: Annotated[str, typer.Option(help="The upstream's name.")] = "server",
    url: Url = None,
    url_from: UrlFrom = None,
    header: Header = None,
    transport: By = Transport.HTTP,
    openapi: OpenApi = None,
    as_json: AsJson = False,
) -> None:
    """Judge the tools of upstreams, and draft a policy for them on standard output."""
    tables: dict[str, Table] = {}
    if policy is None:
        check_name(name)
        tables = {name: table_of(command or [], Remote(url, url_from, header or [], transport), openapi)}
        upstreams, tenant = {name: upstream_of(tables[name], os.environ)}, Defaults().tenant
    elif command or url or url_from or openapi:
        fail("Nothing was asked: name either a --policy or one server.", Exit.USAGE)
    else:
        file = policy_at(policy).file
        upstreams, tenant = dict(file.upstream), file.defaults.tenant
    found, failed = asyncio.run(_all(upstreams, tenant))
    if as_json:
        emit({"upstreams": {each: document(tools) for each, tools in found.items()}, "failed": failed})
    elif found:
        written = (
            policy_text(tables, found) if tables else "".join(rules_text(each, tools) for each, tools in found.items())
        )
        typer.echo(written, nl=False)
    for why in failed.values():
        err.print(plain(f"! {why}"))
    if failed:
        raise typer.Exit(Exit.NOT_STARTED)


async def _all(upstreams: Mapping[str, Upstream], tenant: str) -> tuple[dict[str, list[Drafted]], dict[str, str]]:
    """Ask all side by side; those that could not be asked, with the reason."""
    answers = await asyncio.gather(*(_one(name, upstream, tenant) for name, upstream in upstreams.items()))
    named: list[tuple[str, Any]] = list(zip(upstreams, answers, strict=True))
    return {n: a for n, a in named if not isinstance(a, str)}, {n: a for n, a in named if isinstance(a, str)}


async def _one(name: str, upstream: Upstream, tenant: str) -> list[Drafted] | str:
    try:
        return inventory(name, await offered(name, upstream, tenant))
    except StartFailure as failure:
        return str(failure)
