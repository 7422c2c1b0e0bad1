"""The service: records, who wrote what and when, and reads that may lag. It knows nothing of any guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.undo_world.records import ABSENT, EXISTS, IGNORED, Record, Unit, Value, comment, document, group, units

OTHERS: Final = "others"


@dataclass(frozen=True, slots=True)
class Event:
    """One write that took effect: by whom, in which step of the schedule, and each unit it wrote with old and new."""

    position: int
    at: float
    by: str
    step: int
    target: str
    wrote: dict[Unit, tuple[Value, Value]]

    @property
    def foreign(self) -> bool:
        """Somebody else wrote it, past the guard."""
        return self.by == OTHERS

    def changes(self) -> dict[Unit, tuple[Value, Value]]:
        """What is different after it."""
        return {unit: (old, new) for unit, (old, new) in self.wrote.items() if old != new}


@dataclass(frozen=True, slots=True)
class Read:
    """One look at a record: which state was `shown`, at which `position` of the journal it was asked."""

    step: int
    target: str
    shown: int
    position: int
    version: int | None


def listing(doc: str) -> str:
    """What a read of a document's comments looks at."""
    return f"comments on {doc}"


@dataclass(slots=True)
class Service:
    """All the truth there is. Position n is the state after n writes."""

    now: Callable[[], float]
    lag: float = 0.0
    records: dict[str, Record] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    journal: list[Event] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    states: list[dict[str, Record]] = field(default_factory=list)
    marks: list[dict[str, int]] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    behind: int = 0
    fell: int = 0
    by: str = OTHERS
    step: int = 0

    def __post_init__(self) -> None:
        for record in (document("D1"), document("D2"), group("G1", "ann", "bob")):
            self.records[record["id"]] = record
            self.versions[record["id"]] = len(self.versions) + 1
            self.known.append(record["id"])
        self._keep()

    def _keep(self) -> None:
        self.states.append(dict(self.records))
        self.marks.append(dict(self.versions))

    def put(self, target: str, record: Record | None, *, touched: Iterable[Unit] = ()) -> None:
        """Let a record be this (None: gone). `touched` are units that were written even if they hold what they held."""
        old, new = units(self.records.get(target)), units(record)
        named = {unit for unit in old.keys() | new.keys() if old.get(unit, ABSENT) != new.get(unit, ABSENT)}
        wrote = {unit: (old.get(unit, ABSENT), new.get(unit, ABSENT)) for unit in named | set(touched)}
        self.journal.append(Event(len(self.journal), self.now(), self.by, self.step, target, wrote))
        if record is None:
            del self.records[target]
        else:
            seen = self.records[target][IGNORED] if target in self.records else 0
            self.records[target] = {**record, IGNORED: seen + 1}
            if target not in self.known:
                self.known.append(target)
        self.versions[target] = len(self.journal) + 10
        self._keep()

    def update(self, target: str, **fields: Any) -> None:
        """Write some fields. A field of elements counts as written only in the elements that differ."""
        record = {**self.records[target], **fields}
        held = units(record)
        self.put(target, record, touched=[(name,) for name in fields if (name,) in held])

    def add(self, target: str, by: int) -> None:
        """Move the counter."""
        self.update(target, count=self.records[target]["count"] + by)

    def remove(self, target: str) -> None:
        """Delete a record, and with it the comments on it."""
        for child in self.comments(target):
            self.put(child, None)
        self.put(target, None)

    def comments(self, doc: str) -> list[str]:
        """The ids of a document's comments."""
        return [key for key, record in self.records.items() if record["kind"] == "comment" and record["doc"] == doc]

    def create(self, target: str | None, **fields: Any) -> str:
        """Make a document, under this id or under a new one."""
        made = target or f"N{len(self.journal)}"
        record = document(made, **fields)
        self.put(made, record, touched=[EXISTS])
        return made

    def comment(self, doc: str, text: str) -> str:
        """Make a comment on a document, whose version moves on with it."""
        made = f"C{len(self.journal)}"
        self.put(made, comment(made, doc, text), touched=[EXISTS])
        self.put(doc, self.records[doc])
        return made

    def uncomment(self, target: str) -> None:
        """Remove a comment."""
        doc = self.records[target]["doc"]
        self.put(target, None)
        self.put(doc, self.records[doc])

    def children(self, doc: str) -> list[str]:
        """What a listing of a document's comments shows."""
        shown = self.shown()
        self.reads.append(Read(self.step, listing(doc), shown, len(self.journal), None))
        found = self.states[shown].items()
        return [key for key, record in found if record["kind"] == "comment" and record["doc"] == doc]

    def read(self, target: str) -> tuple[Record | None, int | None]:
        """What a read shows now, and the version that goes with it."""
        shown = self.shown()
        version = self.marks[shown].get(target) if target in self.states[shown] else None
        self.reads.append(Read(self.step, target, shown, len(self.journal), version))
        return self.states[shown].get(target), version

    def shown(self) -> int:
        """The position whose state reads show now; by mistake, some are `behind` by a few writes, never two on end."""
        if not self.lag:
            self.fell, self.behind = 0 if self.fell else self.behind, 0
            return max(0, len(self.journal) - self.fell)
        until = self.now() - self.lag
        return sum(event.at <= until for event in self.journal)
