"""What came of many cases, in a table for each kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.crashes import plans, workloads
from tests.crashes.cases import Result

_MEANING = {**workloads.MEANING, **plans.MEANING}
_HEAD = ("killed during", "cases", "settled", "queued", "duplicates", "lost", "violations")


@dataclass(slots=True)
class Row:
    """The cases of one kind. Each was settled without a person, or something waits for one."""

    cases: int = 0
    queued: int = 0
    duplicates: int = 0
    lost: int = 0
    violations: int = 0

    def add(self, result: Result) -> None:
        self.cases += 1
        self.queued += result.judged.queued > 0
        self.duplicates += result.judged.duplicates
        self.lost += result.judged.lost
        self.violations += bool(result.judged.problems)

    def cells(self) -> tuple[int, ...]:
        return (self.cases, self.cases - self.queued, self.queued, self.duplicates, self.lost, self.violations)


@dataclass(slots=True)
class Tally:
    """All kinds, and the cases that went wrong."""

    rows: dict[str, Row] = field(default_factory=dict)
    wrong: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.rows.setdefault(result.case.kind, Row()).add(result)
        if result.judged.problems:
            self.wrong.append(result)

    @property
    def total(self) -> Row:
        found = Row()
        for row in self.rows.values():
            found.cases += row.cases
            found.queued += row.queued
            found.duplicates += row.duplicates
            found.lost += row.lost
            found.violations += row.violations
        return found

    def table(self) -> str:
        """In Markdown."""
        body = [(f"`{kind}`: {what}", self.rows[kind]) for kind, what in _MEANING.items() if kind in self.rows]
        lines = [_line(_HEAD), _line("---" if at == 0 else "---:" for at in range(len(_HEAD)))]
        lines += [_line([what, *map(_grouped, row.cells())]) for what, row in [*body, ("all", self.total)]]
        return "\n".join(lines)


def _grouped(number: int) -> str:
    return f"{number:,}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def report(result: Result) -> str:
    """A case that went wrong, so that it can be played alone."""
    problems = (f"  {one}" for one in result.judged.problems)
    return "\n".join([f"WRONG --only '{result.case.name}'", *problems, result.excerpt])
