"""What comes of every cell: effects upstream, the action's state, what the agent was told at first and on its retry."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.matrix.policies import KINDS, RULES, Kind, Rule

STALL: Final = "the guard stalls before the send, and another takes over"
"""The row for which two guards are needed."""


class Cell(NamedTuple):
    """One square of the table."""

    row: str
    kind: Kind
    rule: Rule


Four = tuple[str, str, str, str]
"""By rule: `set`, `note`, `charge`, `pay`."""

_DONE: Final = "1 succeeded: done, already"
_OPEN: Final = "1 needs_operator: unknown, unknown"
_NEVER: Final = "0 needs_operator: unknown, unknown"
_REFUSED: Final = "1 succeeded: nothing, done"
_FAILED: Final = "1 succeeded: failed, done"
_FOUND: Final = "1 succeeded: unknown, done"
_WAITS: Final = "0 in_doubt: unknown, unknown"
_TWICE: Final = "2 succeeded: done, already"
_LIED_TO: Final = "2 succeeded: failed, done"

_AS_IF_NOTHING: Final[Four] = (_DONE,) * 4
_LOST: Final[Four] = (_DONE, _DONE, _OPEN, _DONE)
_UNDONE: Final[Four] = (_DONE, _DONE, _NEVER, _DONE)
_NOT_BEGUN: Final[Four] = (_REFUSED,) * 4
_NOT_RECORDED: Final[Four] = (_FOUND, _FOUND, _OPEN, _FOUND)

ALL: Final = " ".join(KINDS)

_TABLE: Final[dict[str, dict[str, Four]]] = {
    "the reply is lost, the line stays open": {ALL: _LOST},
    "the request lands after the time-out": {ALL: _LOST},
    "the request is delivered twice": {ALL: (_DONE, _TWICE, _TWICE, _DONE)},
    "the reply comes twice": {ALL: _AS_IF_NOTHING},
    "an error before the effect": {"stdio mcp": (_FAILED,) * 4, "api": _UNDONE},
    "an error after the effect": {"stdio mcp": (_DONE, _DONE, _LIED_TO, _FAILED), "api": _LOST},
    "garbage instead of the reply": {ALL: _LOST},
    "half of the reply": {ALL: _LOST},
    "503 before the effect": {"mcp api": _UNDONE},
    "503 after the effect": {"mcp api": _LOST},
    "the connection is reset before the effect": {ALL: _UNDONE},
    "the connection is reset after the effect": {ALL: _LOST},
    "the reply is lost, and that of the first look, too": {ALL: _LOST},
    "the upstream commits, and dies before it answers": {ALL: _LOST},
    "the clock goes ahead by hours": {ALL: _AS_IF_NOTHING},
    "the clock goes back by hours": {ALL: _AS_IF_NOTHING},
    "the clock goes ahead by hours, and the reply is lost": {ALL: _LOST},
    "the clock goes back by hours, and the reply is lost": {ALL: _LOST},
    "the clock goes ahead by hours, and the request is lost": {ALL: _UNDONE},
    "the clock goes back by hours, and the request is lost": {ALL: (_WAITS, _WAITS, _NEVER, _DONE)},
    "the ledger's disk is full before the claim": {"api": _NOT_BEGUN},
    "the ledger's disk is full after the effect": {ALL: _NOT_RECORDED},
    "the ledger (SQLite) is locked by others before the claim": {"api": _NOT_BEGUN},
    "the ledger (SQLite) is locked by others after the effect": {ALL: _NOT_RECORDED},
    "the ledger (PostgreSQL) is stopped before the claim": {"api": _NOT_BEGUN},
    "the ledger (PostgreSQL) is stopped after the effect": {"api": _NOT_RECORDED},
    STALL: {ALL: (_DONE, _TWICE, _OPEN, _DONE)},
}

EXPECTED: Final[dict[Cell, str]] = {
    Cell(row, kind, rule): summary
    for row, by_kinds in _TABLE.items()
    for kinds, four in by_kinds.items()
    for kind in KINDS
    if kind in kinds.split()
    for rule, summary in zip(RULES, four, strict=True)
}

_BEHIND: Final = (
    "The doubling happens behind the guard, which sent it once: only a key that the upstream honours helps."
)
_WORD: Final = (
    "The tool itself says that it failed, and where nothing can be looked at it is believed: the retry runs. An HTTP "
    "API that answers 5xx is not believed."
)
_STALL: Final = (
    "A fence protects the ledger, not the upstream. A guard that the system stops right there, for longer than its "
    "lease and `lands_within` together, sends when it wakes up: only a key, or a write that sets, stands that."
)

LIMITS: Final[dict[tuple[str, Rule], tuple[str, str]]] = {
    ("the request is delivered twice", "note"): (ALL, _BEHIND),
    ("the request is delivered twice", "charge"): (ALL, _BEHIND),
    ("an error after the effect", "charge"): ("stdio mcp", _WORD),
    (STALL, "note"): (ALL, _STALL),
}
"""Where at most one effect is not kept: on which upstreams, and why."""


def limit_of(cell: Cell) -> str | None:
    """Why a cell does not hold what all others do."""
    kinds, why = LIMITS.get((cell.row, cell.rule), ("", ""))
    return why if cell.kind in kinds.split() else None
