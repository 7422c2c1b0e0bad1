"""`python -m tests.conformance`: run the suite with and without the guard, and print what differs."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from .suite import REVISIONS, checks, differences, fixture, guarded, install, listed


def main() -> int:
    """0 where nothing differs but what the page on conformance lists."""
    install()
    known, wrong = set(listed()), 0
    with tempfile.TemporaryDirectory() as name, fixture() as url, guarded(url, Path(name), os.environ) as through:
        for revision in REVISIONS:
            without = checks(url, revision, Path(name) / "without")
            behind = checks(through, revision, Path(name) / "behind")
            say(revision, "without the guard:", tally(without))
            say(revision, "behind the guard: ", tally(behind))
            for found in differences(revision, without, behind):
                mark = "listed  " if found in known else "NOT LISTED"
                wrong += found not in known
                say(" ", mark, found.scenario, found.check, f"{found.without} -> {found.behind}")
    return 1 if wrong else 0


def tally(found: dict[tuple[str, str, int], str]) -> str:
    """How many checks came out how."""
    return ", ".join(f"{count} {status}" for status, count in sorted(Counter(found.values()).items()))


def say(*words: str) -> None:
    """For whoever ran it."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
