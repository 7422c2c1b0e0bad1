"""A Roundup tracker with its classic schema on SQLite; SQL says what is really there."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.third_party.environments import programs

from .served import STARTING, Served, serving

USER: Final = "admin"
PASSWORD: Final = "lace"
ORIGIN: Final = "http://tracker.example"

_SETTINGS: Final = {
    "tracker_web": f"{ORIGIN}/",
    "mail_domain": "example.org",
    "mail_host": "127.0.0.1",
    "web_csrf_enforce_header_host": "no",  # it is reached through a proxy on another port
    "web_csrf_enforce_header_referer": "no",
    "web_csrf_header_min_count": "0",
    "password_pbkdf2_default_rounds": "1000",  # each request signs in
}


@dataclass(frozen=True, slots=True)
class Tracker:
    """The issues of a tracker, by SQL and through another client."""

    served: Served
    home: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            "ROUNDUP_URL": self.served.proxy.url,
            "ROUNDUP_ORIGIN": ORIGIN,
            "ROUNDUP_USER": USER,
            "ROUNDUP_PASSWORD": PASSWORD,
        }

    def issues(self, title: str) -> list[dict[str, Any]]:
        """The issues with exactly this title, retired ones included, in the order of their creation."""
        statement = (
            "SELECT id, _title AS title, _status AS status, _priority AS priority, _assignedto AS assignedto,"
            " __retired__ != 0 AS retired FROM _issue WHERE _title = ? ORDER BY id"
        )
        with closing(sqlite3.connect(self.home / "db" / "db")) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, (title,))]

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """What another client is answered, which must be a success."""
        headers = {"X-Requested-With": "rest", "Origin": ORIGIN, **more.pop("headers", {})}
        answer = self.served.ask(method, f"/rest/data/{path}", auth=(USER, PASSWORD), headers=headers, **more)
        assert answer.is_success, answer.text
        return answer

    def created(self, title: str, **fields: str) -> str:
        """An issue that somebody else made; returns its id."""
        return str(self.ask("POST", "issue", json={"title": title, **fields}).json()["data"]["id"])

    def change(self, issue: str, **fields: str | None) -> None:
        """Changed by somebody else."""
        tag = self.ask("GET", f"issue/{issue}").headers["etag"]
        self.ask("PUT", f"issue/{issue}", json=fields, headers={"If-Match": tag})


@contextmanager
def serving_roundup(place: Path) -> Iterator[Tracker]:
    there, home = programs("roundup"), place / "tracker"
    settings = ",".join(f"{name}={value}" for name, value in _SETTINGS.items())
    for command in (("install", "classic", "sqlite", settings), ("initialise", PASSWORD)):
        admin = [there / "roundup-admin", "-i", home, *command]
        subprocess.run(admin, check=True, capture_output=True, cwd=place, timeout=STARTING)
    program = Path(__file__).with_name("roundup_server.py")
    with serving([str(there / "python"), "-P", str(program), str(home), "{port}"], place) as served:
        yield Tracker(served, home)
