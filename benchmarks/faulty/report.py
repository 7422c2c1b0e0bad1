"""The tables, for the terminal and for benchmarks/README.md, with what they were made with."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.faulty.agent import ATTEMPTS, BOUND
from benchmarks.faulty.trial import Trial
from tests.third_party.environments import programs

README: Final = Path(__file__).parents[1] / "README.md"
BEGIN: Final = "<!-- faulty: begin -->"
END: Final = "<!-- faulty: end -->"

_COLUMNS: Final = (
    "upstream over",
    "in front of it",
    "create: 1 / 2+ / 0 effects",
    "set: 1 / 2+ / 0",
    "right answer",
    "told it is done, answer lost",
    "gave up: effect there / not",
    "in doubt or in the queue",
    "silently wrong",
    "a call hung",
    "next call works",
    "restarts",
)


def markdown(lost: Sequence[Trial], drawn: Sequence[Trial], *, seed: int, rate: float) -> str:
    """Both tables, with date and versions."""
    count = (lost or drawn)[0].tally.operations
    made = f"{datetime.now(UTC).date()}, {count} operations for each row, {_versions()}"
    agent = f"The agent calls at most {ATTEMPTS} times for one operation and waits {BOUND:g} s for each answer."
    parts = [f"Measured on {made}. {agent}"]
    if lost:
        parts += ["**Each write takes effect and then loses its reply.**", _table(lost)]
    if drawn:
        parts += [f"**{rate:.0%} of all calls go wrong, reads included (seed {seed}).**", _table(drawn)]
    return "\n\n".join(parts) + "\n"


def write(text: str, readme: Path = README) -> None:
    """Put the figures between their markers. Raises ValueError where these are missing."""
    whole = readme.read_text(encoding="utf-8")
    head, rest = whole.split(BEGIN)
    _, tail = rest.split(END)
    readme.write_text(f"{head}{BEGIN}\n{text}{END}{tail}", encoding="utf-8")


def _versions() -> str:
    proxies = (f"{name} {_version_in(environment, name)}" for environment, name in _PROXIES)
    python = f"Python {platform.python_version()}"
    return ", ".join(
        [python, f"Takeback {version('takeback')}", *proxies, f"client of the Python SDK {version('mcp')}"]
    )


_PROXIES: Final = (("fastmcp", "fastmcp"), ("mcp-proxy", "mcp-proxy"))


def _version_in(environment: str, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    command = [str(programs(environment) / "python"), "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - our own words
    return done.stdout.strip()


def _table(trials: Iterable[Trial]) -> str:
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *(_row(trial) for trial in trials)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(trial: Trial) -> tuple[str, ...]:
    found = trial.tally
    return (
        str(trial.place.transport),
        str(trial.place.subject),
        str(found.created),
        str(found.were_set),
        str(found.right),
        str(found.told_only),
        f"{found.gave_up_with_effect} / {found.gave_up_without}",
        str(found.queued) if trial.place.subject.guards else "",
        str(found.silently_wrong),
        str(found.hung),
        "" if found.next_works is None else f"{found.next_works}",
        str(found.restarts),
    )
