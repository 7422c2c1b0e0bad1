"""What `wrap` wraps: one server, a command or an address, and the policy that belongs to it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn
from urllib.parse import urlsplit, urlunsplit

import typer

from takeback.bootstrap import state_folder
from takeback.cli.context import policy_at
from takeback.cli.output import Exit, fail
from takeback.core.canonical import digest
from takeback.core.policy.load import Policy
from takeback.core.policy.schema import Upstream
from takeback.core.policy.source import (
    Table,
    command_table,
    guards,
    literal,
    openapi_table,
    reference,
    upstream_of,
    url_table,
)

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_WORDS: Final = 23
"""Letters of a name that are left beside a hyphen and eight digits, so that it still is one."""

_UNCHANGED: Final = "Nothing was started or written."


class Transport(StrEnum):
    """How a remote server is spoken to: streamable HTTP, or the older server-sent events."""

    HTTP = "http"
    SSE = "sse"


Url = Annotated[str | None, typer.Option("--url", help="The address of a remote MCP server, instead of a command.")]
UrlFrom = Annotated[
    str | None, typer.Option("--url-from", metavar="VARIABLE", help="As --url, for an address with a secret in it.")
]
Header = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME=VARIABLE", help="A header, and what holds its value.")
]
By = Annotated[Transport, typer.Option("--transport", help="How the remote server is spoken to.")]
OpenApi = Annotated[
    str | None,
    typer.Option("--openapi", metavar="DOCUMENT", help="The OpenAPI document of an HTTP API: file or address."),
]


@dataclass(frozen=True, slots=True)
class Remote:
    """A server that runs already, as the command line names it: secrets by the variables that hold them."""

    url: str | None
    url_from: str | None
    headers: Sequence[str]
    transport: Transport


def table_of(command: Sequence[str], remote: Remote, document: str | None = None) -> Table:
    """The upstream that is meant; ends with exit code 2 where that is not exactly one.

    `document` is where the OpenAPI document of an HTTP API lies.
    """
    ways = [bool(command), remote.url is not None, remote.url_from is not None, document is not None]
    if sum(ways) != 1:
        _refuse("name one server: a command after --, or --url, or --url-from")
    if document is not None:
        return openapi_table(document, _variables(remote))
    if command:
        if remote.headers:
            _refuse("--header goes with --url: a command takes its secrets from its environment")
        return command_table(command)
    return _remote_table(remote)


def _remote_table(remote: Remote) -> Table:
    variables = _variables(remote)
    url = literal(remote.url) if remote.url is not None else reference(remote.url_from or "")
    table = url_table(url, sse=remote.transport is Transport.SSE, headers=variables)
    _check_address(upstream_of(table, os.environ).url or "")
    return table


def _variables(remote: Remote) -> dict[str, str]:
    """The variable that holds each header's value; ends where one is not set."""
    found = dict(map(_header, remote.headers))
    if len(found) != len(remote.headers):
        _refuse("a --header is named twice")
    for variable in (*found.values(), *([remote.url_from] if remote.url_from is not None else [])):
        if not os.environ.get(variable):
            _refuse(f"the environment variable {variable} is not set")
    return found


def _header(text: str) -> tuple[str, str]:
    name, _, variable = text.partition("=")
    if _HEADER.fullmatch(name) is None or _VARIABLE.fullmatch(variable) is None:
        _refuse(
            "--header takes NAME=VARIABLE, the environment variable that holds the header's value: "
            "a value on a command line can be read by every program of this machine"
        )
    return name, variable


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        known = False
    if not known:
        _refuse("the address of the server must begin with http:// or https:// and name a host")


def _refuse(why: str) -> NoReturn:
    fail(f"Not done: {why}. {_UNCHANGED}", Exit.USAGE)


def own_policy(name: str, table: Table) -> Path:
    """Where the drafted policy of this server lies.

    The first server of a name has the name alone. Another one under the same name (of another project, or with other
    arguments) has a policy of its own: the first one's rules say nothing about it, and its things are others.
    """
    folder = state_folder(os.environ) / "policies"
    first = folder / f"{name}.toml"
    upstream = upstream_of(table, os.environ)
    if not first.exists() or is_guarded(policy_at(first), upstream):
        return first
    facts = {**table, "url": upstream.url}
    return folder / f"{name[:_WORDS]}-{digest(facts)[:8]}.toml"


def is_guarded(policy: Policy, upstream: Upstream) -> bool:
    """Whether one of the policy's upstreams is this server: another one would be guarded in its place, unnoticed."""
    return any(guards(described, upstream) for described in policy.file.upstream.values())


def refuse_another(path: Path, upstream: Upstream) -> NoReturn:
    """End, because a policy guards another server."""
    words = shlex.join([upstream.command, *upstream.args]) if upstream.command else shown(upstream)
    fail(
        f"Not started: {path} guards another server than `{words}`. Nothing was changed. Name another --policy, or "
        "move the file away to have a new one drafted.",
        Exit.USAGE,
    )


def shown(upstream: Upstream) -> str:
    """What is wrapped, for people: the program, or the address without what may be a secret in it."""
    if upstream.url is None:
        return upstream.command or ""
    parts = urlsplit(upstream.url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
