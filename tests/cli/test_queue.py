"""`queue`, `show`, `resolve`, `assign`, `comment`; and a command that is killed in the middle of a decision."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from takeback.bootstrap import read_policy, running
from takeback.guard.calling import CallRequest
from takeback.ports import Caller

from .commands import Ran, command, inside, takeback

SERVER = Path(__file__).with_name("held_server.py")
BOUND = 30

POLICY = """
[ledger]
url = "sqlite+aiosqlite:///${STATE}/takeback.db"
lease = "2s"
[defaults]
tenant = "acme"
user = "agent"
timeout = "20s"
[upstream.held]
command = PYTHON
args = ARGS
lands_within = "1s"
[[rule]]
tool = "held.get"
class = "read_only"
[[rule]]
tool = "held.set"
class = "internal_update"
effect = "set"
risk = "RISK"
target = { type = "record", id = "args.id", label = "'the Record'" }
read = { tool = "held.get", args = { id = "args.id" } }
undo = { tool = "held.set", args = { id = "target.id", value = "before.value" } }
"""


class Place:
    """A guard, its upstream with one record, and an entry of the queue about the one change that was made to it."""

    def __init__(self, folder: Path, risk: str = "low") -> None:
        self.folder = folder
        self.record, self.journal, self.hold, self.begun = (folder / n for n in ("record", "journal", "hold", "begun"))
        os.mkfifo(self.begun)
        words = json.dumps([str(one) for one in (SERVER, self.record, self.journal, self.hold, self.begun)])
        self.policy = folder / "policy.toml"
        text = POLICY.replace("PYTHON", json.dumps(sys.executable)).replace("ARGS", words)
        self.policy.write_text(text.replace("RISK", risk))
        self.env = {"TAKEBACK_STATE": str(folder)}
        self.action, self.entry = asyncio.run(self._lived())

    async def _lived(self) -> tuple[str, str]:
        """The agent wrote, somebody else wrote meanwhile, the agent wanted its own back, and theirs went away again."""
        self.put("old")
        async with running(read_policy(self.policy, self.env)) as guard:
            caller = Caller(tenant="acme", principal="agent", run="r1")
            request = CallRequest(caller=caller, name="set", arguments={"id": "R", "value": "new"})
            action = (await guard.use_cases.call(request)).action
            assert action is not None
            self.put("theirs")
            await guard.use_cases.undo(caller, what=action.id, reason="wrong", confirm=None)
            self.put("new")
            [item] = await guard.ledger.queue("acme")
            return action.id, item.id

    def put(self, value: str) -> None:
        """Somebody else writes."""
        self.record.write_text(json.dumps({"id": "R", "value": value}))

    def __call__(self, name: str, *arguments: str, given: str = "") -> Ran:
        run = takeback if {"--compensate", "--resume"} & {*arguments} and "--close" not in arguments else inside
        return run(name, *arguments, "--policy", self.policy, env=self.env, given=given)

    def shown(self) -> Any:
        return self("show", self.entry, "--json").json

    def written(self) -> list[str]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    @contextmanager
    def killed_at(self, point: str, *arguments: str) -> Iterator[None]:
        """A command that is killed once its upstream has come to `point`."""
        self.hold.write_text(point)
        waiting = os.open(self.begun, os.O_RDONLY | os.O_NONBLOCK)
        process = subprocess.Popen(
            command(*arguments, "--policy", self.policy),
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            ready, _, _ = select.select([waiting], [], [], BOUND)
            assert ready, "it never came there"
            yield
        finally:
            process.kill()
            process.wait(BOUND)
            os.close(waiting)
            self.hold.unlink()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("point", ["get", "before", "after"])
def test_a_command_that_is_killed_loses_nothing_and_nothing_is_taken_back_twice(place: Place, point: str) -> None:
    why = ("--reason", "wrong record", "--yes")
    with place.killed_at(point, "resolve", place.entry, "--compensate", *why):
        assert place.shown()["state"] == "handling"
        place("resolve", place.entry, "--close", "--reason", "me, too").refused(1, "right now (compensate)")
    assert place.shown()["closed_at"] is None
    done = place("resolve", place.entry, "--compensate", *why, "--json")
    assert done.code == 0, done
    assert (done.json["state"], done.json["status"]) == ("closed", "compensated"), done.json
    assert json.loads(place.record.read_text())["value"] == "old"
    assert place.written() == ["new", "old"]
    place("resolve", place.entry, "--compensate", *why).refused(1, "was closed by", "already (compensate")
    assert place.written() == ["new", "old"]


def test_an_entry_is_listed_shown_assigned_commented_on_and_closed(place: Place) -> None:
    listed = place("queue").out
    for words in (place.entry, place.action, "the Record", "theirs", "low"):
        assert words in listed
    assert "Nothing needs a look." in place("queue", "--mine").out
    assert place("assign", place.entry, "--me").code == 0
    assert "I asked" not in place("queue", "--mine").out
    assert place("comment", place.action, "I asked the BANK").code == 0
    for filters in (["--mine"], ["--text", "bank"], ["--text", "record"], ["--risk", "low"], ["--older-than", "0s"]):
        assert [one["id"] for one in place("queue", *filters, "--json").json["entries"]] == [place.entry], filters
    for filters in (
        ["--text", "shark"],
        ["--risk", "high"],
        ["--older-than", "1h"],
        ["--assignee", ""],
        ["--run", "x"],
    ):
        assert place("queue", *filters, "--json").json["entries"] == [], filters
    shown = place("show", place.entry)
    for words in ("conflict", "I asked the BANK", "Suggested: takeback resolve", "--compensate", "value=old"):
        assert words in shown.out
    way = next(one for one in place.shown()["suggestions"] if one["decision"] == "compensate")
    assert (way["tool"], way["arguments"], way["risk"]) == ("held.set", {"id": "R", "value": "old"}, "low")
    assert (way["action"], way["approval"]) == (place.action, False)
    closed = place("resolve", place.entry, "--close", "--reason", "theirs is better", "--json").json
    assert (closed["entry"], closed["decision"], closed["status"]) == (place.entry, "close", "succeeded")
    assert "Nothing needs a look." in place("queue").out
    assert "theirs is better" in place("show", place.entry).out
    assert "close" in place("queue", "--all").out
    place("assign", place.entry, "ben").refused(1, "was closed by")


def test_taking_back_shows_first_what_would_be_done(tmp_path: Path) -> None:
    place = Place(tmp_path, risk="medium")
    no = place("resolve", place.entry, "--compensate", "--reason", "wrong", given="n\n")
    no.refused(1, "nobody agreed")
    assert "Preview, nothing was changed yet" in no.out
    assert place.written() == ["new"]
    yes = place("resolve", place.entry, "--compensate", "--reason", "wrong", given="y\n")
    assert (yes.code, f"{place.entry} is closed (compensate)" in yes.out) == (0, True)
    assert place.written() == ["new", "old"]


def test_what_does_not_fit_is_refused_in_a_sentence(place: Place) -> None:
    for wrong in ([], ["--close", "--resume"]):
        place("resolve", place.entry, *wrong, "--reason", "x").refused(2, "choose one of --resume")
    place("resolve", place.entry, "--resume", "--reason", "x").refused(1, "there is nothing to resume")
    place("resolve", place.entry, "--no-effect", "--reason", "x").refused(1, "is known")
    place("resolve", "q000000", "--close", "--reason", "x").refused(3, "q000000")
    place("show", "q000000").refused(3, "q000000")
    place("assign", place.entry, "ben", "--me").refused(2, "--me")
    place("comment", place.entry, " ").refused(1, "comment")
    place("queue", "--mine", "--assignee", "ben").refused(2, "--mine")
    place("queue", "--older-than", "long").refused(2, "time span")
    place("queue", "--cursor", "x").refused(4, "cursor")
    assert place.shown()["state"] == "open"
