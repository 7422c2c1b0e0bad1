"""The official git server behind the guard; git's own refs, index and files say what really happened."""

from __future__ import annotations

import pytest

from .guarded import Guarded, every_tool_has_a_rule
from .servers import Cut, git_env
from .world import Repo

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_tool_of_the_server_has_a_rule(git: Guarded, outer: Repo, cut: Cut) -> None:
    await every_tool_has_a_rule(git, "git", "git", git_env(outer.root, cut))


async def test_staging_is_undone_and_staging_again_after_an_edit_is_no_retry(git: Guarded, repo: Repo) -> None:
    call = {"repo_path": str(repo.root), "files": ["a.txt", "new.txt"]}
    (repo / "a.txt").write_text("two\n")
    (repo / "new.txt").write_text("new\n")
    before = repo.state
    action = (await git.call("git_add", **call)).wrote(undo="exact")
    assert repo.git("diff", "--cached", "--name-only").split() == ["a.txt", "new.txt"]
    await git.replayed("git_add", **call)
    (repo / "a.txt").write_text("three\n")
    again = await git.call("git_add", **call)
    assert "changed meanwhile by others" in again.line
    (repo / "a.txt").write_text("two\n")
    await git.undone_exactly(action)
    assert repo.state == before


async def test_only_what_an_action_staged_is_unstaged(git: Guarded, repo: Repo) -> None:
    (repo / "a.txt").write_text("two\n")
    repo.git("add", "a.txt")
    (repo / "a.txt").write_text("three\n")
    (repo / "b.txt").unlink()
    before = repo.state
    (await git.call("git_add", repo_path=str(repo.root), files=["."])).wrote(undo="exact")
    assert repo.git("diff", "--name-only") == ""
    await git.undone_exactly()
    assert repo.state == before


async def test_unstaging_everything_is_undone_unless_others_stage(git: Guarded, repo: Repo) -> None:
    (repo / "a.txt").write_text("two\nwith no end")
    repo.git("mv", "b.txt", "c.txt")
    repo.git("add", "--all")
    (repo / "a.txt").write_text("only in the index is what was there\n")
    before = repo.state
    action = (await git.call("git_reset", repo_path=str(repo.root))).wrote(undo="exact")
    assert repo.git("diff", "--cached") == ""
    await git.replayed("git_reset", repo_path=str(repo.root))
    repo.git("add", "c.txt")
    staged = repo.state
    assert "changed by others since" in await git.not_undone(action)
    assert repo.state == staged
    repo.git("rm", "--quiet", "--cached", "c.txt")
    await git.undone_exactly(action)
    assert repo.state == before


async def test_binary_files_in_the_index_are_forecast_as_impossible(git: Guarded, repo: Repo) -> None:
    (repo / "a.bin").write_bytes(bytes(range(256)))
    repo.git("add", "a.bin")
    action = (await git.call("git_reset", repo_path=str(repo.root))).wrote(undo="refused")
    left = repo.state
    assert "no undo call of the rule applies" in await git.not_undone(action)
    assert repo.state == left


async def test_a_commit_is_taken_back_and_its_changes_are_staged_again(git: Guarded, repo: Repo) -> None:
    (repo / "a.txt").write_text("two\n")
    repo.git("add", "a.txt")
    (repo / "b.txt").write_text("not staged\n")
    before, call = repo.state, {"repo_path": str(repo.root), "message": "second\n\nwith a body"}
    action = (await git.call("git_commit", **call)).wrote(undo="exact")
    assert (repo.commits, repo.git("log", "-1", "--format=%s")) == (2, "second")
    await git.replayed("git_commit", **call)
    assert repo.commits == 2
    await git.undone_exactly(action)
    assert repo.state == before
    assert repo.git("fsck", "--strict") == ""


async def test_the_first_commit_of_all_is_taken_back(git: Guarded, repo: Repo) -> None:
    repo.git("update-ref", "-d", "HEAD")
    repo.git("rm", "--quiet", "-r", "--cached", ".")
    before, where = repo.state, str(repo.root)
    staged = (await git.call("git_add", repo_path=where, files=["."])).wrote(undo="exact")
    was = repo.state
    committed = (await git.call("git_commit", repo_path=where, message="first")).wrote(undo="exact")
    assert repo.commits == 1
    await git.undone_exactly(committed)
    assert repo.state == was
    await git.undone_exactly(staged)
    assert repo.state == before


async def test_a_commit_with_another_on_top_stays(git: Guarded, repo: Repo) -> None:
    (repo / "a.txt").write_text("two\n")
    repo.git("add", "a.txt")
    action = (await git.call("git_commit", repo_path=str(repo.root), message="ours")).wrote(undo="exact")
    (repo / "b.txt").write_text("zwei\n")
    repo.commit("theirs")
    left = repo.state
    assert "changed by others since" in await git.not_undone(action)
    assert repo.state == left


async def test_a_pushed_commit_stays(git: Guarded, repo: Repo) -> None:
    (repo / "a.txt").write_text("two\n")
    repo.git("add", "a.txt")
    action = (await git.call("git_commit", repo_path=str(repo.root), message="ours")).wrote(undo="exact")
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    left = repo.state
    assert "has been pushed" in await git.not_undone(action)
    assert repo.state == left


async def test_a_merge_is_forecast_as_impossible_to_take_back(git: Guarded, repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "side")
    (repo / "b.txt").write_text("zwei\n")
    repo.commit("side")
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    action = (await git.call("git_commit", repo_path=str(repo.root), message="merged")).wrote(undo="refused")
    left = repo.state
    assert len(repo.git("rev-list", "--parents", "-n1", "HEAD").split()) == 3
    assert "no undo call of the rule applies" in await git.not_undone(action)
    assert repo.state == left


async def test_a_branch_is_deleted_only_where_it_was_created(git: Guarded, repo: Repo) -> None:
    before, call = repo.state, {"repo_path": str(repo.root), "branch_name": "topic/x.y"}
    action = (await git.call("git_create_branch", **call)).wrote(undo="exact")
    await git.replayed("git_create_branch", **call)
    repo.git("checkout", "--quiet", "topic/x.y")
    checked_out = repo.state
    assert "is checked out" in await git.not_undone(action)
    assert repo.state == checked_out
    (repo / "a.txt").write_text("two\n")
    repo.commit("theirs")
    moved = repo.state
    assert "changed by others since" in await git.not_undone(action)
    assert repo.state == moved
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    repo.git("checkout", "--quiet", "main")
    await git.undone_exactly(action)
    assert repo.state == before


async def test_switching_goes_back_with_the_files(git: Guarded, repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "side")
    (repo / "b.txt").write_text("zwei\n")
    side = repo.commit("side")
    repo.git("checkout", "--quiet", "main")
    (repo / "a.txt").write_text("carried along\n")
    for name in ("side", side):
        before, call = repo.state, {"repo_path": str(repo.root), "branch_name": name}
        (await git.call("git_checkout", **call)).wrote(undo="exact")
        assert (repo / "b.txt").read_text() == "zwei\n"
        await git.replayed("git_checkout", **call)
        await git.undone_exactly()
        assert repo.state == before


async def test_a_failing_call_changes_nothing_and_reads_pass(git: Guarded, repo: Repo) -> None:
    before, where = repo.state, str(repo.root)
    failed = await git.call("git_checkout", repo_path=where, branch_name="nowhere")
    empty = await git.call("git_commit", repo_path=where, message="nothing")
    status = await git.call("git_status", repo_path=where)
    assert [answer.mark("status") for answer in (failed, empty)] == ["failed", "failed"]
    assert "No changes staged" in empty.texts[0]
    assert status.texts == (f"Repository status:\n{repo.git('status')}",)
    assert repo.state == before
