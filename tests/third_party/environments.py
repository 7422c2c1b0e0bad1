"""Programs written by others, each in a Python environment of its own: their dependencies do not mix with ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from uv import find_uv_bin

HERE: Final = Path(__file__).parent
_LOCKS: Final = HERE / "requirements"
_PLACE: Final = HERE / ".work"
_PATIENCE: Final = 300


def programs(name: str) -> Path:
    """The folder with the programs of an environment, installed from its lock file unless that was done already."""
    lock, place = _LOCKS / f"{name}.txt", _PLACE / name
    mark, wanted = place / ".installed", _fingerprint(lock)
    if not (mark.exists() and mark.read_text() == wanted):
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        python = str(place / "bin" / "python")
        _uv("pip", "install", "--quiet", "--require-hashes", "--python", python, "--requirements", str(lock))
        mark.write_text(wanted)
    return place / "bin"


def _fingerprint(lock: Path) -> str:
    """Changes with what is locked and with what runs it."""
    return hashlib.sha256(f"{sys.version} {sys.prefix} ".encode() + lock.read_bytes()).hexdigest()


def _uv(*command: str) -> None:
    done = subprocess.run([find_uv_bin(), *command], check=False, capture_output=True, text=True, timeout=_PATIENCE)
    assert done.returncode == 0, f"uv {command[0]} failed: {done.stderr}"
