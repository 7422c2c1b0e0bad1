"""What must hold in every cell, whatever is expected of it in particular."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from takeback.guard.replies import META, Reply

Word = Literal["done", "already", "nothing", "failed", "unknown", "later"]
"""What an agent was told. `failed`: the tool says so, and its word is passed on; `later`: under way, ask again."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an agent was told, and in which words."""

    word: Word
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What came of a cell.

    `effects`: of the operation after the first answer and after the second, and of the other call. `asked`: whether the
    ledger held the outcome for open after each (none: out of reach). `status` is the action's; `met`: it befell it.
    """

    first: Told
    again: Told
    other: Told
    effects: tuple[int, int, int]
    asked: tuple[bool | None, bool | None]
    status: str
    met: bool
    stalled: Told | None = None

    @property
    def summary(self) -> str:
        """`1 succeeded: done, already`."""
        return f"{self.effects[1]} {self.status}: {self.first.word}, {self.again.word}"


def told(reply: Reply) -> Told:
    """A reply, in one word."""
    result = reply.result or {}
    text = " ".join(str(block.get("text", "")) for block in result.get("content", ())) or str(reply.answered)
    meta = result.get("_meta", {})
    if meta.get(f"{META}replayed") or text.startswith("Already done"):
        return Told("already", text)
    if not result.get("isError") and reply.answered is None:
        return Told("done", text)
    if "It took effect" in text or "it took effect" in text:
        return Told("done", text)
    if "The outcome is unknown" in text:
        return Told("unknown", text)
    if "Not executed" in text:
        return Told("nothing", text)
    return Told("later" if "In progress" in text else "failed", text)


def wrong(account: Account) -> Iterator[str]:
    """What does not hold."""
    if not account.met:
        yield "the fault never happened"
    if account.effects[1] > 1:
        yield f"{account.effects[1]} effects of one operation"
    for when, one, effects, asked in zip(
        ("at first", "again"), (account.first, account.again), account.effects, account.asked, strict=False
    ):
        yield from (f"{when}: {what}: {one.text}" for what in _untrue(one, effects, asked))
    if account.other.word != "done" or account.effects[2] != 1:
        yield f"the next call: {account.effects[2]} effects, {account.other}"


def _untrue(one: Told, effects: int, asked: bool | None) -> Iterator[str]:
    if one.word in {"done", "already"} and effects < 1:
        yield "said to be done, and it was not"
    if one.word == "nothing" and effects > 0:
        yield "said not to have happened, and it had"
    if one.word == "unknown" and asked is False:
        yield "said to be unknown, and the ledger does not ask about it"
    if one.word not in {"unknown", "later"} and asked:
        yield "the ledger holds it for open, and the agent was told otherwise"
