"""One plan over three real systems: the help desk, the official file server, and Radicale's calendars.

The rules are those of the three examples. What is really there is read past the guard: the desk's database, the tree's
hash, the files of the calendar server's store.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.examples.helpdesk_http import tables
from tests.third_party.guarded import Guarded, guarded
from tests.third_party.servers import EXAMPLES, Cut, files_env
from tests.third_party.world import Tree

from .radicale import CALENDAR, Calendars, event

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT: Final = EXAMPLES.parent
STEPS: Final = ("look", "open", "raise", "meet", "draft", "put", "stored", "keep")


class Systems:
    """The three of them. `state` is all that an undo must bring back."""

    def __init__(self, database: Path, tree: Tree, calendars: Calendars) -> None:
        self.database, self.tree, self.calendars = database, tree, calendars

    @property
    def state(self) -> dict[str, Any]:
        return {"desk": self._desk(), "tree": self.tree.state, "calendars": self.calendars.state}

    def _desk(self) -> dict[str, Any]:
        """Without what stays by the rules: versions, the numbers that were given, and the notes that an undo leaves."""
        found = tables(self.database)
        del found["last_numbers"]
        found["comments"] = [one for one in found["comments"] if one["author"] != "takeback"]
        for row in (row for rows in found.values() for row in rows):
            row.pop("version", None)
        return found

    def ticket(self, ticket: str) -> dict[str, Any]:
        return next(row for row in tables(self.database)["tickets"] if row["ticket_id"] == ticket)

    def plan(self, *last: dict[str, Any]) -> dict[str, Any]:
        """Each system gets what another one answered; `last` is a group more."""
        draft, kept = self.tree.path("draft.ics"), self.tree.path("kept.ics")
        new = _of("open", "ticket_id")
        groups = [
            [_step("look", "desk_get_ticket", ticket_id="T-182")],
            [
                _step("open", "desk_create_ticket", tenant="acme", subject=_of("look", "subject"), tags=["meeting"]),
                _step("raise", "desk_update_ticket", ticket_id="T-182", priority="high"),
                _step("meet", "files_write_file", path=draft, content=event("of-a-plan", "Export fails", hour=11)),
            ],
            [_step("draft", "files_read_text_file", "meet", path=draft)],
            [_step("put", "dav_put_event", calendar=CALENDAR, uid=new, ics=_of("draft", "content"))],
            [_step("stored", "dav_get_event", "put", calendar=CALENDAR, uid=new)],
            [_step("keep", "files_write_file", path=kept, content=_of("stored"))],
            *([list(last)] if last else []),
        ]
        shaped = [{"steps": steps} for steps in groups]
        return {"title": "Meet about the export", "reason": "the customer asked for it", "groups": shaped}


def _step(name: str, tool: str, *after: str, **arguments: Any) -> dict[str, Any]:
    return {"id": name, "tool": tool, "arguments": arguments, "after": list(after)}


def _of(step: str, path: str = "") -> dict[str, str]:
    return {"$from": step, "path": path} if path else {"$from": step}


def _rules(example: str) -> str:
    """An example's upstreams and rules, without what it says of the guard as a whole."""
    text = (EXAMPLES / example / "policy.toml").read_text()
    return text[text.index("[upstream.") :]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("desk") / "desk.db"


@pytest.fixture
def systems(database: Path, tree: Tree, calendars: Calendars) -> Systems:
    return Systems(database, tree, calendars)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(
    npm_servers: None,
    database: Path,
    root: Path,
    cut: Cut,
    calendars: Calendars,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Guarded]:
    folder = tmp_path_factory.mktemp("three-systems", numbered=False)
    rules = "\n".join(_rules(example) for example in ("filesystem", "radicale"))
    (folder / "policy.toml").write_text(f'extends = "{ROOT / "policy.toml"}"\n\n{rules}')
    desk = {
        "HELPDESK": str(EXAMPLES / "helpdesk"),
        "HELPDESK_PYTHON": sys.executable,
        "HELPDESK_DB": str(database),
    }
    env = {**desk, **files_env(root, cut), **calendars.env}
    async with guarded(str(folder), env, tmp_path_factory.mktemp("state")) as guard:
        yield guard


async def test_a_plan_over_three_systems_is_carried_out_and_taken_back(three: Guarded, systems: Systems) -> None:
    before = systems.state
    done = await three.call("takeback_plan", **systems.plan())
    assert not done.error, done
    assert f"Done: all {len(STEPS)} steps" in done.line
    await _it_is_all_there(systems)

    preview = await three.undo(str(done.mark("action")))
    assert "Preview, nothing was changed yet" in preview.line
    undone = await three.undo(str(done.mark("action")), confirm=preview.confirm)
    assert "Undone: 5 of 5 (5 exactly), read back" in undone.line
    assert undone.mark("outcome") == "exact"
    assert systems.state == before


async def test_a_plan_whose_last_step_fails_leaves_all_three_as_they_were(three: Guarded, systems: Systems) -> None:
    """The calendar server itself refuses the last event, after everything else was done and read back."""
    before, carried = systems.state, systems.calendars.served.proxy.sent
    sent = len(carried("PUT", ".ics"))
    refused = _step("refused", "dav_put_event", calendar=CALENDAR, uid="refused", ics="this is no calendar")
    done = await three.call("takeback_plan", **systems.plan(refused))
    assert done.error, done
    assert done.mark("status") == "compensated", done
    assert "step refused" in done.line
    assert "400" in done.line
    assert systems.state == before
    put = [Path(one.path).stem for one in carried("PUT", ".ics")[sent:]]
    assert put[0].startswith("T-")  # it had come that far
    assert set(put[1:]) == {"refused"}


async def _it_is_all_there(systems: Systems) -> None:
    [ticket] = [row for row in tables(systems.database)["tickets"] if "meeting" in row["tags"]]
    assert ticket["subject"] == "Export fails with error 500"  # what the desk answered about another ticket
    assert systems.ticket("T-182")["priority"] == "high"
    stored = systems.calendars.file(ticket["ticket_id"]).read_bytes()  # under the id that the desk gave
    assert b"SUMMARY:Export fails" in stored  # what the file server had read
    assert (systems.tree / "kept.ics").read_bytes().replace(b"\r", b"") == stored.replace(b"\r", b"")
