"""`play`: live through a scenario and show it to an onlooker."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from takeback.bootstrap import StartFailure, read_policy
from takeback.cli.output import Exit, fail, out, plain, say
from takeback.core.policy.load import Policy
from takeback.core.policy.mistakes import PolicyMistakes
from takeback.play.player import Player
from takeback.play.programs import running
from takeback.play.scenario import Scenario, ScenarioMistake, expanded, read_scenario
from takeback.ports import ToolFailure

_STYLES = {
    "agent": "bold cyan",
    "guard": "green",
    "world": "blue",
    "person": "magenta",
    "wire": "yellow",
    "fault": "yellow",
    "kill": "bold red",
}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(play)


def play(
    scenario: Annotated[Path, typer.Argument(help="The scenario, a TOML file.", exists=True, dir_okay=False)],
    folder: Annotated[Path | None, typer.Option(help="Where its files go; a temporary folder otherwise.")] = None,
) -> None:
    """Play a scenario against a real guard over real MCP, and compare each answer with what it expects."""
    try:
        script = read_scenario(scenario.read_bytes(), scenario.name)
    except ScenarioMistake as error:
        fail(str(error), Exit.USAGE)
    if folder is not None:
        _make(folder)
        raise typer.Exit(asyncio.run(_play(script, scenario, folder.resolve())))
    with tempfile.TemporaryDirectory(prefix="takeback-play-") as temporary:
        raise typer.Exit(asyncio.run(_play(script, scenario, Path(temporary))))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        fail(f"Not played: {folder} cannot be used: {error.strerror}.", Exit.USAGE)
    if used:
        fail(f"Not played: {folder} is not empty, and a scenario begins with nothing. Name another one.", Exit.USAGE)


async def _play(script: Scenario, scenario: Path, folder: Path) -> int:
    path = (scenario.parent / script.policy).resolve()
    own = {
        "PLAY": str(folder),
        "SCENARIO": str(scenario.parent.resolve()),
        "TAKEBACK_STATE": str(folder),
        "PYTHON": sys.executable,
    }
    env = own | {name: expanded(value, own) for name, value in script.env.items()}
    try:
        async with running(script.program, env, folder) as addresses:
            return await _played(script, path, folder, env | addresses)
    except ScenarioMistake as mistake:
        fail(f"Not played: {mistake}", Exit.NOT_STARTED)


async def _played(script: Scenario, path: Path, folder: Path, env: dict[str, str]) -> int:
    os.environ.update(env)
    try:
        policy = read_policy(path, dict(os.environ))
    except (PolicyMistakes, StartFailure) as mistakes:
        fail(str(mistakes), Exit.USAGE)
    if unknown := _unknown_upstreams(script, policy):
        fail("\n".join(unknown), Exit.USAGE)
    player = Player(script, policy, path, folder, env)
    out.rule(plain(script.title))
    if script.about:
        say(script.about)
    count, chapter = 0, 0
    failures: tuple[str, ...] = ()
    try:
        async for step, told in player.play():
            count += 1
            if step.say:
                chapter += 1
                out.print()
                out.print(plain(f"{chapter}. {step.say}"), style="bold")
            _tell(told.lines)
            failures = told.failures
    except (ToolFailure, ScenarioMistake, TimeoutError) as error:
        failures = (str(error) or type(error).__name__,)
    return _end(count, len(script.step), failures)


def _unknown_upstreams(script: Scenario, policy: Policy) -> list[str]:
    """Looks at real systems that the policy does not have."""
    looks = [(index, look) for index, step in enumerate(script.step, 1) for _, look in step.looks]
    known = policy.file.upstream
    return [
        f"step[{index}]: the policy has no upstream {look.tool.partition('.')[0]!r}, only {', '.join(known)}"
        for index, look in looks
        if look.tool.partition(".")[0] not in known
    ]


def _tell(lines: tuple[str, ...]) -> None:
    for line in lines:
        text = plain(f"   {line}")
        style = _STYLES.get(line.split(" ", 1)[0])
        if style:
            text.stylize(style, 3, 11)
        out.print(text)


def _end(done: int, total: int, failures: tuple[str, ...]) -> int:
    out.print()
    for failure in failures:
        out.print(plain(f"   NOT AS EXPECTED: {failure}"), style="bold red")
    out.rule()
    say(f"{done} of {total} steps, {'all as expected' if not failures and done == total else 'stopped'}.")
    return 0 if not failures and done == total else int(Exit.REFUSED)
