"""`undo` on the command line, on the example help desk, whose database tells what really happened."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mcp.raw import guard_command, started

from .commands import Ran, takeback

ROOT = Path(__file__).parents[2]


@dataclass
class Desk:
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        desk = {"HELPDESK": str(ROOT / "examples" / "helpdesk"), "HELPDESK_PYTHON": sys.executable}
        return {**desk, "HELPDESK_DB": str(self.folder / "desk.db"), "TAKEBACK_STATE": str(self.folder)}

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "desk.db")) as desk, desk:
            return desk.execute(statement).fetchall()

    def priority(self, ticket: str) -> object:
        return self.sql(f"SELECT priority FROM tickets WHERE ticket_id = '{ticket}'")[0][0]

    async def raise_tickets(self, *tickets: str) -> list[str]:
        """What an agent did: the ids of its actions."""
        async with started(*guard_command(ROOT / "policy.toml"), env=self.env) as client:
            results = [await client.call("update_ticket", {"ticket_id": t, "priority": "urgent"}) for t in tickets]
        return [result["_meta"]["io.takeback/action"] for result in results]

    def undo(self, action: str, *options: str, given: str = "") -> Ran:
        how = ("--reason", "the wrong one", "--policy", str(ROOT / "policy.toml"), *options)
        return takeback("undo", action, *how, env=self.env, given=given)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def actions(desk: Desk) -> list[str]:
    return asyncio.run(desk.raise_tickets("T-182", "T-204"))


def test_it_previews_and_changes_nothing_without_a_yes_then_restores(desk: Desk, actions: list[str]) -> None:
    shown = desk.undo(actions[0], given="n\n")
    shown_to = shown.out
    assert (shown.code, shown.err) == (1, "")
    assert "Preview, nothing was changed yet" in shown_to
    assert "priority urgent -> normal" in shown_to
    assert "takeback_undo" not in shown_to  # how an agent goes on is nothing for a person
    assert f"Not undone: nobody agreed. Nothing was changed; {actions[0]} stands." in shown_to
    assert desk.priority("T-182") == "urgent"

    done = desk.undo(actions[0], "--json", given="y\n")
    assert (done.code, done.json["ok"], done.json["outcome"]) == (0, True, "exact")
    assert "Go on?" in done.err
    assert desk.priority("T-182") == "normal"

    again = desk.undo(actions[0], "--yes")
    assert again.code == 0
    assert "already undone" in again.out
    assert len(desk.sql("SELECT 1 FROM comments WHERE ticket_id = 'T-182' AND body LIKE 'Taken back%'")) == 1


def test_it_refuses_to_overwrite_somebody_else(desk: Desk, actions: list[str]) -> None:
    desk.sql("UPDATE tickets SET priority = 'low', version = version + 1 WHERE ticket_id = 'T-204'")
    refused = desk.undo(actions[1], "--yes", "--json")
    assert (refused.code, refused.json["ok"], refused.json["outcome"]) == (1, False, "refused")
    assert "changed by others" in refused.json["text"]
    assert desk.priority("T-204") == "low"
    desk.undo("a000000", "--yes").refused(3, "a000000", "Nothing was changed")


def test_a_run_and_the_last_of_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ids = asyncio.run(desk.raise_tickets("T-182", "T-204"))
    found = takeback("runs", "--policy", str(ROOT / "policy.toml"), "--json", env=desk.env)
    run = json.loads(found.out)[0]["id"]
    how = ("--run", run, "--reason", "the wrong customer", "--policy", str(ROOT / "policy.toml"))
    for options in (("--last", "1", "--since", ids[0]), ("--last", "0")):
        wrong = takeback("undo", *how, *options, env=desk.env)
        assert wrong.code == 2, wrong
    assert takeback("undo", ids[0], *how, env=desk.env).code == 2
    shown = takeback("undo", *how, env=desk.env, given="n\n")
    assert "2 changes would be taken back, newest first" in shown.out
    assert "takeback_undo" not in shown.out, "what an agent would have to call is no word for a person"
    assert desk.priority("T-182") == desk.priority("T-204") == "urgent"
    last = takeback("undo", *how, "--since", ids[0], "--yes", env=desk.env)
    assert last.code == 0, last
    assert (desk.priority("T-182"), desk.priority("T-204")) != ("urgent", "urgent")
    assert desk.priority("T-182") == "urgent"
    rest = takeback("undo", *how, "--yes", "--json", env=desk.env)
    assert json.loads(rest.out)["outcome"] == "exact", rest
    assert desk.priority("T-182") != "urgent"


def test_a_customer_is_told_without_logins(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    action = asyncio.run(desk.raise_tickets("T-182"))[0]
    assert desk.undo(action, "--yes").code == 0
    told = takeback("explain", action, "--customer", "--policy", str(ROOT / "policy.toml"), env=desk.env)
    assert "a member of our staff" in told.out
    assert "desk.update_ticket" not in told.out
    as_json = takeback("explain", action, "--customer", "--json", "--policy", str(ROOT / "policy.toml"), env=desk.env)
    assert {"topic", "source", "text"} == set(json.loads(as_json.out)[0])
