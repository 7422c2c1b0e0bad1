"""`python -m tests.undo_table`: run the tests that guard real systems, and print what became of every write.

The tests look past guard and system, and fail where a claim is not true: a row says that the look agreed only if each
of its system's tests succeeded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .record import NOTES
from .tally import Tally, tallies
from .tell import SYSTEMS, System, forecasts, table

ROOT = Path(__file__).parents[2]


def main() -> int:
    """0 where every test succeeded."""
    found: dict[str, Tally] = {}
    agreed: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        for system in SYSTEMS:
            say(sys.stderr.fileno(), f"{system.title} ...\n")
            notes = Path(folder) / system.key
            if succeeded(system, notes):
                agreed.add(system.key)
            lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
            found |= tallies(json.loads(line) for line in lines)
    say(sys.stdout.fileno(), f"{table(found, agreed)}\n\n{forecasts(found)}\n")
    return 0 if len(agreed) == len(SYSTEMS) else 1


def succeeded(system: System, notes: Path) -> bool:
    """Run the system's tests; what they print is for whoever waits, not part of the table."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-skips", *system.tests]
    env = {**os.environ, NOTES: str(notes)}
    return subprocess.run(command, check=False, cwd=ROOT, env=env, stdout=sys.stderr).returncode == 0


def say(where: int, text: str) -> None:
    """At once, so that it stands in order with what the tests print."""
    os.write(where, text.encode())


if __name__ == "__main__":
    sys.exit(main())
