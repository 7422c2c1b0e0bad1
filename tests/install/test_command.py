"""`takeback install` and `uninstall` on files: whole or not at all, with everything about a file as it was."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from takeback.clients import files
from tests.cli.commands import Ran, command, inside

GUARD = str(Path(sys.executable).with_name("takeback"))
DESKTOP = """\
{
    // mine
    "mcpServers": {
        "git": { "command": "uvx", "args": ["mcp-server-git"], "env": { "GIT_TOKEN": "sesame" } },
        "my files": { "command": "npx", "args": ["-y", "files", "--api-key", "sesame"] },
    },
    "theme": "dark",
}
""".replace("\n", "\r\n")
VSCODE = """\
{ "inputs": [{ "id": "pat", "type": "promptString", "password": true }],
  "servers": { "hub": { "type": "http", "url": "https://hub.example/mcp?key=sesame",
                        "headers": { "Authorization": "Bearer ${input:pat}", "X-Key": "sesame" } } } }
"""
CODE = '{"mcpServers": {}, "projects": {"/a": {"mcpServers": {"notes": {"command": "notes"}}}}, "oauthToken": "sesame"}'


class Home:
    """A user's home with configurations in it, and a project below."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.project, self.state = root, root / "project", root / "state"
        self.project.mkdir()
        monkeypatch.chdir(self.project)
        self.env = {"HOME": str(root), "TAKEBACK_STATE": str(self.state)}
        for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR"):
            monkeypatch.delenv(name, raising=False)

    def write(self, name: str, text: str, mode: int = 0o640) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        path.chmod(mode)
        return path

    def __call__(self, *arguments: str | Path) -> Ran:
        return inside(*arguments, env=self.env)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    return Home(tmp_path, monkeypatch)


@pytest.fixture
def three(home: Home) -> dict[Path, bytes]:
    paths = [
        home.write(".config/Claude/claude_desktop_config.json", DESKTOP),
        home.write("project/.vscode/mcp.json", "\ufeff" + VSCODE, 0o600),
        home.write(".claude.json", CODE),
    ]
    return {path: path.read_bytes() for path in paths}


def test_all_servers_of_all_clients_go_behind_the_guard_and_come_back_to_the_letter(
    home: Home, three: dict[Path, bytes]
) -> None:
    done = home("install", "--all", "--json")
    assert (done.code, done.err) == (0, "")
    found = {(row["client"], row["server"], row["outcome"]) for row in done.json["servers"]}
    assert found == {
        ("claude-desktop", "git", "wrapped"), ("claude-desktop", "my files", "wrapped"),
        ("vscode", "hub", "wrapped"), ("claude-code", "notes", "wrapped"),
    }  # fmt: skip
    for path, before in three.items():
        assert path.read_bytes() != before
        assert b"sesame" in path.read_bytes()
        assert Path(done.json["copies"][str(path)]).read_bytes() == before
    desktop = three_of(three, "claude_desktop_config.json").read_text()
    assert json.dumps(GUARD) in desktop
    assert "// mine" in desktop
    assert home("uninstall").code == 0
    assert {path: path.read_bytes() for path in three} == three
    assert [*home.state.rglob("*.json")] == []  # nothing of what they held is kept


def three_of(three: dict[Path, bytes], name: str) -> Path:
    return next(path for path in three if path.name == name)


def test_a_file_keeps_its_rights_and_its_links(home: Home) -> None:
    there = home.write("dotfiles/cursor.json", DESKTOP, 0o640)
    link = home.root / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(there)
    assert home("install", "git").code == 0
    assert link.is_symlink()
    assert GUARD in there.read_text()
    assert stat.S_IMODE(there.stat().st_mode) == 0o640
    assert [path.name for path in there.parent.iterdir()] == ["cursor.json"]
    kept = [*(home.state / "clients").rglob("*.json")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert home("uninstall").code == 0
    assert there.read_bytes() == DESKTOP.encode()


def test_a_dry_run_shows_the_difference_without_secrets_and_changes_nothing(
    home: Home, three: dict[Path, bytes]
) -> None:
    done = home("install", "--all", "--dry-run")
    assert done.code == 0
    for expected in ('-        "git": {', '+        "git": {', "Bearer ${input:pat}", "[secret]", "would be wrapped",
                     "TAKEBACK_HEADER_X_KEY", "hub.example/mcp?[secret]"):  # fmt: skip
        assert expected in done.out
    assert "sesame" not in done.out + done.err
    assert {path: path.read_bytes() for path in three} == three
    assert not home.state.exists()
    assert home("install", "git").code == 0
    now = [path.read_bytes() for path in three]
    back = home("uninstall", "--dry-run")
    assert "would be restored" in back.out
    assert "sesame" not in back.out
    assert [path.read_bytes() for path in three] == now


def test_without_a_name_servers_are_listed_and_nothing_changes(home: Home, three: dict[Path, bytes]) -> None:
    done = home("install")
    assert (done.code, done.err) == (0, "")
    assert all(name in done.out for name in ("git", "my files", "hub", "notes", "Name the servers"))
    assert {path: path.read_bytes() for path in three} == three
    assert not home.state.exists()


def test_where_there_is_no_client_the_places_are_named(home: Home) -> None:
    done = home("install")
    assert done.code == 0
    assert str(home.root / ".cursor" / "mcp.json") in done.out
    assert "--config" in done.out
    assert "Nothing was changed" in home("uninstall").out


def test_only_the_servers_clients_and_files_that_are_named_are_touched(home: Home, three: dict[Path, bytes]) -> None:
    elsewhere = home.write("elsewhere/some.json", CODE)
    assert home("install", "--all", "--config", elsewhere).code == 0
    assert home("install", "my files", "--client", "claude-desktop").code == 0
    desktop = three_of(three, "claude_desktop_config.json")
    assert [path for path in three if path.read_bytes() != three[path]] == [desktop]
    assert '"git": { "command": "uvx"' in desktop.read_text()
    assert home("uninstall").code == 0  # also what lies elsewhere
    assert elsewhere.read_text() == CODE
    assert desktop.read_bytes() == three[desktop]


def test_servers_come_and_go_one_by_one_and_in_the_end_all_is_as_it_was(home: Home) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    for words in (("install", "git"), ("install", "my files"), ("uninstall", "git"), ("install", "git")):
        assert home(*words).code == 0
    assert path.read_text().count(GUARD) == 2
    assert home("install", "--all").code == 0  # nothing to do
    assert home("uninstall", "my files").code == 0
    assert path.read_text().count(GUARD) == 1
    assert home("uninstall").code == 0
    assert path.read_bytes() == DESKTOP.encode()


def test_what_the_user_changed_since_stays(home: Home) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    assert home("install", "--all").code == 0
    touched = path.read_text().replace('"dark"', '"light"').replace("GIT_TOKEN", "GIT_KEY")
    path.write_text(touched)
    assert home("install", "--all").code == 0  # nothing to do, and nothing forgotten
    done = home("uninstall")
    assert done.code == 0
    assert path.read_text() == DESKTOP.replace('"dark"', '"light"').replace("GIT_TOKEN", "GIT_KEY").replace("\r", "")
    copy = next((home.state / "clients" / "copies").iterdir())
    assert touched in {p.read_text() for p in copy.parent.iterdir()}


def test_a_second_install_after_the_users_edits_comes_back_to_those(home: Home) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    assert home("install", "git").code == 0
    path.write_bytes(path.read_bytes().replace(b'"dark"', b'"light"'))
    assert home("install", "my files").code == 0
    assert home("uninstall").code == 0
    assert path.read_bytes() == DESKTOP.encode().replace(b'"dark"', b'"light"')


def test_without_its_record_a_server_is_taken_out_when_it_is_named(home: Home) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    assert home("install", "git").code == 0
    for kept in (home.state / "clients").glob("*.json"):
        kept.unlink()
    done = home("uninstall")
    assert "not ours" in done.out
    assert home("uninstall", "git").code == 0
    assert path.read_bytes() == DESKTOP.encode()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "line 1, column 1"),
        (b'{"mcpServers": {', "line 1, column 17"),
        (b'{"mcpServers": {"a": {"command": "\xff"}}}', "not UTF-8 (byte 34)"),
        ('{"mcpServers": {}}'.encode("utf-16"), "not UTF-8 (byte 0)"),
    ],
)
def test_a_file_that_is_no_configuration_is_left_as_it_is_and_the_others_are_done(
    home: Home, content: bytes, why: str
) -> None:
    bad, good = home.write(".cursor/mcp.json", ""), home.write("project/.mcp.json", DESKTOP)
    bad.write_bytes(content)
    done = home("install", "--all")
    done.refused(1, str(bad), why, "It was not changed")
    assert bad.read_bytes() == content
    assert GUARD in good.read_text()


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"mcpServers": []}', '{"servers": 3, "projects": [1]}'])
def test_a_file_without_servers_has_nothing_to_wrap(home: Home, text: str) -> None:
    path = home.write(".cursor/mcp.json", text)
    assert home("install", "--all").code == 0
    assert path.read_text() == text


def refusing_read_only(path: Path) -> str:
    path.chmod(0o440)
    return "is read-only"


def refusing_hard_link(path: Path) -> str:
    path.with_name("other").hardlink_to(path)
    return "hard link"


def refusing_long_name(path: Path) -> str:
    return "cannot write"


@pytest.mark.parametrize("case", [refusing_read_only, refusing_hard_link, refusing_long_name])
def test_a_file_that_cannot_be_replaced_is_left_as_it_is_and_nothing_is_remembered(
    home: Home, case: Callable[[Path], str]
) -> None:
    name = "x" * 250 if case is refusing_long_name else "some.json"
    path = home.write(f"there/{name}", DESKTOP)
    why = case(path)
    home("install", "--all", "--config", path).refused(1, str(path), why, "It was not changed")
    assert path.read_bytes() == DESKTOP.encode()
    assert {p.name for p in path.parent.iterdir()} <= {name, "other"}
    assert [*(home.state / "clients").glob("*.json")] == []
    path.chmod(0o600)
    assert "not ours" not in home("uninstall", "--config", path).out


def test_a_path_that_is_no_file_is_named(home: Home) -> None:
    home("install", "--all", "--config", home.root / "nowhere" / "x.json").refused(1, "There is no ", "x.json")
    home("install", "--all", "--config", home.project).refused(1, "is not a file", "It was not changed")
    (home.root / "dangling").symlink_to(home.root / "gone")
    home("install", "--all", "--config", home.root / "dangling").refused(1, "There is no ")
    assert not (home.root / "gone").exists()


def test_a_name_that_no_server_has_is_said(home: Home, three: dict[Path, bytes]) -> None:
    home("install", "gti").refused(3, "No server is called gti")
    home("uninstall", "gti").refused(3, "No server is called gti")
    home("install", "gti", "--all").refused(2, "Nothing was changed")


def test_a_server_that_was_named_and_cannot_be_wrapped_is_a_refusal(home: Home) -> None:
    home.write(".cursor/mcp.json", '{"mcpServers": {"odd": {"url": "https://x", "oauth": {}}, "b": {"command": "b"}}}')
    done = home("install", "odd")
    assert done.code == 1
    assert "the client itself logs in there" in done.out
    assert home("install", "--all").code == 0  # it is named with its reason, and the other one is wrapped


def test_a_change_between_reading_and_writing_is_kept(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    written = files._write
    theirs = [b'"light"', b'"blue"']

    def somebody_is_quicker(begun: Path, content: bytes, mode: int) -> None:
        written(begun, content, mode)
        if begun.parent == path.parent and theirs:
            path.write_bytes(DESKTOP.encode().replace(b'"dark"', theirs.pop()))

    monkeypatch.setattr(files, "_write", somebody_is_quicker)
    assert home("install", "--all").code == 0
    assert '"light"' in path.read_text()
    assert path.read_text().count(GUARD) == 2
    assert home("uninstall").code == 0
    assert path.read_bytes() == DESKTOP.encode().replace(b'"dark"', b'"light"')


def test_a_file_that_never_stands_still_is_left_to_its_client(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    written = files._write

    def somebody_is_always_quicker(begun: Path, content: bytes, mode: int) -> None:
        written(begun, content, mode)
        if begun.parent == path.parent:
            path.write_bytes(path.read_bytes() + b"\n")

    monkeypatch.setattr(files, "_write", somebody_is_always_quicker)
    home("install", "--all").refused(1, "changed by somebody else", "close the client", "It was not changed")
    assert GUARD not in path.read_text()
    assert [*(home.state / "clients").glob("*.json")] == []


def test_nobody_else_installs_while_a_file_is_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    written = files._write
    tried = []

    def somebody_else_tries(begun: Path, content: bytes, mode: int) -> None:
        with pytest.raises(Timeout):
            FileLock(home.state / "clients" / ".lock").acquire(timeout=0)
        tried.append(begun.name)
        written(begun, content, mode)

    monkeypatch.setattr(files, "_write", somebody_else_tries)
    assert home("install", "git").code == 0
    assert home("uninstall").code == 0
    assert any(path.name in name for name in tried)
    assert path.read_bytes() == DESKTOP.encode()


def test_several_installs_at_once_each_leave_their_server_behind_the_guard(home: Home) -> None:
    names = [f"server {number}" for number in range(6)]
    config = json.dumps(
        {"mcpServers": {name: {"command": name.split()[0], "args": [name]} for name in names}}, indent=2
    )
    path = home.write(".cursor/mcp.json", config)
    env = {**os.environ, **home.env}
    running = [subprocess.Popen(command("install", name), env=env, stdout=subprocess.DEVNULL) for name in names]
    assert [process.wait(60) for process in running] == [0] * len(names)
    assert path.read_text().count(json.dumps(GUARD)) == len(names)
    assert home("uninstall").code == 0
    assert path.read_text() == config


def test_a_damaged_record_is_named_and_the_file_left_alone(home: Home) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    assert home("install", "git").code == 0
    (record,) = (home.state / "clients").glob("*.json")
    record.write_text("{")
    now = path.read_bytes()
    home("uninstall").refused(1, str(record), "damaged", "It was not changed")
    assert path.read_bytes() == now


def test_a_copy_that_was_lost_is_not_needed(home: Home) -> None:
    path = home.write(".cursor/mcp.json", DESKTOP)
    assert home("install", "--all").code == 0
    for copy in (home.state / "clients" / "copies").iterdir():
        copy.write_text("damaged")
    assert home("uninstall").code == 0
    assert path.read_bytes() == DESKTOP.encode()
