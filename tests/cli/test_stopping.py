"""How a guard ends: told by a signal or left by its client, with calls in flight or while it still starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.mcp.raw import BOUND, RawClient, guard_command, started, text_of

from .commands import command, table

RULE = '[[rule]]\ntool = "tiny.write"\nclass = "internal_update"\nrisk = "low"\n'


class Gate:
    """A named pipe that both ends may open and leave at any time, so that no failure leaves anybody waiting."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path, self.descriptor = path, os.open(path, os.O_RDWR | os.O_NONBLOCK)

    async def word(self) -> str:
        """What is said there next."""
        loop = asyncio.get_running_loop()
        said = asyncio.Event()
        loop.add_reader(self.descriptor, said.set)
        try:
            await asyncio.wait_for(said.wait(), BOUND)
        finally:
            loop.remove_reader(self.descriptor)
        return os.read(self.descriptor, 100).decode()

    def open(self) -> None:
        os.write(self.descriptor, b"x")

    def close(self) -> None:
        os.close(self.descriptor)


class Held:
    """A guard before an upstream whose write waits to be released."""

    def __init__(self, folder: Path) -> None:
        self.env = {"TAKEBACK_STATE": str(folder)}
        self.policy, self.journal = folder / "policy.toml", folder / "journal"
        self.begun, self.release = Gate(folder / "begun"), Gate(folder / "release")
        flags = ("--begun", self.begun.path, "--release", self.release.path, "--journal", self.journal)
        self.policy.write_text(table("tiny", *flags) + RULE)

    async def begin(self, client: RawClient) -> asyncio.Future[Any]:
        """A call that has reached the upstream and has not taken effect."""
        answer = client.begin("tools/call", {"name": "write", "arguments": {"text": "x"}})
        assert await self.begun.word() == "x"
        return answer

    def recorded(self) -> list[str]:
        """Where the ledger's actions stand."""
        with closing(sqlite3.connect(self.journal.with_name("takeback.db"))) as ledger:
            return [status for (status,) in ledger.execute("SELECT status FROM actions")]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    held = Held(tmp_path)
    yield held
    held.release.open()  # where a test has failed, the upstream still waits
    held.begun.close()
    held.release.close()


async def told(client: RawClient, words: bytes) -> None:
    """Wait until the guard has said this on standard error, which the client collects without a word."""
    async with asyncio.timeout(BOUND):
        while words not in client.stderr:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_what_is_in_flight_end_and_be_answered(held: Held, number: signal.Signals) -> None:
    async with started(*guard_command(held.policy), env=held.env) as client:
        answer = await held.begin(client)
        client.process.send_signal(number)
        await told(client, b"stopping")
        held.release.open()
        result = (await asyncio.wait_for(answer, BOUND))["result"]
        code = await asyncio.wait_for(client.process.wait(), BOUND)
    assert (code, "Traceback" in client.stderr.decode()) == (0, False)
    assert "done" in text_of(result)
    assert held.journal.read_text() == '["write", {"text": "x"}]\n'
    assert held.recorded() == ["succeeded"]


async def test_signals_after_the_client_has_left_do_not_cut_the_end_short(held: Held) -> None:
    async with started(*guard_command(held.policy), env=held.env) as client:
        answer = await held.begin(client)
        assert client.process.stdin is not None
        client.process.stdin.close()
        client.process.send_signal(signal.SIGTERM)
        await told(client, b"stopping")
        ending = asyncio.create_task(client.process.wait())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            client.process.send_signal(number)
            ended, _ = await asyncio.wait({ending}, timeout=0.3)  # it goes on, to the end of what is in flight
            assert not ended
        held.release.open()
        code = await asyncio.wait_for(ending, BOUND)
        await asyncio.wait({answer}, timeout=BOUND)
    assert (code, "Traceback" in client.stderr.decode()) == (0, False)
    assert held.recorded() == ["succeeded"]


async def test_a_client_that_closes_its_end_gets_the_answer_and_a_clean_exit(held: Held) -> None:
    async with started(*guard_command(held.policy), env=held.env) as client:
        answer = await held.begin(client)
        assert client.process.stdin is not None
        client.process.stdin.close()
        held.release.open()
        result = (await asyncio.wait_for(answer, BOUND))["result"]
        code = await asyncio.wait_for(client.process.wait(), BOUND)
    assert (code, "done" in text_of(result)) == (0, True)
    assert held.recorded() == ["succeeded"]


async def test_told_to_stop_while_it_starts_it_leaves_nothing_running(tmp_path: Path) -> None:
    born = Gate(tmp_path / "born")
    (tmp_path / "policy.toml").write_text(table("mute", "--fault", "mute", "--started", born.path))
    env = {**os.environ, "TAKEBACK_STATE": str(tmp_path)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command("serve", "--policy", tmp_path / "policy.toml"), stdin=pipe, stdout=pipe, stderr=pipe, env=env
    )
    upstream = int(await born.word())
    born.close()
    process.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(process.communicate(), BOUND)
    assert (process.returncode, out) == (0, b"")
    assert err.decode().strip() == "takeback: stopping; what is in flight is finished first"
    assert not psutil.pid_exists(upstream)


def test_files_for_stdin_and_stdout_are_read_to_the_end_and_answered(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(table("tiny", "--journal", tmp_path / "journal") + RULE)
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "file", "version": "1"}}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "write", "arguments": {"text": "x"}}},
    ]
    given, answers = tmp_path / "calls.jsonl", tmp_path / "answers.jsonl"
    given.write_text("".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages))
    with given.open() as source, answers.open("w") as sink:
        done = subprocess.run(
            command("serve", "--policy", tmp_path / "policy.toml"),
            env={**os.environ, "TAKEBACK_STATE": str(tmp_path)},
            stdin=source, stdout=sink, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    by_id = {message["id"]: message["result"] for message in map(json.loads, answers.read_text().splitlines())}
    assert "done" in text_of(by_id[2])
    assert (tmp_path / "journal").read_text() == '["write", {"text": "x"}]\n'


@pytest.mark.parametrize("given", ["pipe", "nothing"])
def test_a_client_that_leaves_without_a_word_leaves_no_guard_behind(tmp_path: Path, given: str) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(table("tiny", "--journal", tmp_path / "journal") + RULE)
    env = {**os.environ, "TAKEBACK_STATE": str(tmp_path)}
    words = command("serve", "--policy", policy)
    rest: dict[str, Any] = {"env": env, "timeout": BOUND, "capture_output": True}
    source: dict[str, Any] = {"input": b""} if given == "pipe" else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(words, check=False, **rest, **source)
    assert done.returncode == 0, done.stderr
