"""`init`: write a policy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from takeback.bootstrap import StartFailure
from takeback.cli.context import BEFORE_A_COMMAND, DEFAULT_POLICY
from takeback.cli.drafting import check_name, draft_for
from takeback.cli.output import Exit, fail, say
from takeback.cli.wrapped import By, Header, OpenApi, Remote, Transport, Url, UrlFrom, table_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(context_settings=BEFORE_A_COMMAND)(init)


def init(
    command: Annotated[list[str] | None, typer.Argument(help="The MCP server to guard, after --.")] = None,
    name: Annotated[str, typer.Option(help="The upstream's name in the policy.")] = "server",
    path: Annotated[Path, typer.Option("--policy", "-p", help="Where to write it.")] = DEFAULT_POLICY,
    url: Url = None,
    url_from: UrlFrom = None,
    header: Header = None,
    transport: By = Transport.HTTP,
    openapi: OpenApi = None,
) -> None:
    """Draft a cautious policy for an MCP server or an HTTP API (`takeback init -- uvx mcp-server-git`)."""
    check_name(name)
    described = table_of(command or [], Remote(url, url_from, header or [], transport), openapi)
    if path.exists() or path.is_symlink():
        fail(f"{path} exists and is left alone; move it away or choose another --policy.", Exit.REFUSED)
    try:
        count = asyncio.run(draft_for(path, name, described))
    except StartFailure as error:
        fail(f"Nothing written to {path}: {error}", Exit.NOT_STARTED)
    say(f"Wrote {path} for {count} tools of {name}. Look it over, then run `takeback check` and `takeback serve`.")
