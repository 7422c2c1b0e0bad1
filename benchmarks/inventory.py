"""`python -m benchmarks.inventory`: how well the inventory judges the tools of servers that it was not written for.

The corpus and its labels are explained in tests/inventory/README.md.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from takeback.core.inventory.drafting import Drafted, inventory
from takeback.core.inventory.words import vocabulary

CORPUS: Final = Path(__file__).parents[1] / "tests" / "inventory"
HELD_OUT: Final = vocabulary("notion stripe airtable chrome-devtools circleci gmail obsidian excel redis puppeteer")
"""Servers that the inventory was not made with."""

NONE: Final = "-"
FEATURES: Final = ("writes", "class", "does", "read-back", "undo named", "undo ready")


@dataclass(frozen=True, slots=True)
class Label:
    """What a tool is, by hand: for each question the answers that are right. Reads have none."""

    writes: bool
    kinds: frozenset[str] = frozenset()
    does: frozenset[str] = frozenset()
    read_back: frozenset[str] = frozenset()
    undo: frozenset[str] = frozenset()


@dataclass(slots=True)
class Score:
    """Counts of what was found rightly, found wrongly, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        """Of what was found, how much is right."""
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        """Of what there is, how much was found."""
        return self.right / max(1, self.right + self.missed)


@dataclass(slots=True)
class Result:
    """The scores of some servers, and the errors by kind, each as `server.tool: what`."""

    scores: dict[str, Score] = field(default_factory=lambda: {feature: Score() for feature in FEATURES})
    writes_as_reads: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    tools: Counter[str] = field(default_factory=Counter)


def servers() -> list[str]:
    """All servers of the corpus that have labels."""
    return sorted(path.stem for path in (CORPUS / "labels").glob("*.toml"))


def definitions(server: str) -> list[dict[str, Any]]:
    """The tools of a server, as it gave them."""
    found: list[dict[str, Any]] = orjson.loads((CORPUS / "corpus" / f"{server}.json").read_bytes())["tools"]
    return found


def labels(server: str) -> dict[str, Label]:
    """The labels of a server, by tool."""
    given = tomllib.loads((CORPUS / "labels" / f"{server}.toml").read_text(encoding="utf-8"))
    found = {tool: Label(writes=False) for tool in given["read"]}
    return found | {tool: Label(True, *map(_several, text.split())) for tool, text in given["write"].items()}


def _several(text: str) -> frozenset[str]:
    return frozenset(text.split("/"))


def judged(some: Iterable[str]) -> Result:
    """Run the inventory over servers and hold it against their labels."""
    result = Result()
    for server in some:
        known = labels(server)
        for drafted in inventory("up", definitions(server)):
            result.tools[server] += 1
            for error in _compare(drafted, known[drafted.tool], result):
                result.errors.append(f"{server}.{drafted.tool}: {error}")
            if known[drafted.tool].writes and reads_always(drafted):
                result.writes_as_reads.append(f"{server}.{drafted.tool}")
    return result


def reads_always(drafted: Drafted) -> bool:
    """Whether a draft lets every call of a tool pass as a read."""
    return any(rule["class"] == "read_only" and "when" not in rule for rule in drafted.rules)


def _compare(drafted: Drafted, label: Label, result: Result) -> Iterator[str]:
    reads = bool(drafted.rules) and reads_always(drafted)
    score = result.scores["writes"]
    if label.writes is not reads:
        score.right += label.writes
    elif label.writes:
        score.missed += 1
        yield "a write drafted as a read"
    else:
        score.wrong += 1
        yield "a read drafted as a write"
    if reads or not label.writes:
        return
    rule = drafted.rules[-1] if drafted.rules else {"class": "external_irreversible", "does": "send"}
    yield from _one(result.scores["class"], "class", str(rule["class"]), label.kinds)
    yield from _one(result.scores["does"], "does", str(rule.get("does", "send")), label.does)
    named = drafted.undo[-1].tool if drafted.undo else NONE
    ready = named if any(asked.ready for asked in drafted.undo) else NONE
    yield from _one(
        result.scores["read-back"], "read-back", drafted.read_back.tool if drafted.read_back else NONE, label.read_back
    )
    yield from _one(result.scores["undo named"], "undo", named, label.undo)
    tuple(_one(result.scores["undo ready"], "undo", ready, label.undo))


def _one(score: Score, what: str, found: str, right: frozenset[str]) -> Iterator[str]:
    """`-` is nothing found, and nothing to be found; beside other answers, that nothing need be found."""
    if found in right:
        score.right += found != NONE
        return
    score.wrong += found != NONE
    score.missed += NONE not in right
    yield f"{what} {found}, and is {'/'.join(sorted(right))}"


def show(console: Console, title: str, result: Result, *, errors: bool) -> None:
    """Print the scores of some servers."""
    table = Table(
        "",
        "precision",
        "recall",
        "right",
        "wrong",
        "missed",
        title=f"{title}: {result.tools.total()} tools of {len(result.tools)} servers",
    )
    for feature, score in result.scores.items():
        table.add_row(
            feature,
            f"{score.precision:.3f}",
            f"{score.recall:.3f}",
            str(score.right),
            str(score.wrong),
            str(score.missed),
        )
    console.print(table)
    console.print(f"writes drafted as reads: {', '.join(result.writes_as_reads) or 'none'}", markup=False)
    for error in result.errors if errors else ():
        console.print(f"  {error}", markup=False)


def as_json(result: Result) -> Mapping[str, Any]:
    """The scores for other programs."""
    return {
        "tools": result.tools.total(),
        "scores": {name: {"precision": s.precision, "recall": s.recall} for name, s in result.scores.items()},
        "writes_as_reads": result.writes_as_reads,
        "errors": result.errors,
    }


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inventory", description="How well tools are judged.")
    parser.add_argument("--errors", action="store_true", help="list every error of the servers that it was made with")
    parser.add_argument("--held-out", action="store_true", help="the servers that it was not made with, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores there, too")
    options = parser.parse_args()
    console, found = Console(), {}
    found["made with"] = judged(name for name in servers() if name not in HELD_OUT)
    show(console, "made with", found["made with"], errors=options.errors)
    if options.held_out:
        found["held out"] = judged(name for name in servers() if name in HELD_OUT)
        show(console, "held out", found["held out"], errors=options.errors)
    if options.json is not None:
        options.json.write_bytes(orjson.dumps({name: as_json(each) for name, each in found.items()}))


if __name__ == "__main__":
    main()
