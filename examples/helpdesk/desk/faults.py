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
    "hang_before", "hang_after_commit", "slow_before", "slow_after", "error_before", "error_after", "exit_after_commit",
    "overtaken", "garbage", "noise", "truncated", "busy_before", "busy_after", "reset_before", "reset_after",
]  # fmt: skip

COMMON: frozenset[Mode] = frozenset({
    "hang_before", "hang_after_commit", "slow_before", "slow_after", "error_before", "error_after", "exit_after_commit",
    "overtaken",
})  # fmt: skip
"""What can go wrong whatever the face is; each face adds its own."""

_BEFORE: frozenset[Mode] = frozenset({
    "hang_before", "slow_before", "error_before", "busy_before", "reset_before", "overtaken",
})  # fmt: skip

EXIT_CODE = 70
NOT_JSON = b"Segmentation fault (this line is not JSON)\n"


class InjectedError(Exception):
    """The desk fails on purpose; its text does not tell whether there was an effect."""


class InjectedBusyError(InjectedError):
    """The desk says that it has no time, whether or not it had."""


class InjectedResetError(InjectedError):
    """The connection ends without an answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall go wrong with one call.

    `seconds` is how long a slow one takes; `overtaker` is the call of somebody else that the desk performs just before.
    """

    operation: str
    mode: Mode
    once: bool
    file: Path
    seconds: float = 1.0
    overtaker: tuple[str, dict[str, object]] | None = None

    async def before(self) -> None:
        """Go wrong before anything was done, if the mode says so."""
        if self.mode not in _BEFORE:
            return
        self._fire()
        match self.mode:
            case "hang_before":
                await anyio.sleep_forever()
            case "slow_before":
                await anyio.sleep(self.seconds)
            case "error_before" | "busy_before" | "reset_before":
                raise self._error()

    async def after(self, write_raw: Callable[[bytes], None] | None) -> None:
        """Go wrong after the effect is in the database, if the mode says so."""
        if self.mode in _BEFORE:
            return
        self._fire()
        match self.mode:
            case "exit_after_commit":
                os._exit(EXIT_CODE)
            case "error_after" | "busy_after" | "reset_after":
                raise self._error()
            case "slow_after":
                await anyio.sleep(self.seconds)
            case "garbage" | "noise" if write_raw:
                write_raw(NOT_JSON)
        if self.mode == "hang_after_commit" or (self.mode == "garbage" and write_raw):
            await anyio.sleep_forever()

    def _error(self) -> InjectedError:
        kinds = {"busy": InjectedBusyError, "reset": InjectedResetError}
        kind = kinds.get(self.mode.partition("_")[0], InjectedError)
        return kind(f"{self.operation} failed: {'too busy' if kind is InjectedBusyError else 'internal error'}")

    def _fire(self) -> None:
        if self.once:
            faults = _read(self.file)
            faults.pop(self.operation, None)
            _replace(self.file, faults)


def planned(operation: str, modes: frozenset[Mode]) -> Fault | None:
    """The fault that is planned for this operation now, or None. `modes` are those that the face can show.

    Raises:
        InjectedError: the plan names another one; a test of a fault that cannot happen would test nothing.
    """
    name = os.environ.get("HELPDESK_FAULTS")
    if not name:
        return None
    entry = _read(Path(name)).get(operation)
    return _fault(operation, entry, Path(name), modes) if entry else None


def _fault(operation: str, entry: dict[str, object], file: Path, modes: frozenset[Mode]) -> Fault:
    for mode in get_args(Mode):
        if entry.get("mode") == mode and mode in modes:
            seconds = float(str(entry.get("seconds", 1)))
            return Fault(operation, mode, entry.get("once") is True, file, seconds, _overtaker(entry.get("by")))
    raise InjectedError(f"{file} plans an unknown fault for {operation}: {entry.get('mode')!r}")


def _overtaker(by: object) -> tuple[str, dict[str, object]] | None:
    return (str(by["name"]), dict(by["arguments"])) if isinstance(by, dict) else None


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
