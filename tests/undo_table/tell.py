"""The table, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .tally import ENDINGS, Tally

_THIRD: Final = "tests/third_party"
_DESK: Final = "tests/examples/test_policy.py::test_every_exact_change_goes_back_exactly"
_HEAD: Final = ("system", "writes", "undone exactly", "compensated", "refused", "failed", "not asked", "looked at by")
_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class System:
    """One row: its `key` in the notes, its name, who looks past guard and system, and the arguments of pytest."""

    key: str
    title: str
    look: str
    tests: tuple[str, ...]


SYSTEMS: Final = (
    System(
        "helpdesk-mcp",
        "help desk over MCP (ours)",
        "SQL",
        (f"{_DESK}[mcp]", "tests/play/test_helpdesk_day.py"),
    ),
    System(
        "helpdesk-http",
        "help desk over HTTP (ours)",
        "SQL",
        (f"{_DESK}[http]", "tests/examples/test_http_policy.py", "tests/play/test_helpdesk_http.py"),
    ),
    System("filesystem", "files", "a hash over the tree", (f"{_THIRD}/test_filesystem.py",)),
    System("memory", "memory", "the lines of its file", (f"{_THIRD}/test_memory.py",)),
    System("git", "git", "git", (f"{_THIRD}/test_git.py",)),
    System("sqlite", "SQL", "SQL", (f"{_THIRD}/test_sqlite.py",)),
    System("excel", "spreadsheets", "openpyxl", (f"{_THIRD}/test_excel.py",)),
    System("radicale", "calendars", "files, another client", (f"{_THIRD}/apis/test_radicale.py",)),
    System("roundup", "issues", "SQL, another client", (f"{_THIRD}/apis/test_roundup.py",)),
    System("kinto", "JSON records", "SQL, another client", (f"{_THIRD}/apis/test_kinto.py",)),
    System("prefect", "workflow runs", "SQL, another client", (f"{_THIRD}/apis/test_prefect.py",)),
)


def table(found: Mapping[str, Tally], agreed: Collection[str]) -> str:
    """One row for each system. `agreed`: the systems whose tests succeeded, each and all."""
    return _markdown(_HEAD, (_row(system, found.get(system.key, Tally()), agreed) for system in SYSTEMS))


def _row(system: System, tally: Tally, agreed: Collection[str]) -> Sequence[str]:
    look = f"{system.look}: {'agrees' if system.key in agreed else '**tests failed**'}"
    return (
        system.title,
        str(tally.writes),
        str(tally.ended("exact")),
        _named(tally.ended("compensated"), tally.residues),
        _named(tally.ended("refused"), tally.reasons),
        _named(tally.ended("failed"), tally.failures),
        _standing(tally),
        look,
    )


def _standing(tally: Tally) -> str:
    """Writes whose undo nobody asked for, and of how many it was said with the write that there is none."""
    count, lost = tally.ended("not asked"), tally.forecasts["refused", "not asked"]
    return f"{count} ({lost} said to be impossible)" if lost else str(count)


def _named(count: int, kinds: Counter[str]) -> str:
    """The count, and what is behind it, the most frequent first."""
    listed = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
    named = [f"{name} ({times})" if times > 1 else name for name, times in listed[:_MOST_NAMED]]
    if more := len(listed) - _MOST_NAMED:
        named += [f"{more} more"] if more > 0 else []
    return f"{count}: {'; '.join(named)}" if named else str(count)


def forecasts(found: Mapping[str, Tally]) -> str:
    """How the forecasts fared: what was said with each write against how it ended, over all systems."""
    pairs = sum((tally.forecasts for tally in found.values()), Counter[tuple[str, str]]())
    said = sorted({forecast for forecast, _ in pairs})
    rows = [(name, *(str(pairs[name, ending]) for ending in ENDINGS)) for name in said]
    head = ("said with the write", "undone exactly", *ENDINGS[1:])
    return _markdown(head, rows)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
