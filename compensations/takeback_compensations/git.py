"""Taking git's own changes back where no tool of a server does: a commit, a branch, what was staged.

Everything is done by git itself, in the repository that the policy names as `root`, without hooks, in bounded time,
and only while HEAD, the branch or the index still are as the action left them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.core.undo import Step
from takeback.ports import Impossible, Material, Remedy
from takeback_compensations.answers import Refused, answer
from takeback_compensations.repository import Repository, opened

_STAGED: Final = "Staged changes:\n"
"""What the server writes above the difference of index and HEAD."""


class _Back:
    """What the three have in common: the steps as resolved, and every changed field as it was."""

    def plan(self, material: Material) -> Remedy:
        """The step, with what should be read afterwards. Raises Impossible when others changed it since."""
        if material.standoff.conflicts:
            raise Impossible("it was changed by others since")
        if not material.standoff.restore:
            raise Impossible("nothing shows what this action changed")
        return Remedy(material.steps, {difference.field: difference.before for difference in material.standoff.restore})


class GitUncommit(_Back):
    """Moves the branch back to the commit's parent; index and work tree stay, so what was committed is staged again."""

    name = "git_uncommit"

    async def carry_out(self, step: Step) -> Mapping[str, Any]:
        """Undo the commit, or say why not; then nothing was changed."""
        return await answer(_uncommit(step.arguments))


class GitDropBranch(_Back):
    """Deletes a branch that an action created, while it points to where it was created."""

    name = "git_drop_branch"

    async def carry_out(self, step: Step) -> Mapping[str, Any]:
        """Delete the branch, or say why not; then nothing was changed."""
        return await answer(_drop_branch(step.arguments))


class GitRestage(_Back):
    """Makes the index differ from HEAD as it did before, from the difference that was read then."""

    name = "git_restage"

    async def carry_out(self, step: Step) -> Mapping[str, Any]:
        """Restore the index, or say why not; then nothing was changed."""
        return await answer(_restage(step.arguments))


async def _uncommit(arguments: Mapping[str, JSON]) -> str:
    repository = await opened(arguments)
    commit, parent, branch = (str(arguments[name]) for name in ("commit", "parent", "branch"))
    ref = f"refs/heads/{branch}"
    if await repository.text("symbolic-ref", "--quiet", "HEAD") != ref:
        raise Refused(f"{branch} is not checked out any more")
    if (await repository.text("rev-list", "--parents", "--max-count=1", "HEAD")).split() != [commit, *parent.split()]:
        raise Refused(f"HEAD is not {commit[:12]} with the parent that was there before")
    if await repository.text("for-each-ref", f"--contains={commit}", "refs/remotes"):
        raise Refused(f"{commit[:12]} has been pushed")
    # git compares the old value under its lock: whoever commits in this instant is not overwritten
    change = [ref, parent, commit] if parent else ["-d", ref, commit]
    await repository.run("update-ref", "-m", f"takeback: undo {commit[:12]}", *change)
    return f"{branch} is back at {parent[:12] or 'no commit'}"


async def _drop_branch(arguments: Mapping[str, JSON]) -> str:
    repository = await opened(arguments)
    branch, commit = str(arguments["branch"]), str(arguments["commit"])
    ref = f"refs/heads/{branch}"
    found = await repository.text("for-each-ref", "--format=%(refname) %(objectname) %(worktreepath)", ref)
    known = next((line.removeprefix(ref).split() for line in found.splitlines() if line.startswith(f"{ref} ")), [])
    if known[:1] != [commit]:
        raise Refused(f"{branch} does not point to {commit[:12]}")
    if len(known) > 1:
        raise Refused(f"{branch} is checked out in {' '.join(known[1:])}")
    await repository.run("update-ref", "-d", ref, commit)
    if await repository.text("config", "--local", "--get-regexp", f"^branch\\.{_quoted(branch)}\\.", may_fail=True):
        await repository.run("config", "--local", "--remove-section", f"branch.{branch}")  # what it tracked
    return f"{branch} is gone"


def _quoted(branch: str) -> str:
    return "".join(c if c.isalnum() or c in "/_-" else f"\\{c}" for c in branch)


async def _restage(arguments: Mapping[str, JSON]) -> str:
    repository = await opened(arguments)
    wanted, left = (str(arguments[name]).removeprefix(_STAGED) for name in ("staged", "left"))
    with repository.locked_index() as (index, lock):
        if await _difference(repository, index) != left:
            raise Refused("the index is not as the action left it")
        made = lock.with_name(f"{lock.name}.takeback")
        try:
            await _make(repository, index, made, wanted)
            shutil.copyfile(made, lock)
        finally:
            made.unlink(missing_ok=True)
        lock.replace(index)
    return "the index is as it was"


async def _make(repository: Repository, index: Path, made: Path, wanted: str) -> None:
    """An index at `made` that differs from HEAD by `wanted`, checked by git's own reading of it."""
    _copy(index, made)
    born = await repository.text("rev-parse", "--quiet", "--verify", "HEAD", may_fail=True)
    await repository.run("read-tree", *(["--reset", "HEAD"] if born else ["--empty"]), index=made)
    if wanted:
        await repository.run("apply", "--cached", "--whitespace=nowarn", "-", index=made, given=f"{wanted}\n")
    if await _difference(repository, made) != wanted:
        raise Refused("what was staged cannot be restored from what was read of it")


def _copy(index: Path, made: Path) -> None:
    """Begin with what git knows about unchanged files; a repository without a commit may have no index yet."""
    if index.exists():
        shutil.copyfile(index, made)


async def _difference(repository: Repository, index: Path) -> str:
    """As the server reads it (without the last line's end), but without programs that the repository names."""
    found = await repository.run("diff", "--no-ext-diff", "--no-textconv", "--unified=3", "--cached", index=index)
    return found.removesuffix("\n")
