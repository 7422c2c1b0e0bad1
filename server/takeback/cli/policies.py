"""`init` and `check`: write a policy, and hold it against the upstreams."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from takeback.bootstrap import Guard, StartFailure
from takeback.cli.context import BEFORE_A_COMMAND, DEFAULT_POLICY, AsJson, PolicyPath, policy_at, with_guard
from takeback.cli.drafting import check_name, draft_for
from takeback.cli.output import Exit, emit, fail, say, table
from takeback.cli.wrapped import By, Header, OpenApi, Remote, Transport, Url, UrlFrom, table_of
from takeback.core.policy.guarantees import guarantees
from takeback.core.policy.load import Policy
from takeback.core.policy.schema import Call, Rule


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(context_settings=BEFORE_A_COMMAND)(init)
    app.command()(check)


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


def check(policy: PolicyPath = DEFAULT_POLICY, as_json: AsJson = False) -> None:
    """Hold the policy against its upstreams, and print what each rule guarantees."""
    loaded = policy_at(policy)

    async def work(guard: Guard) -> tuple[list[str], list[str]]:
        return _problems(guard, loaded), [f"{name}: {why}" for name, why in guard.failed.items()]

    problems, failed = with_guard(policy, work, upstreams=True, policy=loaded)
    found = [(numbered.id, guarantees(numbered.rule, loaded.file)) for numbered in loaded.rules]
    rows = [(name, g.duplicates, g.in_doubt, g.undo, g.stronger) for name, g in found]
    if as_json:
        keys = ("rule", "duplicates", "in_doubt", "undo", "stronger")
        emit({"problems": problems + failed, "rules": [dict(zip(keys, row, strict=True)) for row in rows]})
    else:
        table(
            ("rule", "duplicates", "in doubt", "undo", "would be stronger with"), rows, empty="The policy has no rules."
        )
        for problem in problems + failed:
            say(f"! {problem}")
        say("No problems." if not problems and not failed else f"{len(problems) + len(failed)} problems.")
    if problems or failed:
        raise typer.Exit(Exit.REFUSED)


def _problems(guard: Guard, policy: Policy) -> list[str]:
    """Tools that rules name and upstreams do not have, and arguments that a tool does not know."""
    catalog = guard.use_cases.services.catalog
    found = []
    for numbered in policy.rules:
        for tool, arguments in _named_tools(numbered.rule):
            if tool.partition(".")[0] in guard.failed or any(c in tool for c in "*?["):
                continue
            entry = catalog.named(tool)
            if entry is None:
                found.append(f"{numbered.id}: {tool.partition('.')[0]} has no tool {tool.partition('.')[2]}")
            elif unknown := entry.unknown(arguments):
                found.append(f"{numbered.id}: {tool} knows no argument {', '.join(unknown)}")
    return list(dict.fromkeys(found))


def _named_tools(rule: Rule) -> list[tuple[str, dict[str, object]]]:
    calls = [rule.read, rule.correct, rule.probe, *(spec.read for spec in rule.target)]
    calls += [c for c in (rule.undo if isinstance(rule.undo, tuple) else ()) if isinstance(c, Call)]
    named = [(call.tool, call.args.source) for call in calls if call is not None]
    return [(rule.tool, {}), *((tool, args) for tool, args in named if isinstance(args, dict))]
