"""Mistakes in the policy, the command line and the ledger: said clearly, without a stack trace, and nothing is lost."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from .commands import command, inside, run, table, takeback

LEDGER = '[ledger]\nurl = "{url}"\n'


def policy_of(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text)
    return path


def env(folder: Path) -> dict[str, str]:
    return {"TAKEBACK_STATE": str(folder / "state")}


@pytest.mark.parametrize("name", ["serve", "check", "runs", "history", "approvals"])
def test_what_is_no_toml_is_said_with_its_place(tmp_path: Path, name: str) -> None:
    path = policy_of(tmp_path, "[ledger\n")
    inside(name, "--policy", path, env=env(tmp_path)).refused(2, "policy.toml", "line 1, column 8", "not TOML")
    assert not (tmp_path / "state").exists()


def test_every_mistake_of_a_policy_is_said_at_once(tmp_path: Path) -> None:
    rule = '[[rule]]\ntool = "b.x"\nclass = "reed_only"\n'
    path = policy_of(tmp_path, '[ledger]\nurll = "x"\n[defaults]\ntimeout = "5 parsecs"\n' + rule + table("tiny"))
    words = ["4 mistakes", "ledger.urll", "did you mean `url`", "defaults.timeout", "rule[1].tool", "rule[1].class"]
    inside("serve", "--policy", path, env=env(tmp_path)).refused(2, *words)


def test_a_policy_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"
    inside("serve", "--policy", path, env=env(tmp_path)).refused(
        2, str(path), "No such file", "takeback init", "--policy"
    )
    inside("runs", "--policy", tmp_path, env=env(tmp_path)).refused(2, str(tmp_path), "Is a directory")


def test_a_missing_secret_is_named_and_others_are_not_shown(tmp_path: Path) -> None:
    path = policy_of(tmp_path, table("tiny", more='env = { A = "${GIVEN_HERE}", B = "${NOT_GIVEN}" }'))
    done = inside("serve", "--policy", path, env={**env(tmp_path), "GIVEN_HERE": "hush-hush"})
    done.refused(2, "upstream.tiny.env.B", "NOT_GIVEN is not set")
    assert "hush-hush" not in done.err + done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", "--polizy", "x"), ("No such option", "--polizy")),
        (("wrap", "--nmae", "x", "--", "server"), ("No such option", "--nmae")),
        (("init", "--nmae", "x", "--", "server"), ("No such option", "--nmae")),
        (("wrap", "--name", "../../up", "--", "server"), ("../../up", "Nothing was started or written")),
        (("init", "--name", 'a"b', "--", "server"), ("no name for an upstream",)),
        (("serve", "--http", "70000"), ("--http", "65535")),
        (("history", "--limit", "0"), ("--limit",)),
        (("undo", "a1"), ("--reason",)),
        (("swerve",), ("No such command", "swerve")),
        (("play", "/nowhere/day.toml"), ("/nowhere/day.toml", "does not exist")),
    ],
)  # fmt: skip
def test_a_command_line_with_a_mistake_starts_nothing(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    inside(*arguments, env=env(tmp_path)).refused(2, *words)
    assert not (tmp_path / "state").exists()


def test_a_ledger_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    url = f"sqlite+aiosqlite:///{tmp_path}/file/takeback.db"
    path = policy_of(tmp_path, LEDGER.format(url=url) + table("tiny", "--started", tmp_path / "started"))
    done = inside("serve", "--policy", path, env=env(tmp_path))
    done.refused(4, "Not started", "cannot be opened", url, "Nothing was started or changed")
    assert not (tmp_path / "started").exists()


def test_a_corrupt_ledger_is_left_as_it_is(tmp_path: Path) -> None:
    database = tmp_path / "takeback.db"
    database.write_bytes(b"not a database at all " * 500)
    path = policy_of(tmp_path, LEDGER.format(url=f"sqlite+aiosqlite:///{database}") + table("tiny"))
    for name in ("serve", "history"):
        inside(name, "--policy", path, env=env(tmp_path)).refused(4, "not a database", str(database))
    assert database.read_bytes() == b"not a database at all " * 500


@pytest.mark.parametrize("more", ["", "?password=s3cret2"])
def test_a_postgresql_that_is_not_there_is_named_without_its_password(tmp_path: Path, more: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        address = f"127.0.0.1:{nobody.getsockname()[1]}/ledger"
        url = f"postgresql+asyncpg://keeper:s3cret@{address}{more}"
        path = policy_of(tmp_path, LEDGER.format(url=url) + table("tiny"))
        done = inside("runs", "--policy", path, env=env(tmp_path))
    done.refused(4, "cannot be opened", f"keeper:***@{address}")
    assert "s3cret" not in done.err + done.out


@pytest.mark.parametrize(
    "url", ["mysql://keeper:s3cret@host/db", "postgresql+asyncpg://k:s3cret@host:port/db", "s3cret"]
)
def test_a_url_that_is_no_ledger_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    done = inside("runs", "--policy", policy_of(tmp_path, LEDGER.format(url=url) + table("tiny")), env=env(tmp_path))
    done.refused(4, "ledger")
    assert "s3cret" not in done.err + done.out


def test_a_driver_that_is_not_installed_is_named_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "asyncpg.py").write_text('raise ModuleNotFoundError("No module named asyncpg", name="asyncpg")\n')
    path = policy_of(tmp_path, LEDGER.format(url="postgresql+asyncpg://k:s3cret@127.0.0.1/db") + table("tiny"))
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from takeback.cli import main; main()"
    done = run([sys.executable, "-c", code, str(tmp_path), "runs", "--policy", str(path)], env=env(tmp_path))
    done.refused(4, "asyncpg", "takeback[postgresql]")
    assert "s3cret" not in done.err


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        path = policy_of(tmp_path, table("tiny"))
        done = takeback("serve", "--policy", path, "--http", port, env=env(tmp_path))
    done.refused(4, "Not started", port, "Address already in use")


def test_without_a_standard_input_or_output_it_says_so(tmp_path: Path) -> None:
    path = policy_of(tmp_path, table("tiny"))
    for closed in ("0<&-", "1>&-"):
        words = ["sh", "-c", f'exec "$@" {closed}', "sh", *command("serve", "--policy", path)]
        run(words, env=env(tmp_path)).refused(2, "Not started", "closed", "--http")
