"""Where the ledgers of the matrix lie, and what becomes of the database under a guard that works on it."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from unittest import mock

import asyncpg

from takeback.ledger import engine
from tests.matrix.disks import Disk, small_disk
from tests.postgresql import Postgresql

Kind = Literal["file", "small disk", "locked", "postgresql"]

_BUSY_MS: Final = 200
_numbers = itertools.count(1)


@dataclass(slots=True)
class Place:
    """A ledger's place: its `url` (none: the ordinary file in `folder`), and its database's way to be gone."""

    folder: Path
    url: str | None = None
    disk: Disk | None = None
    server: Postgresql | None = None
    locked: sqlite3.Connection | None = None

    def lose(self) -> None:
        """Nothing can be written from now on."""
        if self.disk is not None:
            self.disk.fill()
        elif self.server is not None:
            self.server.stop()
        else:
            self.locked = sqlite3.connect(self.folder / "takeback.db", isolation_level=None, check_same_thread=False)
            self.locked.execute("BEGIN IMMEDIATE")

    def give_back(self) -> None:
        """It is there again."""
        if self.disk is not None:
            self.disk.free()
        elif self.server is not None:
            self.server.start()
        elif self.locked is not None:
            self.locked.close()


@contextmanager
def ledger_at(kind: Kind, folder: Path, server: Postgresql | None) -> Iterator[Place]:
    """A place for an empty ledger of a kind."""
    match kind:
        case "file":
            yield Place(folder)
        case "locked":
            with mock.patch.object(engine, "BUSY_MS", _BUSY_MS):  # how long it waits for a lock is no matter of ours
                yield Place(folder)
        case "small disk":
            with small_disk(folder / "disk") as disk:
                yield Place(disk.folder, disk=disk)
        case "postgresql":
            assert server is not None
            name = f"matrix_{next(_numbers)}"
            yield Place(folder, url=f"postgresql+asyncpg://{name}@/postgres?host={server.folder}", server=server)


async def prepared(place: Place) -> None:
    """Make the role and the schema of a ledger on PostgreSQL."""
    if place.server is None or place.url is None:
        return
    name = place.url.split("//")[1].split("@")[0]
    connection = await asyncpg.connect(host=place.server.folder, user="postgres", database="postgres", timeout=10)
    try:
        await connection.execute(f"CREATE ROLE {name} LOGIN; CREATE SCHEMA {name} AUTHORIZATION {name}")
    finally:
        await connection.close()
