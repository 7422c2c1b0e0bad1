"""The SQLite server behind the guard, one tool for all of SQL; what SQL says past both is what really happened."""

from __future__ import annotations

import pytest

from .guarded import Guarded, every_tool_has_a_rule
from .servers import Cut, sqlite_env
from .world import Tasks

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_tool_of_the_server_has_a_rule(sqlite: Guarded, tasks: Tasks, cut: Cut) -> None:
    await every_tool_has_a_rule(sqlite, "sqlite", "sqlite", sqlite_env(tasks.file, cut))


@pytest.mark.parametrize("statement", ["close", "rename", "add"])
async def test_a_known_statement_is_taken_back_exactly(sqlite: Guarded, tasks: Tasks, statement: str) -> None:
    before, call = tasks.state, {"query": tasks.known(statement)}
    action = (await sqlite.call("write_query", **call)).wrote(undo="exact")
    written = tasks.state
    assert written != before
    await sqlite.replayed("write_query", **call)
    assert tasks.state == written
    await sqlite.undone_exactly(action)
    assert tasks.state == before


async def test_a_deleted_row_comes_back_under_its_id(sqlite: Guarded, tasks: Tasks) -> None:
    before = tasks.state
    action = (await sqlite.call("write_query", query=tasks.known("delete"))).wrote(undo="exact")
    assert tasks.sql("SELECT id FROM tasks") == [(tasks.two,)]
    await sqlite.undone_exactly(action)
    assert tasks.state == before


async def test_what_others_wrote_to_another_field_is_kept(sqlite: Guarded, tasks: Tasks) -> None:
    action = (await sqlite.call("write_query", query=tasks.known("close"))).wrote(undo="exact")
    tasks.sql(f"UPDATE tasks SET title = 'theirs' WHERE id = {tasks.one}")
    await sqlite.undone_exactly(action)
    assert tasks.sql("SELECT title, status FROM tasks")[0] == ("theirs", "open")


async def test_what_others_wrote_to_the_same_field_is_a_conflict(sqlite: Guarded, tasks: Tasks) -> None:
    action = (await sqlite.call("write_query", query=tasks.known("close"))).wrote(undo="exact")
    tasks.sql(f"UPDATE tasks SET status = 'waiting' WHERE id = {tasks.one}")
    changed = tasks.state
    assert "changed by others since" in await sqlite.not_undone(action)
    assert tasks.state == changed


@pytest.mark.parametrize("statement", ["close", "add", "delete"])
async def test_a_statement_whose_reply_was_lost_is_not_carried_out_twice(
    sqlite: Guarded, tasks: Tasks, cut: Cut, statement: str
) -> None:
    tasks.sql("CREATE TABLE log (what TEXT)")
    for event in ("INSERT", "UPDATE", "DELETE"):
        tasks.sql(f"CREATE TRIGGER on_{event} AFTER {event} ON tasks BEGIN INSERT INTO log VALUES ('{event}'); END")
    call = {"query": tasks.known(statement)}
    cut.reply_of("write_query")
    answer = await sqlite.call("write_query", **call)
    assert not cut.pending
    assert (answer.error, answer.mark("status"), answer.mark("verified")) == (False, "succeeded", "yes"), answer
    assert tasks.sql("SELECT what FROM log") == [(call["query"].split()[0],)]
    await sqlite.replayed("write_query", **call)
    assert tasks.sql("SELECT count(*) FROM log") == [(1,)]


async def test_an_error_that_looks_like_a_result_is_not_believed(sqlite: Guarded, tasks: Tasks) -> None:
    tasks.sql("CREATE TRIGGER no BEFORE UPDATE ON tasks BEGIN SELECT RAISE(ABORT, 'frozen'); END")
    before = tasks.state
    answer = await sqlite.call("write_query", query=tasks.known("close"))
    assert "frozen" in answer.texts[0]
    assert answer.mark("verified") == "mismatch", answer
    assert tasks.state == before


async def test_a_row_that_is_there_is_not_added_again(sqlite: Guarded, tasks: Tasks) -> None:
    tasks.sql(f"INSERT INTO tasks VALUES ({tasks.two + 1}, 'theirs', 'open')")
    before = tasks.state
    answer = await sqlite.call("write_query", query=tasks.known("add"))
    assert answer.error
    assert "Nothing was changed" in answer.line
    assert tasks.state == before


async def test_what_cannot_be_read_exactly_is_not_written(sqlite: Guarded, tasks: Tasks) -> None:
    tasks.sql(rf"UPDATE tasks SET title = 'C:\notes' WHERE id = {tasks.one}")
    before = tasks.state
    answer = await sqlite.call("write_query", query=tasks.known("close"))
    assert answer.error
    assert "Nothing was changed" in answer.line
    assert tasks.state == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tasks",
        "UPDATE tasks SET status = 'closed'",
        "UPDATE tasks SET status = 'closed' WHERE id = 1 OR 1 = 1",
        "INSERT INTO tasks (title, status) VALUES ('x', 'open')",
        "DROP TABLE tasks",
    ],
)
async def test_any_other_statement_waits_for_a_person(sqlite: Guarded, tasks: Tasks, statement: str) -> None:
    before = tasks.state
    answer = await sqlite.call("write_query", query=statement)
    assert answer.error
    assert answer.mark("status") == "awaiting_approval", answer
    assert tasks.state == before
