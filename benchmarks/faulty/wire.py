"""How the faulty upstream answers one request, or does not: over stdio and over HTTP in their own ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

Answer = dict[str, Any]

GARBAGE: Final = '{"jsonrpc": "2.0", "id": "resu'
"""An answer that breaks off."""


@dataclass(frozen=True, slots=True)
class Wire:
    """The ways in which a request can end.

    `drop` never answers; over HTTP it holds the connection until its client leaves. `reset` ends the process over stdio
    and the connection over HTTP.
    """

    answer: Callable[[Answer], None]
    garbage: Callable[[], None]
    reset: Callable[[], None]
    drop: Callable[[], None]


class Handles(Protocol):
    """What requests are given to."""

    def handle(self, message: dict[str, Any], wire: Wire) -> None:
        """One request, which has a method and an id."""
