"""`install` and `uninstall`: put the servers of existing client configurations behind the guard, and take them out."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from takeback.bootstrap import state_folder
from takeback.cli.context import AsJson
from takeback.cli.output import Exit, emit, err, fail, plain, say, table
from takeback.clients.files import Trouble, real
from takeback.clients.installation import Done, Installation
from takeback.clients.places import Client, ConfigFile, Machine, known_files
from takeback.core.clients.change import Fate, Wanted
from takeback.core.clients.guarded import Launcher
from takeback.core.clients.masking import masked

Servers = Annotated[list[str] | None, typer.Argument(help="Servers by their names in the client.")]
OneClient = Annotated[Client | None, typer.Option("--client", help="Only this client.")]
Config = Annotated[Path | None, typer.Option("--config", help="Only this configuration, wherever it lies.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show the difference, with secrets masked, and change nothing.")]

_CHANGES: Final = frozenset({Fate.WRAPPED, Fate.RESTORED, Fate.MENDED})
_EPHEMERAL: Final = ("archive-v", "builds-v", "environments-v")
"""Folders of uv's cache in which programs live that were run without being installed."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(install)
    app.command()(uninstall)


def install(
    servers: Servers = None,
    every: Annotated[bool, typer.Option("--all", help="Every server that can be wrapped.")] = False,
    client: OneClient = None,
    config: Config = None,
    dry_run: Dry = False,
    as_json: AsJson = False,
) -> None:
    """Run the servers of your MCP clients behind the guard, under their old names. Without a name, they are listed."""
    named = frozenset(servers or ())
    if named and every:
        fail("Name servers, or say --all. Nothing was changed.", Exit.USAGE)
    looking = not named and not every
    installation = Installation(_folder(), _launcher())
    files = _files(client, config)
    dry = dry_run or looking
    run = Run(lambda path: installation.install(path, _wanted(named), dry=dry), dry=dry)
    run.over(files, must_exist=config is not None)
    _report(run, as_json=as_json, difference=dry_run)
    if looking and not as_json:
        say("Nothing was changed. Name the servers to wrap, or say --all." if run.rows else _nothing_found(files))
    elif not dry_run and not as_json and run.changed:
        say("Restart the clients. `takeback uninstall` takes all of this back.")
    _end(run, named, Fate.REFUSED)


def uninstall(
    servers: Servers = None,
    client: OneClient = None,
    config: Config = None,
    dry_run: Dry = False,
    as_json: AsJson = False,
) -> None:
    """Take servers out of the guard again: those that are named, or all that were installed."""
    named = frozenset(servers or ())
    installation = Installation(_folder(), Launcher(""))
    files = _files(client, config)
    if client is None and config is None:
        here = {real(file.path) for file in files}
        files += [ConfigFile(None, r.path) for r in installation.records.all() if r.path not in here]
    run = Run(lambda path: installation.uninstall(path, _wanted(named), named=bool(named), dry=dry_run), dry=dry_run)
    run.over(files, must_exist=config is not None)
    _report(run, as_json=as_json, difference=dry_run)
    if not run.rows and not run.troubles and not named and not as_json:
        say("No server of any client runs behind the guard. Nothing was changed.")
    _end(run, named, Fate.FOREIGN)


def _wanted(named: frozenset[str]) -> Wanted:
    return lambda name: not named or name in named


def _files(client: Client | None, config: Path | None) -> list[ConfigFile]:
    if config is not None:
        return [ConfigFile(client, config.absolute())]
    found = {real(file.path): file for file in reversed(known_files(Machine.here(), client))}  # two names, one file
    return list(reversed(found.values()))


def _folder() -> Path:
    return state_folder(os.environ) / "clients"


def _launcher() -> Launcher:
    """This very program, by its full path: clients do not share the shell's PATH."""
    python = Path(sys.executable)
    if any(part.startswith(_EPHEMERAL) for part in python.parts):
        fail(
            "This program runs from a cache that may be emptied at any time, and clients would lose it. Install it "
            "first (`uv tool install takeback`, or pipx). Nothing was changed.",
            Exit.USAGE,
        )
    program = python.with_name("takeback.exe" if sys.platform == "win32" else "takeback")
    return Launcher(str(program)) if program.exists() else Launcher(str(python), ("-m", "takeback.cli"))


@dataclass(slots=True)
class Run:
    """One command over several files: what came of each server, and what could not be done."""

    work: Callable[[Path], Done]
    dry: bool
    done: list[Done] = field(default_factory=list)
    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def over(self, files: Iterable[ConfigFile], *, must_exist: bool) -> None:
        """Go through the files. One that cannot be changed does not keep the others from it."""
        for file in files:
            try:
                done = self.work(file.path)
            except FileNotFoundError:
                if must_exist:
                    self.troubles.append(f"There is no {file.path}.")
            except Trouble as trouble:
                self.troubles.append(f"{trouble}. It was not changed.")
            else:
                self._take(file, done)

    def _take(self, file: ConfigFile, done: Done) -> None:
        self.done.append(done)
        for outcome in done.change.outcomes:
            where = f"{file.path} ({outcome.place[1]})" if outcome.place[0] == "projects" else str(file.path)
            fate = f"would be {outcome.fate}" if self.dry and outcome.fate in _CHANGES else outcome.fate
            self.rows.append((file.client or "", where, outcome.place[-1], fate, outcome.why))

    @property
    def changed(self) -> bool:
        """Whether any server was wrapped or taken out."""
        return any(row[3] in _CHANGES for row in self.rows)


def _report(run: Run, *, as_json: bool, difference: bool) -> None:
    keys = ("client", "file", "server", "outcome", "why")
    if as_json:
        copies = {str(done.path): str(done.copy) for done in run.done if done.copy}
        servers = [dict(zip(keys, row, strict=True)) for row in run.rows]
        emit({"servers": servers, "troubles": run.troubles, "copies": copies})
        return
    if difference:
        for done in run.done:
            say(_difference(done))
    if run.rows:
        table(keys, run.rows, empty="")
    for done in run.done:
        if done.copy and not difference:
            say(f"{done.path}: the file as it was is kept as {done.copy}")


def _difference(done: Done) -> str:
    """A unified diff, of what may be shown."""
    before, after = (masked(text).splitlines() for text in (done.before, done.after))
    name = str(done.path)
    return "\n".join(difflib.unified_diff(before, after, name, f"{name} (as it would be)", lineterm=""))


def _nothing_found(files: Sequence[ConfigFile]) -> str:
    places = "\n".join(f"  {file.path}" for file in files)
    return f"No client with MCP servers was found. Looked at:\n{places}\nName another file with --config."


def _end(run: Run, named: frozenset[str], bad: Fate) -> None:
    """Say on standard error what was not done, and end with what it means."""
    missing = sorted(named - {row[2] for row in run.rows})
    troubles = [*run.troubles, *([f"No server is called {', '.join(missing)}."] if missing else [])]
    for trouble in troubles:
        err.print(plain(trouble))
    if run.troubles or (named and any(row[3] == bad for row in run.rows)):
        raise typer.Exit(Exit.REFUSED)
    if missing:
        raise typer.Exit(Exit.NOT_FOUND)
