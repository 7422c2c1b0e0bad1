"""Radicale with one user and one calendar; its files say what is really there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.third_party.environments import programs

from .served import Served, serving

USER, PASSWORD = "ada", "lace"
CALENDAR: Final = "work"

_SETTINGS: Final = """
[auth]
type = htpasswd
htpasswd_filename = {place}/users
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {place}/collections
[logging]
level = warning
"""


def event(uid: str, summary: str, *, hour: int = 9) -> str:
    """An event as a client writes it."""
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Tester//Tests//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20261101T000000Z",
        f"DTSTART:20261201T{hour:02}0000Z",
        f"DTEND:20261201T{hour + 1:02}0000Z",
        f"SUMMARY:{summary}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Calendars:
    """The user's calendars, as files and through another client."""

    served: Served
    place: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            "RADICALE_URL": self.served.proxy.url,
            "RADICALE_USER": USER,
            "RADICALE_PASSWORD": PASSWORD,
        }

    def folder(self, calendar: str = CALENDAR) -> Path:
        return self.place / "collections" / "collection-root" / USER / calendar

    def file(self, uid: str) -> Path:
        return self.folder() / f"{uid}.ics"

    @property
    def state(self) -> dict[str, bytes]:
        """Every event of every calendar, byte for byte, and what is kept of each calendar."""
        root = self.folder().parent
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and ".Radicale.cache" not in path.parts and path.name != ".Radicale.lock"
        }

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """What another client is answered, which must be a success."""
        answer = self.served.ask(method, f"/{USER}/{path}", auth=(USER, PASSWORD), **more)
        assert answer.is_success, answer.text
        return answer

    def put(self, uid: str, text: str) -> None:
        """Written by another client."""
        self.ask("PUT", f"{CALENDAR}/{uid}.ics", content=text, headers={"Content-Type": "text/calendar"})


@contextmanager
def serving_radicale(place: Path) -> Iterator[Calendars]:
    (place / "users").write_text(f"{USER}:{PASSWORD}\n")
    settings = place / "settings"
    settings.write_text(_SETTINGS.format(place=place))
    command = [str(programs("radicale") / "radicale"), "--hosts", "127.0.0.1:{port}", "--config", str(settings)]
    with serving(command, place) as served:
        calendars = Calendars(served, place)
        calendars.ask("MKCALENDAR", f"{CALENDAR}/")
        yield calendars
