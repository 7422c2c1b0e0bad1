"""From notes to rows: each write is counted once, by how it ended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Ending = Literal["exact", "compensated", "refused", "failed", "not asked"]
ENDINGS: Final[tuple[Ending, ...]] = ("exact", "compensated", "refused", "failed", "not asked")

_LONGEST: Final = 80
_QUEUED: Final = "an undo found that it "
_REFUSED: Final = re.compile(r"(?P<action>\w+) not undone: (?P<why>.+?)\. Nothing was changed")
_UNPREPARED: Final = re.compile(r"way back could not be prepared when \w+ ran \((?P<why>.+)\)")
_REASONS: Final = {
    "changed by others since": "changed by others since",
    "no way to take": "the policy knows no way back",
    "could be undone until": "too late",
    "rests on": "something that stands rests on it",
    "of others hangs on it": "something of others hangs on it",
    "cannot be read now": "the target cannot be read",
    "Nothing was written": "changed by others in the instant of the undo",
}
"""What the guard says, and the same in a few words. What is not here is told as the guard said it, cut short."""
_PARTICULAR: Final = ((re.compile(r"(?<!\S)/\S+?(?=[:.]?(\s|$)):?"), "…"), (re.compile(r"\b[0-9a-f]{12,}\b"), "…"))
"""Paths and digests, which no two runs agree on."""


@dataclass(slots=True)
class Tally:
    """One system. `forecasts` counts writes by forecast and ending; the others count by what was named."""

    forecasts: Counter[tuple[str, Ending]] = field(default_factory=Counter)
    residues: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def writes(self) -> int:
        """How many writes took effect."""
        return self.forecasts.total()

    def ended(self, ending: Ending) -> int:
        """How many writes ended so."""
        return sum(count for (_, how), count in self.forecasts.items() if how == ending)

    def add(self, note: Mapping[str, Any]) -> None:
        """Count the writes of one guard. What had no effect (denied, failed before it) is none."""
        refused, failed = refusals(note), failures(note)
        for action in note["actions"]:
            if action["origin"] not in {"agent", "repeat"} or not (
                action["in_force"] or action["status"] == "compensated"
            ):
                continue
            ending = self._ending(action, refused, failed)
            self.forecasts[(action["forecast"] or {}).get("outcome", "none"), ending] += 1

    def _ending(self, action: Mapping[str, Any], refused: Mapping[str, str], failed: Mapping[str, str]) -> Ending:
        outcome, name = action["outcome"] or {}, action["id"]
        if action["status"] == "compensated":
            if outcome.get("outcome") == "exact":
                return "exact"
            self.residues.update(set(outcome.get("residue") or [outcome.get("text", "not read back")]))
            return "compensated"
        if name in failed:
            self.failures[failed[name]] += 1
            return "failed"
        if name in refused:
            self.reasons[refused[name]] += 1
            return "refused"
        return "not asked"


def refusals(note: Mapping[str, Any]) -> dict[str, str]:
    """By action: why its undo was refused, by the answers and by what waits for a person."""
    queued = {
        item["action"]: shortly(item["why"].removeprefix(_QUEUED))
        for item in note["queue"]
        if item["why"].startswith(_QUEUED)
    }
    told = [answer for answer in note["answers"] if answer["outcome"] != "failed"]
    listed = {found["action"]: shortly(found["why"]) for a in told for found in _REFUSED.finditer(a["text"])}
    alone = {a["action"]: shortly(a["text"]) for a in told if a["outcome"] == "refused"}
    return alone | listed | queued


def failures(note: Mapping[str, Any]) -> dict[str, str]:
    """By action: what an undo said that failed, and undos that a person has to settle."""
    stuck = {
        action["original"]: f"an undo is {action['status'].replace('_', ' ')}"
        for action in note["actions"]
        if action["origin"] == "undo" and action["status"] in {"needs_operator", "in_doubt"}
    }
    return stuck | {a["action"]: shortly(a["text"]) for a in note["answers"] if a["outcome"] == "failed"}


def shortly(text: str) -> str:
    """Why, in a few words."""
    for said, reason in _REASONS.items():
        if said in text:
            return reason
    if found := _UNPREPARED.search(text):
        return found["why"]
    plain = text.removeprefix('The tool refused: "').removeprefix("Not undone: ").partition(". Nothing was changed")[0]
    for what, instead in _PARTICULAR:
        plain = what.sub(instead, plain)
    plain = plain.removeprefix("… ")
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST].rsplit(" ", 1)[0] + " …"


def tallies(notes: Iterable[Mapping[str, Any]]) -> dict[str, Tally]:
    """By system."""
    found: dict[str, Tally] = {}
    for note in notes:
        found.setdefault(note["system"], Tally()).add(note)
    return found
