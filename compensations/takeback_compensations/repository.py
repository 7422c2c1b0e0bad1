"""A git repository in a directory that a policy allows, asked through git itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from takeback.core.jsontext import JSON
from takeback_compensations.answers import Refused
from takeback_compensations.files import directory

_WITHIN: Final = 15.0
"""Seconds that one git command may take."""

_OWN: Final = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
"""Nothing of the repository's own runs: an undo must not set off hooks."""


@dataclass(frozen=True, slots=True)
class Repository:
    """An opened repository: its work tree and its git directory, both inside the policy's root."""

    tree: Path
    git_dir: Path

    async def text(self, *command: str, may_fail: bool = False) -> str:
        """What a reading command prints, trimmed; nothing for one that may fail and does."""
        return (await self.run(*command, may_fail=may_fail)).strip()

    async def run(
        self, *command: str, index: Path | None = None, given: str | None = None, may_fail: bool = False
    ) -> str:
        """Run git here and return what it prints.

        Raises:
            Refused: it failed or took too long; git leaves nothing half done.
        """
        return await _git(self.tree, command, index=index, given=given, may_fail=may_fail)

    @contextmanager
    def locked_index(self) -> Iterator[tuple[Path, Path]]:
        """The index and its lock, held: no other git changes the index meanwhile. Moving the lock there releases it."""
        index, lock = self.git_dir / "index", self.git_dir / "index.lock"
        try:
            handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o644)
        except FileExistsError:
            raise Refused("another git is at work on the index") from None
        try:
            yield index, lock
        finally:
            # Once it was moved, what stands there is the lock of another git.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(lock), os.fstat(handle)):
                    lock.unlink()
            os.close(handle)


async def opened(arguments: Mapping[str, JSON]) -> Repository:
    """The repository `repo_path`, which must be `root` or lie below it, with its git directory.

    Raises:
        Refused: it does not, or there is no repository.
    """
    root, tree = _allowed(arguments)
    said = (await _git(tree, ("rev-parse", "--show-toplevel", "--absolute-git-dir"))).splitlines()
    top, git_dir = _resolved(said)
    if top != tree or not git_dir.is_relative_to(root):
        raise Refused(f"{tree} is not a repository of its own in {root}")
    return Repository(tree, git_dir)


def _allowed(arguments: Mapping[str, JSON]) -> tuple[Path, Path]:
    root = directory(str(arguments.get("root") or ""))
    tree = Path(str(arguments.get("repo_path") or "")).resolve()
    if not tree.is_relative_to(root) or not tree.is_dir():
        raise Refused(f"{tree} is outside {root}")
    return root, tree


def _resolved(said: list[str]) -> list[Path]:
    return [Path(line).resolve() for line in said]


async def _git(
    tree: Path,
    command: tuple[str, ...],
    *,
    index: Path | None = None,
    given: str | None = None,
    may_fail: bool = False,
) -> str:
    process = await asyncio.create_subprocess_exec(
        "git",
        *_OWN,
        *command,
        cwd=tree,
        env=_environment(index),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_WITHIN):
            out, err = await process.communicate((given or "").encode("utf-8", "surrogateescape"))
    except TimeoutError:
        raise Refused(f"git {command[0]} took too long") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode and not may_fail:
        raise Refused(f"git {command[0]}: {err.decode(errors='replace').strip()}")
    return "" if process.returncode else out.decode("utf-8", "surrogateescape")


def _environment(index: Path | None) -> dict[str, str]:
    """The guard's own, without what would point git elsewhere; git's words in English, as the server reads them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own = {"LC_ALL": "C", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **own, **({"GIT_INDEX_FILE": str(index)} if index is not None else {})}
