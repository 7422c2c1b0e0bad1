"""The compensations in code, without a server: what they refuse, and that a refusal changes nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from takeback.core.undo import Step
from takeback.extensions import compensations
from takeback.ports import Answered
from takeback_compensations.files import RemoveCreated
from takeback_compensations.git import GitDropBranch, GitRestage, GitUncommit

from .world import Repo, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree.seeded(tmp_path / "files")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo.seeded(tmp_path / "repository")


def file(content: bytes) -> dict[str, Any]:
    return {"kind": "file", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


async def remove(tree: Tree, path: str, left: dict[str, Any] | None, root: str | None = None) -> None:
    arguments = {"path": path, "root": root if root is not None else str(tree.root), "left": left}
    await RemoveCreated().carry_out(Step("python.remove_created", arguments))


def test_they_are_installed_under_their_names() -> None:
    assert {"remove_created", "git_uncommit", "git_drop_branch", "git_restage"} <= compensations().keys()


@pytest.mark.parametrize("spelling", ["absolute", "relative", "through dots"])
async def test_a_file_as_it_was_left_is_removed(tree: Tree, spelling: str) -> None:
    path = {"absolute": tree.path("run.sh"), "relative": "run.sh", "through dots": tree.path("notes/../run.sh")}[
        spelling
    ]
    await remove(tree, path, file(b"#!/bin/sh\n"))
    assert not (tree / "run.sh").exists()
    assert (tree / "notes/todo.txt").exists()


async def test_the_root_may_be_a_link_and_come_from_the_environment(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tree.root)
    monkeypatch.setenv("A_ROOT", str(tmp_path / "link"))
    await remove(tree, str(tmp_path / "link" / "run.sh"), file(b"#!/bin/sh\n"), root="$A_ROOT")
    assert not (tree / "run.sh").exists()


Prepared = Callable[[Tree], tuple[str, dict[str, Any] | None]]


def outside(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    (tree.root.parent / "theirs").write_bytes(b"x")
    return "../theirs", file(b"x")


def the_root_itself(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    return tree.path("."), {"kind": "directory"}


def through_a_linked_directory(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    (tree.root.parent / "there").mkdir()
    (tree.root.parent / "there" / "theirs").write_bytes(b"x")
    (tree / "linked").symlink_to(tree.root.parent / "there")
    return "linked/theirs", file(b"x")


def a_link(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    (tree / "link").symlink_to(tree / "run.sh")
    return "link", file(b"#!/bin/sh\n")


def a_linked_directory(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    (tree.root.parent / "empty").mkdir()
    (tree / "link").symlink_to(tree.root.parent / "empty")
    return "link", {"kind": "directory"}


def a_pipe(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    os.mkfifo(tree / "pipe")
    return "pipe", file(b"")


def other_content(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    return "run.sh", file(b"#!/bin/zz\n")


def a_full_directory(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    return "notes", {"kind": "directory"}


def gone(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    return "gone/away.txt", file(b"x")


def not_known(tree: Tree) -> tuple[str, dict[str, Any] | None]:
    return "run.sh", None


ELSEWHERE = [outside, the_root_itself, through_a_linked_directory, a_link, a_linked_directory, gone]
OTHERWISE = [a_pipe, other_content, a_full_directory, not_known]


@pytest.mark.parametrize("case", [*ELSEWHERE, *OTHERWISE], ids=lambda case: case.__name__)
async def test_nothing_else_is_removed(tree: Tree, case: Prepared) -> None:
    path, left = case(tree)
    around = Tree(tree.root.parent)
    before = around.state
    with pytest.raises(Answered, match=r"^Not undone: .*Nothing was changed\.$"):
        await remove(tree, path, left)
    assert around.state == before


@pytest.mark.parametrize("root", ["", "$NOT_SET_ANYWHERE", "/nowhere/at/all"])
async def test_without_a_root_nothing_is_removed(tree: Tree, root: str) -> None:
    before = tree.state
    with pytest.raises(Answered, match="is not a directory"):
        await remove(tree, tree.path("run.sh"), file(b"#!/bin/sh\n"), root=root)
    assert tree.state == before


async def carry_out(compensation: Any, repo: Repo, more: dict[str, str], root: Path | None = None) -> None:
    arguments: dict[str, Any] = {"repo_path": str(repo.root), "root": str(root or repo.root), **more}
    await compensation.carry_out(Step(f"python.{compensation.name}", arguments))


async def refused(why: str, compensation: Any, repo: Repo, more: dict[str, str], root: Path | None = None) -> None:
    before = repo.state
    with pytest.raises(Answered, match=why):
        await carry_out(compensation, repo, more, root)
    assert repo.state == before
    assert not list((repo.root / ".git").glob("index.*"))


async def test_a_repository_outside_the_root_is_left_alone(repo: Repo, tmp_path: Path) -> None:
    head = repo.git("rev-parse", "HEAD")
    known = {"branch": "main", "commit": head, "parent": ""}
    (tmp_path / "other").mkdir()
    await refused("outside", GitUncommit(), repo, known, tmp_path / "other")
    (tmp_path / "other" / "link").symlink_to(repo.root)
    linked = Repo(tmp_path / "other" / "link")
    await refused("outside", GitUncommit(), linked, known, tmp_path / "other")
    (repo.root / "below").mkdir()
    with pytest.raises(Answered, match="not a repository of its own"):
        await carry_out(GitUncommit(), Repo(repo.root / "below"), known, repo.root)
    assert repo.git("rev-parse", "HEAD") == head


async def test_a_commit_is_taken_back_only_from_where_it_was_made(repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    (repo / "a.txt").write_text("two\n")
    second = repo.commit("second")
    known = {"branch": "main", "commit": second, "parent": first}
    await refused("is not checked out any more", GitUncommit(), repo, {**known, "branch": "other"})
    await refused("HEAD is not", GitUncommit(), repo, {**known, "commit": first})
    await refused("HEAD is not", GitUncommit(), repo, {**known, "parent": ""})
    repo.git("checkout", "--quiet", "-b", "other")
    await refused("is not checked out any more", GitUncommit(), repo, known)
    repo.git("checkout", "--quiet", "main")
    hook = repo.root / ".git" / "hooks" / "reference-transaction"
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    await carry_out(GitUncommit(), repo, known)
    assert repo.git("rev-parse", "main") == first
    assert not (repo / "hooked").exists()


async def test_a_branch_takes_with_it_what_it_tracked(repo: Repo) -> None:
    head = repo.git("rev-parse", "HEAD")
    repo.git("remote", "add", "origin", str(repo.root))
    repo.git("update-ref", "refs/remotes/origin/main", head)
    before = repo.state
    repo.git("branch", "--track", "topic", "origin/main")
    await refused("does not point to", GitDropBranch(), repo, {"branch": "topic", "commit": "0" * 40})
    await refused("does not point to", GitDropBranch(), repo, {"branch": "to", "commit": head})
    await refused("is checked out", GitDropBranch(), repo, {"branch": "main", "commit": head})
    await carry_out(GitDropBranch(), repo, {"branch": "topic", "commit": head})
    assert repo.state == before


async def test_the_index_is_restored_under_gits_own_lock_or_not_at_all(repo: Repo) -> None:
    (repo / "a.txt").write_text("two\n")
    repo.git("add", "a.txt")
    staged = repo.git("diff", "--unified=3", "--cached")
    before = repo.state
    repo.git("reset", "--quiet")
    known = {"staged": f"Staged changes:\n{staged}", "left": "Staged changes:\n"}
    await refused("not as the action left it", GitRestage(), repo, {**known, "left": staged})
    await refused("git apply", GitRestage(), repo, {**known, "staged": "no difference at all"})
    lock = repo.root / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(Answered, match="another git is at work"):
        await carry_out(GitRestage(), repo, known)
    lock.unlink()
    await carry_out(GitRestage(), repo, known)
    assert repo.state == before
