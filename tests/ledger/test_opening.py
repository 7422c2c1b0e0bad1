"""A ledger that cannot be opened says why, in words for a person, and never says a password."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
import sys
import traceback
from contextlib import closing
from pathlib import Path

import pytest

from takeback.ledger import SqlLedger, open_ledger
from takeback.ports import LedgerFailure

from .stories import first, ids, write

SECRET = "hunter2-very-secret"


async def refused(url: str) -> str:
    """What is said when a ledger cannot be opened; nothing may be left open behind it."""
    with pytest.raises(LedgerFailure) as failure:
        async with asyncio.timeout(30):
            await open_ledger(url)
    assert SECRET not in "".join(traceback.format_exception(failure.value))
    return str(failure.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "not a database url"),
        ("ledger.db", "not a database url"),
        (f"postgresql+asyncpg://ann:{SECRET}@127.0.0.1:port/db", "not a database url"),
        (f"mysql+aiomysql://ann:{SECRET}@localhost/db", "not in mysql\\+aiomysql"),
        ("postgresql://localhost/db", "not in postgresql"),
        ("sqlite:///ledger.db", "not in sqlite"),
        ("sqlite+aiosqlite://", "in memory"),
        ("sqlite+aiosqlite:///:memory:", "in memory"),
        ("sqlite+aiosqlite:///file:x?mode=memory&uri=true", "in memory"),
        (f"postgresql+asyncpg://ann:{SECRET}@127.0.0.1:1/db", "cannot be opened: .*127.0.0.1"),
        (f"postgresql+asyncpg://ann:{SECRET}@127.0.0.1:1/db?sslmodus=off", "cannot be opened: .*sslmodus"),
        (f"postgresql+asyncpg://ann:{SECRET}@127.0.0.1:1/db?ssl=nonsense", "cannot be opened"),
        ("sqlite+aiosqlite:////tmp/ledger-of-nobody/x.db?nonsense=1", "takes no options: nonsense"),
    ],
)
async def test_an_address_that_is_wrong(url: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    message = await refused(url.replace("/tmp/ledger-of-nobody", str(tmp_path)))
    assert re.search(said, message), message


async def test_a_password_that_is_wrong_or_a_database_that_is_missing(postgresql: str) -> None:
    assert "nobody" in await refused(f"postgresql+asyncpg://nobody:{SECRET}@/postgres?host={postgresql}")
    assert "nowhere" in await refused(f"postgresql+asyncpg://postgres:{SECRET}@/nowhere?host={postgresql}")


async def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    message = await refused(f"postgresql+asyncpg://ann:{SECRET}@127.0.0.1:1/db")
    assert "asyncpg" in message
    assert "takeback[postgresql]" in message


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann, " * 1000)
    assert "not a database" in await refused(f"sqlite+aiosqlite:///{path}")
    assert path.read_text().startswith("Dear Ann")


async def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "music.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    assert "not a ledger" in await refused(f"sqlite+aiosqlite:///{path}")


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be opened" in await refused(f"sqlite+aiosqlite:///{tmp_path}/file/takeback.db")
    assert "directory" in await refused(f"sqlite+aiosqlite:///{tmp_path}")


async def test_a_folder_that_nobody_may_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the word of the system call: to the superuser of a test machine every folder is open."""

    def forbidden(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    assert "Permission denied" in await refused(f"sqlite+aiosqlite:///{tmp_path}/takeback.db")


async def test_a_new_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "takeback.db"
    ledger = await open_ledger(f"sqlite+aiosqlite:///{path}")
    try:
        await write(ledger, first("a1"))
        files = {found.name: stat.S_IMODE(found.stat().st_mode) for found in [path.parent, *path.parent.iterdir()]}
    finally:
        await ledger.close()
    assert files == {"state": 0o700, "takeback.db": 0o600, "takeback.db-wal": 0o600, "takeback.db-shm": 0o600}


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_the_writer_of_a_file_logs_ahead_and_syncs_fully(ledger: SqlLedger) -> None:
    asked = ("journal_mode", "synchronous", "foreign_keys")
    lane = ledger._writer._durable_lane
    said = [
        await lane.run(lambda connection, what=what: connection.exec_driver_sql(f"PRAGMA {what}").scalar_one())  # type: ignore[misc]
        for what in asked
    ]
    assert said == ["wal", 2, 1]


LEAVING = """
import asyncio, sys
from takeback.ledger import open_ledger
from takeback.ports import LedgerFailure

async def main():
    try:
        await open_ledger(sys.argv[1])
    except LedgerFailure as failure:
        print(failure)

asyncio.run(main())
"""


async def test_a_program_that_could_not_open_its_ledger_ends(tmp_path: Path) -> None:
    """A driver's thread that nobody stopped would keep it alive for ever."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann, " * 1000)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", LEAVING, f"sqlite+aiosqlite:///{path}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert b"not a database" in out
    assert (err, process.returncode) == (b"", 0)


async def test_closing_twice_is_closing(ledger: SqlLedger) -> None:
    await write(ledger, first("a1"))
    await ledger.close()
    await ledger.close()
    with pytest.raises(LedgerFailure, match="closed"):
        await write(ledger, first("a2"))


async def test_the_ledger_is_there_after_closing(ledger: SqlLedger, url: str) -> None:
    await write(ledger, first("a1"))
    await ledger.close()
    again = await open_ledger(url)
    try:
        assert await ids(again) == ["a1"]
    finally:
        await again.close()
