"""Where each client keeps its servers on each system."""

from __future__ import annotations

from pathlib import Path

import pytest

from takeback.clients.places import Client, Machine, known_files

HOME, PROJECT = Path("/home-of/ada"), Path("/home-of/ada/work")
SETTINGS = {"linux": ".config", "darwin": "Library/Application Support", "win32": "AppData/Roaming"}


def places(system: str, client: Client, **env: str) -> list[str]:
    return [str(file.path) for file in known_files(Machine(system, HOME, env, PROJECT), client)]


@pytest.mark.parametrize("system", list(SETTINGS))
def test_every_client_on_every_system(system: str) -> None:
    settings = HOME / SETTINGS[system]
    assert places(system, Client.CLAUDE_DESKTOP) == [f"{settings}/Claude/claude_desktop_config.json"]
    assert places(system, Client.CLAUDE_CODE) == [f"{HOME}/.claude.json", f"{PROJECT}/.mcp.json"]
    assert places(system, Client.CURSOR) == [f"{HOME}/.cursor/mcp.json", f"{PROJECT}/.cursor/mcp.json"]
    assert places(system, Client.VSCODE) == [
        f"{settings}/Code/User/mcp.json",
        f"{settings}/Code/User/settings.json",
        f"{settings}/Code - Insiders/User/mcp.json",
        f"{settings}/Code - Insiders/User/settings.json",
        f"{PROJECT}/.vscode/mcp.json",
    ]


def test_what_the_environment_says_goes_first() -> None:
    assert places("linux", Client.CLAUDE_DESKTOP, XDG_CONFIG_HOME="/x")[0].startswith("/x/Claude/")
    assert places("win32", Client.CLAUDE_DESKTOP, APPDATA="/roaming")[0].startswith("/roaming/Claude/")
    assert places("darwin", Client.CLAUDE_CODE, CLAUDE_CONFIG_DIR="/c")[0] == "/c/.claude.json"


def test_profiles_of_vs_code_are_found(tmp_path: Path) -> None:
    (tmp_path / ".config/Code/User/profiles/7f").mkdir(parents=True)
    found = known_files(Machine("linux", tmp_path, {}, PROJECT), Client.VSCODE)
    assert tmp_path / ".config/Code/User/profiles/7f/mcp.json" in {file.path for file in found}


def test_all_clients_together_name_no_file_twice() -> None:
    for project in (HOME, PROJECT):
        paths = [file.path for file in known_files(Machine("linux", HOME, {}, project))]
        assert len(set(paths)) == len(paths)
