"""A spreadsheet server behind the guard; openpyxl in another process says what the workbook really holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .guarded import Guarded, every_tool_has_a_rule
from .servers import Cut, excel_env
from .world import Workbook

pytestmark = pytest.mark.asyncio(loop_scope="module")


def block(book: Workbook, at: str, *rows: list[Any]) -> dict[str, Any]:
    return {"path": str(book.file), "sheet": "Stock", "at": at, "rows": list(rows)}


async def test_every_tool_that_is_offered_has_a_rule(excel: Guarded, office: Path, cut: Cut) -> None:
    await every_tool_has_a_rule(excel, "excel", "excel", excel_env(office, cut))


@pytest.mark.parametrize(
    ("at", "rows"),
    [
        ("B2", [[4]]),
        ("A2", [["screw", 5], ["bolt", 6]]),  # over a formula
        ("C3", [["new", 1.5, False], ["newer", 2, True]]),  # over empty cells, and at the end of rows
        ("A5", [["00124", 1e300]]),
        ("X1", [["x", "y", "z"]]),
    ],
)
async def test_values_are_written_and_taken_back_exactly(
    excel: Guarded, book: Workbook, at: str, rows: list[Any]
) -> None:
    before, call = book.state, block(book, at, *rows)
    action = (await excel.call("write_range", **call)).wrote(undo="exact")
    written = book.state
    assert written != before
    await excel.replayed("write_range", **call)
    await excel.undone_exactly(action)
    assert book.state == before


async def test_what_others_wrote_beside_the_block_is_kept_and_inside_it_is_a_conflict(
    excel: Guarded, book: Workbook
) -> None:
    action = (await excel.call("write_range", **block(book, "A2", ["screw", 5]))).wrote(undo="exact")
    changed = book.ask("Stock", "B2", "7")
    assert "changed by others since" in await excel.not_undone(action)
    assert book.state == changed
    second = (await excel.call("write_range", **block(book, "A4", ["00125"]))).wrote(undo="exact")
    changed = book.ask("Stock", "B4", "theirs")
    await excel.undone_exactly(second)
    changed["Stock"]["cells"]["A4"] = ["s", "00123"]
    assert book.state == changed


@pytest.mark.parametrize(
    ("at", "row"), [("C2", ["a date was here"]), ("D2", ["=B2*3"]), ("D2", [None, 1]), ("AA1", [1])]
)
async def test_what_cannot_be_put_back_exactly_is_forecast_as_impossible(
    excel: Guarded, book: Workbook, at: str, row: list[Any]
) -> None:
    answer = await excel.call("write_range", **block(book, at, row))
    assert (answer.mark("status"), answer.mark("undo")) == ("succeeded", "refused"), answer
    written = book.state
    await excel.not_undone(answer.mark("action"))
    assert book.state == written


async def test_a_created_sheet_is_deleted_unless_others_write_to_it(excel: Guarded, book: Workbook) -> None:
    before, call = book.state, {"path": str(book.file), "new_name": "Plan"}
    action = (await excel.call("create_sheet", **call)).wrote(undo="exact")
    await excel.replayed("create_sheet", **call)
    filled = book.ask("Plan", "A1", "theirs")
    assert "changed" in await excel.not_undone(action)
    assert book.state == filled
    again = (await excel.call("create_sheet", path=str(book.file), new_name="Plan 2")).wrote(undo="exact")
    waiting = await excel.undo(again)
    assert waiting.error
    assert "Plan 2" in book.state
    await excel.agree(waiting)
    await excel.undone_exactly(again)
    assert book.state == filled
    assert filled.keys() == {*before, "Plan"}


async def test_a_renamed_sheet_gets_its_name_back(excel: Guarded, book: Workbook) -> None:
    before, call = book.state, {"path": str(book.file), "sheet": "Stock", "new_name": "Store"}
    (await excel.call("rename_sheet", **call)).wrote(undo="exact")
    assert book.state.keys() == {"Store"}
    await excel.replayed("rename_sheet", **call)
    await excel.undone_exactly()
    assert book.state == before


async def test_deleting_a_sheet_waits_for_a_person(excel: Guarded, book: Workbook) -> None:
    before = book.state
    answer = await excel.call("delete_sheet", path=str(book.file), sheet="Stock")
    assert answer.mark("status") == "awaiting_approval", answer
    assert book.state == before
    await excel.call("create_sheet", path=str(book.file), new_name="Last")
    await excel.agree(answer)
    (await excel.call("delete_sheet", path=str(book.file), sheet="Stock")).wrote(undo="refused")
    assert book.state.keys() == {"Last"}


async def test_notes_are_set_deleted_and_put_back_with_their_author(excel: Guarded, book: Workbook) -> None:
    before, where = book.state, {"path": str(book.file), "sheet": "Stock"}
    for tool, call in (
        ("set_note", {"cell": "B2", "text": "new"}),
        ("set_note", {"cell": "A1", "text": "recounted"}),
        ("delete_note", {"cell": "A1"}),
    ):
        action = (await excel.call(tool, **where, **call)).wrote(undo="exact")
        assert book.state != before
        await excel.undone_exactly(action)
        assert book.state == before


async def test_a_block_whose_reply_was_lost_is_written_once(excel: Guarded, book: Workbook, cut: Cut) -> None:
    before, call = book.state, block(book, "A2", ["screw", 5])
    cut.reply_of("write_range")
    action = (await excel.call("write_range", **call)).wrote(undo="exact")
    assert not cut.pending
    written = book.file.stat()
    await excel.replayed("write_range", **call)
    assert book.file.stat().st_mtime_ns == written.st_mtime_ns
    await excel.undone_exactly(action)
    assert book.state == before
