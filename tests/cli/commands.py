"""Running the command line: as a process, as people and clients do, and within this one where nothing is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from takeback.cli.app import app

TINY = Path(__file__).with_name("tiny_server.py")
BOUND = 60


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, which is one JSON document and nothing else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    def refused(self, code: int, *words: str) -> None:
        """It ended with this code, said these words on standard error, and showed no stack trace."""
        assert self.code == code, (self.code, self.out, self.err)
        assert "Traceback" not in self.err
        assert [word for word in words if word not in self.err] == [], self.err


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "takeback.cli", *map(str, arguments)]


def takeback(
    *arguments: str | Path, env: Mapping[str, str], given: str = "", cwd: Path | None = None, bound: int = BOUND
) -> Ran:
    """As a process of its own; `given` is what a person types."""
    return run(command(*arguments), env=env, given=given, cwd=cwd, bound=bound)


def run(
    words: Sequence[str], *, env: Mapping[str, str], given: str = "", cwd: Path | None = None, bound: int = BOUND
) -> Ran:
    """Any program."""
    done = subprocess.run(
        words,
        env={**os.environ, **env},
        input=given,
        capture_output=True,
        text=True,
        timeout=bound,
        check=False,
        cwd=cwd,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def inside(*arguments: str | Path, env: Mapping[str, str], given: str = "") -> Ran:
    """Within this process: for commands that start nothing, and for those that end before they would."""
    done = CliRunner().invoke(app, [*map(str, arguments)], input=given, env=dict(env))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def table(name: str, *arguments: str | Path, more: str = "") -> str:
    """An upstream of a policy: the tiny server with these arguments. Without site packages it starts at once."""
    words = ["-S", str(TINY), *map(str, arguments)]
    return f"[upstream.{name}]\ncommand = {json.dumps(sys.executable)}\nargs = {json.dumps(words)}\n{more}\n"
