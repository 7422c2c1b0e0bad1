"""The official file server behind the guard; the tree's hash says what really happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .guarded import Guarded, every_tool_has_a_rule
from .servers import Cut, files_env
from .world import Tree

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_tool_of_the_server_has_a_rule(files: Guarded, root: Path, cut: Cut) -> None:
    await every_tool_has_a_rule(files, "filesystem", "files", files_env(root, cut))


async def test_reads_pass_and_are_no_actions(files: Guarded, tree: Tree) -> None:
    before = tree.state
    read = await files.call("read_text_file", path=tree.path("notes/todo.txt"))
    listed = await files.call("list_directory", path=tree.path("notes"))
    preview = {"path": tree.path("notes/todo.txt"), "edits": [{"oldText": "eins", "newText": "1"}], "dryRun": True}
    shown = await files.call("edit_file", **preview)
    assert read.texts == ("eins\r\nzwei, dreißig\r\n",)
    assert listed.texts == ("[FILE] empty.txt\n[FILE] todo.txt",)
    assert "+1" in shown.texts[0]
    assert not [answer for answer in (read, listed, shown) if answer.mark("action")]
    assert tree.state == before


async def test_overwriting_is_undone_to_the_byte(files: Guarded, tree: Tree) -> None:
    before, call = tree.state, {"path": tree.path("run.sh"), "content": "#!/bin/sh\nexit 1\n"}
    answer = await files.call("write_file", **call)
    answer.wrote(undo="exact")
    assert "content" in answer.line
    assert (tree / "run.sh").read_text() == call["content"]
    written = (tree / "run.sh").stat()
    await files.replayed("write_file", **call)
    assert (tree / "run.sh").stat().st_ino == written.st_ino
    await files.undone_exactly()
    assert tree.state == before


async def test_a_created_file_is_removed_by_code(files: Guarded, tree: Tree) -> None:
    before, call = tree.state, {"path": tree.path("notes/new.json"), "content": json.dumps({"ä": [1]})}
    answer = await files.call("write_file", **call)
    action = answer.wrote(undo="exact")
    assert answer.line.endswith(" created. Undo: exact.")
    assert (tree / "notes/new.json").read_text() == call["content"]
    await files.replayed("write_file", **call)
    await files.undone_exactly(action)
    assert tree.state == before
    assert "already undone" in (await files.undo(action)).line


async def test_an_edit_of_a_crlf_file_is_undone_to_the_byte(files: Guarded, tree: Tree) -> None:
    before = tree.state
    call = {
        "path": tree.path("notes/todo.txt"),
        "edits": [{"oldText": "eins", "newText": "1"}, {"oldText": "zwei", "newText": ""}],
    }
    (await files.call("edit_file", **call)).wrote(undo="exact")
    assert (tree / "notes/todo.txt").read_bytes() == "1\n, dreißig\n".encode()
    await files.replayed("edit_file", **call)
    await files.undone_exactly()
    assert tree.state == before


async def test_a_created_directory_is_removed_while_it_is_empty(files: Guarded, tree: Tree) -> None:
    before = tree.state
    action = (await files.call("create_directory", path=tree.path("notes/more"))).wrote(undo="exact")
    await files.replayed("create_directory", path=tree.path("notes/more"))
    (tree / "notes/more/theirs.txt").write_text("not ours")
    filled = tree.state
    refusal = await files.not_undone(action)
    assert "not empty" in refusal
    assert tree.state == filled
    (tree / "notes/more/theirs.txt").unlink()
    await files.undone_exactly(action)
    assert tree.state == before


async def test_nested_directories_are_forecast_as_impossible_and_stay(files: Guarded, tree: Tree) -> None:
    action = (await files.call("create_directory", path=tree.path("x/y/z"))).wrote(undo="refused")
    made = tree.state
    assert (tree / "x/y/z").is_dir()
    assert "no undo call of the rule applies" in await files.not_undone(action)
    assert tree.state == made


async def test_files_and_directories_move_back(files: Guarded, tree: Tree) -> None:
    before = tree.state
    for source, destination in (("picture.png", "notes/p.png"), ("notes", "archive")):
        call = {"source": tree.path(source), "destination": tree.path(destination)}
        was = tree.state
        (await files.call("move_file", **call)).wrote(undo="exact")
        assert (tree / destination).exists()
        assert not (tree / source).exists()
        await files.replayed("move_file", **call)
        await files.undone_exactly()
        assert tree.state == was
    assert tree.state == before


async def test_what_others_changed_is_a_conflict_and_nothing_is_written(files: Guarded, tree: Tree) -> None:
    written = await files.call("write_file", path=tree.path("run.sh"), content="ours")
    created = await files.call("write_file", path=tree.path("new.txt"), content="ours")
    moved = await files.call("move_file", source=tree.path("picture.png"), destination=tree.path("moved.png"))
    (tree / "run.sh").write_text("theirs")
    (tree / "new.txt").write_text("theirs, too")
    (tree / "picture.png").write_text("another picture")
    changed = tree.state
    for answer in (written, created, moved):
        assert "changed by others since" in await files.not_undone(answer.wrote(undo="exact"))
        assert tree.state == changed
    again = await files.call("write_file", path=tree.path("run.sh"), content="ours")
    assert again.error
    assert "changed meanwhile by others" in again.line
    assert tree.state == changed


async def test_what_is_not_text_is_forecast_as_impossible_to_restore(files: Guarded, tree: Tree) -> None:
    action = (await files.call("write_file", path=tree.path("picture.png"), content="text")).wrote(undo="refused")
    written = tree.state
    assert "no undo call of the rule applies" in await files.not_undone(action)
    assert tree.state == written


async def test_denied_is_not_absent_and_nothing_is_written(files: Guarded, tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("theirs")
    (tree / "link.txt").symlink_to(outside)
    before = tree.state
    for path in (str(outside), str(tmp_path / "new.txt"), tree.path("link.txt"), tree.path("notes")):
        answer = await files.call("write_file", path=path, content="ours")
        assert answer.error
        assert "Nothing was changed" in answer.line
    assert tree.state == before
    assert outside.read_text() == "theirs"
    assert not (tmp_path / "new.txt").exists()


async def test_a_link_in_place_of_a_created_file_is_not_removed(files: Guarded, tree: Tree) -> None:
    action = (await files.call("write_file", path=tree.path("new.txt"), content="same")).wrote(undo="exact")
    (tree / "new.txt").rename(tree / "kept.txt")
    (tree / "new.txt").symlink_to(tree / "kept.txt")
    linked = tree.state
    await files.not_undone(action)
    assert tree.state == linked
