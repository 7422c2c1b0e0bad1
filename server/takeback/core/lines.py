"""Cuts a stream of bytes into lines, with a bound on their length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

HEAD: Final = 256
"""Bytes of an over-long line that are kept, to tell what it was."""


class Lines:
    """Calls `on_line` with each line, without its end.

    A line over `limit` bytes is skipped; `on_oversized` gets its head.
    """

    def __init__(self, on_line: Callable[[bytes], None], on_oversized: Callable[[bytes], None], limit: int) -> None:
        self._on_line, self._on_oversized, self._limit = on_line, on_oversized, limit
        self._begun = bytearray()
        self._skipping: bytes | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes in pieces of any size."""
        pieces = data.split(b"\n")
        last = pieces.pop()
        for piece in pieces:
            self._end(piece)
        if last:
            self._keep(last)

    def finish(self) -> None:
        """Nothing more comes: what was begun is a line, too."""
        if self._begun or self._skipping is not None:
            self._end(b"")

    def _keep(self, piece: bytes) -> None:
        if self._skipping is not None:
            return
        self._begun += piece
        if len(self._begun) > self._limit:
            self._skipping = bytes(self._begun[: min(HEAD, self._limit)])
            self._begun = bytearray()

    def _end(self, piece: bytes) -> None:
        if not self._begun and self._skipping is None and len(piece) <= self._limit:
            self._on_line(piece)
            return
        self._keep(piece)
        skipped, line = self._skipping, bytes(self._begun)
        self._begun, self._skipping = bytearray(), None
        if skipped is None:
            self._on_line(line)
        else:
            self._on_oversized(skipped)
