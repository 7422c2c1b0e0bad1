"""A Prefect server on SQLite, without services that would run anything; SQL says what is really there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.third_party.environments import programs

from .served import Served, serving


@dataclass(frozen=True, slots=True)
class Server:
    """Flows, runs and variables, by SQL and through another client."""

    served: Served
    database: Path

    @property
    def env(self) -> dict[str, str]:
        return {"PREFECT_URL": f"{self.served.proxy.url}/api"}

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(statement, values).fetchall()

    def variable(self, name: str) -> list[tuple[str, str]]:
        """Its value and tags, as JSON; empty where there is none."""
        return self.rows("SELECT value, tags FROM variable WHERE name = ?", name)

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """What another client is answered, which must be a success."""
        answer = self.served.ask(method, f"/api{path}", **more)
        assert answer.is_success, answer.text
        return answer

    def flow(self, name: str) -> str:
        """A flow that somebody else made; returns its id."""
        return str(self.ask("POST", "/flows/", json={"name": name}).json()["id"])


@contextmanager
def serving_prefect(place: Path) -> Iterator[Server]:
    env = {
        "PREFECT_HOME": str(place),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [str(programs("prefect") / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", "{port}"]
    with serving([*command, "--no-ui", "--no-services"], place, env) as served:
        yield Server(served, place / "prefect.db")
