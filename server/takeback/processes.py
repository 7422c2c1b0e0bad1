"""Who holds something, and whether it still lives: a process that is provably dead need not be waited for.

A pid alone proves nothing: it is used again. A process is named by the boot of its machine, its pid namespace, its pid
and the moment at which it started, which only a process of the same boot and namespace can look up. Where the system
has no `/proc`, nobody is ever provably dead, and leases run out as elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_STATE, _START = 0, 19
"""Where state and start time stand in `/proc/PID/stat`, counted from behind the name (proc(5))."""
_DEAD: Final = frozenset({"Z", "X", "x"})


class LocalProcesses:
    """Names this process, and tells of others by their names."""

    def __init__(self) -> None:
        self._here = _place()
        self._named = (0, "")

    def me(self) -> str:
        """The name of this process; empty where the system does not tell."""
        pid = os.getpid()
        if self._named[0] != pid:
            found = _stat(pid)
            self._named = (pid, f"{self._here}/{pid}/{found[1]}" if self._here and found is not None else "")
        return self._named[1]

    def is_gone(self, name: str) -> bool:
        """Whether the process of that name has provably ended."""
        here, _, rest = name.rpartition("/")
        here, _, pid = here.rpartition("/")
        if not self._here or here != self._here or not pid.isdecimal():
            return False
        found = _stat(int(pid))
        return found is None or found[1] != rest or found[0] in _DEAD


def _place() -> str:
    """The boot of this machine, and the pid namespace."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str] | None:
    """State and start time of a process; None: there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None  # any other failure is the reader's own, and is raised: it proves nothing
    fields = text.rpartition(")")[2].split()
    return fields[_STATE], fields[_START]
