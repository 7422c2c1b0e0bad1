"""A scenario of the examples that was played, and its folder: what the desk's own database says afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.commands import Ran, takeback
from tests.undo_table.record import record

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"


class Played:
    """One play. `facts` asks one of its databases past guard and desk."""

    def __init__(self, name: str, folder: Path) -> None:
        self.scenario, self.folder = HELPDESK / name, folder
        self.ran: Ran = takeback("play", self.scenario, "--folder", folder, env={}, bound=200)
        record("helpdesk-http" if name.startswith("http") else "helpdesk-mcp", folder)

    def was_as_expected(self) -> None:
        assert (self.ran.code, self.ran.err) == (0, "")
        assert "all as expected" in self.ran.out
        assert "NOT AS EXPECTED" not in self.ran.out
        last = self.ran.out.splitlines()[-1].split()
        assert last[0] == last[2]  # "41 of 41 steps"

    def facts(self, statement: str, database: str = "helpdesk.db") -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / database)) as desk:
            return desk.execute(statement).fetchall()
