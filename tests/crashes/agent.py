"""The agent: makes its calls, and when the guard dies makes them again at the next one, as its client would."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from tests.crashes.life import Life
from tests.crashes.lives import Died, Line, Zygote
from tests.crashes.upstream import World

Outcome = Literal["done", "none", "back", "unknown", "confirm", "pending", "again", "stuck"]
"""What an answer says: done; nothing was changed; all of it went back; unknown; a preview to confirm; a person must
agree; come again. `stuck`: there was no other answer than the last within the bound."""

BOUND: Final = 20.0
"""Seconds within which there must be an answer that says something."""

_PAUSE: Final = 0.05
_PERSISTENT: Final = 3
_COME_AGAIN: Final = ("in progress", "ask again", "wait for it to be settled", "try again", "under way")


class Away(Exception):
    """The guard died, and this agent does not come again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and what it says."""

    outcome: Outcome
    text: str = ""
    action: str | None = None
    confirm: str | None = None
    approval: str | None = None


def understood(reply: dict[str, Any]) -> Answer:
    """What a reply says to an agent that reads."""
    if "failed" in reply:
        return Answer("again", reply["failed"])
    if "answered" in reply:
        return Answer("none", reply["answered"])
    result = reply["result"]
    text = "\n".join(block.get("text", "") for block in result["content"])
    meta = {name.removeprefix("io.takeback/"): value for name, value in (result.get("_meta") or {}).items()}
    return Answer(
        _outcome(text, meta, error=bool(result.get("isError"))),
        text,
        meta.get("action"),
        meta.get("confirm"),
        meta.get("approval"),
    )


def _outcome(text: str, meta: dict[str, Any], *, error: bool) -> Outcome:
    said = text.lower()
    if not error:
        return "confirm" if meta.get("confirm") else "done"
    if meta.get("approval"):
        return "pending"
    if "it took effect" in said:
        return "done"  # the tool's own answer is lost, and this is the guard's word for it
    if meta.get("status") == "compensated" and "stopped:" in said:
        return "back"  # a plan that failed
    if any(word in said for word in _COME_AGAIN):
        return "again"
    return "none" if "nothing was changed" in said else "unknown"


@dataclass(slots=True)
class Agent:
    """Works through one guard at a time. `first` is how the first one lives; the next ones live as `later` says."""

    zygote: Zygote
    world: World
    first: Life
    later: Life
    stays: bool = True
    run: str = "r1"
    deaths: int = 0
    retries: int = 0
    line: Line | None = None
    seen: list[str] = field(default_factory=list)
    answers: list[tuple[str, Answer]] = field(default_factory=list)

    def alive(self) -> Line:
        """The line to a guard that lives, as far as is known."""
        while self.line is None:
            life = self.first if self.deaths == 0 else self.later
            if self.deaths > 3:
                raise AssertionError("guards die for no reason")
            try:
                self.line = self.zygote.begin(life)
            except Died:
                self.buried()
        return self.line

    def buried(self) -> None:
        """The guard is dead: let go of it."""
        self.deaths += 1
        if self.line is not None:
            self.line.close()
            self.line = None

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Ask until a guard lives long enough to answer. Raises Away."""
        while True:
            try:
                return self.alive().ask(order)
            except Died:
                self.buried()
                if not self.stays:
                    raise Away from None

    def call(self, step: str, name: str, arguments: dict[str, Any], *, run: str | None = None) -> Answer:
        """A call, again and again until the answer says something. Raises Away."""
        self.world.state.step = step
        order = {"do": "call", "step": step, "run": run or self.run, "name": name, "arguments": arguments}
        until, tries = time.monotonic() + BOUND, 0
        while True:
            answer = understood(self.ask(order))
            if answer.outcome != "again":
                break
            tries += "try again" in answer.text.lower()
            if time.monotonic() > until or tries > _PERSISTENT:
                answer = replace(answer, outcome="stuck")
                break
            self.retries += 1
            time.sleep(_PAUSE)
        self.answers.append((step, answer))
        return answer

    def approve(self, step: str, approval: str) -> str:
        """A person agrees, and asks again when the guard dies over it. Returns where the approval stands."""
        self.world.state.step = step
        return str(self.ask({"do": "approve", "step": step, "run": self.run, "approval": approval}).get("approval"))

    def finish(self) -> None:
        """Let the last guard end in order."""
        while True:
            try:
                self.seen = self.alive().end()
            except Died:
                self.buried()
                continue
            line, self.line = self.alive(), None
            line.close()
            return

    def close(self) -> None:
        """Leave no guard behind."""
        if self.line is not None:
            self.line.close()
            self.line = None
