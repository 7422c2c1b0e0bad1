"""Plays cells: the upstreams that they share, the ledgers that they do not, and a record for each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.matrix.expected import Cell
from tests.matrix.ledgers import ledger_at, prepared
from tests.matrix.oracle import Account
from tests.matrix.policies import RULES, Kind
from tests.matrix.rows import ROWS
from tests.matrix.stage import play, staged
from tests.matrix.world import OverHttp, OverStdio, World
from tests.postgresql import Postgresql, a_postgresql

_ROWS: Final = {row.name: row for row in ROWS}

CELLS: Final = [Cell(row.name, kind, rule) for row in ROWS for kind in row.kinds for rule in RULES]


class Worlds:
    """What is started once for many cells, when the first of them asks for it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._over_http: dict[Kind, World] = {}
        self._numbers = itertools.count(1)

    @cached_property
    def postgresql(self) -> Postgresql:
        """A server that may be stopped."""
        return self._stack.enter_context(a_postgresql())

    def world(self, kind: Kind, folder: Path) -> World:
        """An upstream: over stdio one of the cell's own, over HTTP the one of all."""
        if kind == "stdio":
            return OverStdio(folder)
        if kind not in self._over_http:
            place = self._folder / kind
            place.mkdir()
            self._over_http[kind] = self._stack.enter_context(OverHttp(kind, place).running())
        return self._over_http[kind]

    def fresh(self) -> tuple[str, Path]:
        """A record that nobody touched yet, and an empty folder."""
        name = f"R{next(self._numbers)}"
        folder = self._folder / name
        folder.mkdir()
        return name, folder


@contextmanager
def worlds(folder: Path) -> Iterator[Worlds]:
    """Everything is stopped at the end."""
    with ExitStack() as stack:
        yield Worlds(folder, stack)


async def played(cell: Cell, shared: Worlds) -> Account:
    """What comes of a cell."""
    row = _ROWS[cell.row]
    record, folder = shared.fresh()
    world = shared.world(cell.kind, folder)
    server = shared.postgresql if row.ledger == "postgresql" else None
    with ledger_at(row.ledger, folder, server) as place:
        await prepared(place)
        async with staged(world, cell.rule, record, place, timeout=row.timeout, direct=row.direct) as stage:
            return await play(stage, row.arrange)
