"""Where MCP clients keep their servers, on Linux, macOS and Windows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Client(StrEnum):
    """The clients whose configurations are known."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    CURSOR = "cursor"
    VSCODE = "vscode"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file in which a client may have servers. `client` is None for one that was named by its path."""

    client: Client | None
    path: Path


@dataclass(frozen=True, slots=True)
class Machine:
    """Where we are: the operating system, the user's home and environment, and the folder of a project."""

    system: str
    home: Path
    env: Mapping[str, str]
    project: Path

    @classmethod
    def here(cls) -> Machine:
        """This one."""
        return cls(sys.platform, Path.home(), os.environ, Path.cwd())

    @property
    def settings(self) -> Path:
        """Where programs keep their settings."""
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        if self.system == "win32":
            return Path(self.env.get("APPDATA") or self.home / "AppData" / "Roaming")
        return Path(self.env.get("XDG_CONFIG_HOME") or self.home / ".config")


def known_files(machine: Machine, client: Client | None = None) -> list[ConfigFile]:
    """Every place where a client (or that one) may have servers: of the user first, then of the project."""
    found = {
        Client.CLAUDE_DESKTOP: _claude_desktop(machine),
        Client.CLAUDE_CODE: _claude_code(machine),
        Client.CURSOR: _cursor(machine),
        Client.VSCODE: _vscode(machine),
    }
    return [ConfigFile(name, path) for name, paths in found.items() if client in {None, name} for path in paths]


def _claude_desktop(machine: Machine) -> Iterator[Path]:
    yield machine.settings / "Claude" / "claude_desktop_config.json"


def _claude_code(machine: Machine) -> Iterator[Path]:
    yield Path(machine.env.get("CLAUDE_CONFIG_DIR") or machine.home) / ".claude.json"
    yield machine.project / ".mcp.json"


def _cursor(machine: Machine) -> Iterator[Path]:
    yield machine.home / ".cursor" / "mcp.json"
    if machine.project != machine.home:
        yield machine.project / ".cursor" / "mcp.json"


def _vscode(machine: Machine) -> Iterator[Path]:
    for edition in ("Code", "Code - Insiders"):
        user = machine.settings / edition / "User"
        for folder in (user, *sorted(user.glob("profiles/*"))):
            yield folder / "mcp.json"
            yield folder / "settings.json"
    yield machine.project / ".vscode" / "mcp.json"
