"""`wrap` in front of a remote server: its secrets come from the environment and go nowhere else."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil
import pytest

from tests.mcp.raw import started, text_of
from tests.wire.conftest import sdk

from .commands import command, inside, takeback

__all__ = ["sdk"]

SECRET = "Bearer sesame-opens-this"
DRAFTED = 'tool = "far.headers"\nclass = "external_irreversible"\nrisk = "high"\nundo = "none"\n'
LOOKED_OVER = 'tool = "far.headers"\nclass = "read_only"\n'


def env_of(state: Path, **more: str) -> dict[str, str]:
    return {"TAKEBACK_STATE": str(state), **more}


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("way", ["url", "url-from", "sse"])
async def test_a_remote_server_gets_its_headers_and_nobody_else_does(sdk: object, tmp_path: Path, way: str) -> None:
    mode, place = ("sse", "/sse") if way == "sse" else ("stream", "/mcp")
    url = sdk("--mode", mode) + place  # type: ignore[operator]
    named = ("--url-from", "FAR_URL") if way == "url-from" else ("--url", url)
    words = ("wrap", "--name", "far", *named, "--header", "Authorization=FAR_TOKEN")
    words += ("--transport", "sse") if way == "sse" else ()
    env = env_of(tmp_path, FAR_TOKEN=SECRET, FAR_URL=url)
    policy = tmp_path / "policies" / "far.toml"

    async with started(*command(*words), env=env) as client:
        assert "headers" in {tool["name"] for tool in (await client.send("tools/list"))["result"]["tools"]}
    assert DRAFTED in policy.read_text()
    policy.write_text(policy.read_text().replace(DRAFTED, LOOKED_OVER))
    async with started(*command(*words), env=env) as client:
        sent = json.loads(text_of(await client.call("headers")).splitlines()[0])
        seen = " ".join(psutil.Process(client.process.pid).cmdline())
    assert sent["authorization"] == SECRET
    assert "sesame" not in seen + client.stderr.decode()
    assert b"sesame" not in everything_in(tmp_path)
    assert ("127.0.0.1" in policy.read_text()) is (way != "url-from")


async def test_who_only_looks_needs_no_secret(sdk: object, tmp_path: Path) -> None:
    words = ("wrap", "--name", "far", "--url-from", "FAR_URL", "--header", "Authorization=FAR_TOKEN")
    url = sdk("--mode", "stream") + "/mcp"  # type: ignore[operator]
    async with started(*command(*words), env=env_of(tmp_path, FAR_TOKEN=SECRET, FAR_URL=url)):
        pass
    done = await asyncio.to_thread(
        takeback, "history", "--policy", tmp_path / "policies" / "far.toml", env=env_of(tmp_path)
    )
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name one server"),
        (["--url", "http://127.0.0.1:9/mcp", "--", "server"], "name one server"),
        (["--url", "http://127.0.0.1:9/mcp", "--url-from", "FAR_URL"], "name one server"),
        (["--header", "X=FAR_TOKEN", "--", "server"], "goes with --url"),
        (["--url", "http://x/mcp", "--header", "Authorization: Bearer sesame"], "NAME=VARIABLE"),
        (["--url", "http://x/mcp", "--header", "Authorization=Bearer sesame"], "NAME=VARIABLE"),
        (["--url", "http://x/mcp", "--header", "X=FAR_TOKEN", "--header", "X=FAR_URL"], "twice"),
        (["--url", "http://x/mcp", "--header", "X=NOWHERE_SET"], "NOWHERE_SET is not set"),
        (["--url-from", "NOWHERE_SET"], "NOWHERE_SET is not set"),
        (["--url-from", "FAR_TOKEN"], "http:// or https://"),
        (["--url", "file:///etc/passwd"], "http:// or https://"),
        (["--url", "https://"], "http:// or https://"),
    ],
)
def test_what_is_not_one_server_is_refused_before_anything_starts(tmp_path: Path, words: list[str], why: str) -> None:
    state = tmp_path / "state"
    env = env_of(state, FAR_TOKEN="sesame", FAR_URL="http://127.0.0.1:9/mcp")
    done = inside("wrap", *words, env=env)
    done.refused(2, "Not done", why, "Nothing was started or written")
    assert "sesame" not in done.out + done.err
    assert not state.exists()


def test_a_remote_server_that_cannot_be_reached_is_named_without_its_secrets(tmp_path: Path) -> None:
    env = env_of(tmp_path / "state", FAR_URL="http://ada:sesame@127.0.0.1:9/mcp?key=sesame")
    done = takeback("wrap", "--name", "far", "--url-from", "FAR_URL", env=env)
    done.refused(4, "far (http://127.0.0.1:9/mcp) did not start", "no policy was drafted")
    assert "sesame" not in done.out + done.err
    assert not (tmp_path / "state").exists()


def test_the_address_and_the_headers_are_part_of_what_a_policy_guards(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[upstream.far]\nurl = "http://127.0.0.1:9/mcp"\nheaders = { X-Team = "blue" }\n')
    for words in (["--url", "http://127.0.0.1:9/other"], ["--url", "http://127.0.0.1:9/mcp", "--header", "X-Team=TEAM"],
                  ["--url", "http://127.0.0.1:9/mcp", "--transport", "sse"], ["--", sys.executable]):  # fmt: skip
        done = inside("wrap", "--policy", policy, *words, env=env_of(tmp_path, TEAM="red"))
        done.refused(2, "Not started", str(policy), "guards another server")
