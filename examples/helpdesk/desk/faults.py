"""Faults on demand, for testing what stands in front of the desk. Off unless HELPDESK_FAULTS names a file.

The file holds, for each operation that shall fail, how: `{"send_reply": {"mode": "exit_after_commit"}}`.
It is read anew at each call. README.md explains the modes.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import anyio

Mode = Literal[
    "hang_before", "error_before", "exit_after_commit", "hang_after_commit", "error_after", "garbage", "noise"
]

EXIT_CODE = 70
NOT_JSON = b"Segmentation fault (this line is not JSON)\n"


class InjectedError(Exception):
    """The desk fails on purpose; its text does not tell whether there was an effect."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall go wrong with one call."""

    operation: str
    mode: Mode
    once: bool
    file: Path

    async def before(self) -> None:
        """Go wrong before anything was done, if the mode says so."""
        if self.mode == "hang_before":
            self._fire()
            await anyio.sleep_forever()
        if self.mode == "error_before":
            self._fire()
            raise InjectedError(f"{self.operation} failed: internal error")

    async def after(self, write_raw: Callable[[bytes], None] | None) -> None:
        """Go wrong after the effect is in the database, if the mode says so."""
        self._fire()
        match self.mode:
            case "exit_after_commit":
                os._exit(EXIT_CODE)
            case "error_after":
                raise InjectedError(f"{self.operation} failed: internal error")
            case "garbage" | "noise" if write_raw:
                write_raw(NOT_JSON)
        if self.mode in {"hang_after_commit", "garbage"}:
            await anyio.sleep_forever()

    def _fire(self) -> None:
        if self.once:
            faults = _read(self.file)
            faults.pop(self.operation, None)
            _replace(self.file, faults)


def planned(operation: str) -> Fault | None:
    """The fault that is planned for this operation now, or None."""
    name = os.environ.get("HELPDESK_FAULTS")
    if not name:
        return None
    entry = _read(Path(name)).get(operation)
    return _fault(operation, entry, Path(name)) if entry else None


def _fault(operation: str, entry: dict[str, object], file: Path) -> Fault:
    for mode in get_args(Mode):
        if entry.get("mode") == mode:
            return Fault(operation, mode, entry.get("once") is True, file)
    raise InjectedError(f"{file} plans an unknown fault for {operation}: {entry.get('mode')!r}")


def _read(file: Path) -> dict[str, dict[str, object]]:
    try:
        content: dict[str, dict[str, object]] = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    return content


def _replace(file: Path, faults: dict[str, dict[str, object]]) -> None:
    aside = file.with_name(f"{file.name}.{os.getpid()}.new")
    aside.write_text(json.dumps(faults))
    aside.replace(file)
